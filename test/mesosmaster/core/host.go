/*
Copyright The Kube-Mesos Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package core

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// taskKey names a task of one framework.
type taskKey struct{ fw, id string }

// hostExecKey names an executor of one framework on one machine.
type hostExecKey struct{ fw, id string }

// host is one machine with an emulated agent process, its executors and tasks.
// It outlives the master's knowledge of it.
type host struct {
	hostname   string
	index      int
	attributes []mesos.Attribute
	domain     *mesos.DomainInfo
	total      resource.Resources
	agentID    string

	running     bool // the agent process lives
	connected   bool // registered with the present master
	partitioned bool // lives, but no message gets through
	lives       uint64

	frameworks map[string]*mesos.FrameworkInfo
	executors  map[hostExecKey]*runExecutor
	tasks      map[taskKey]*runTask
}

// runExecutor is an executor on a machine.
type runExecutor struct {
	key         hostExecKey
	info        *mesos.ExecutorInfo // nil for a command executor
	command     bool
	role        string
	res         resource.Resources
	containerID string
	pid         uint32
	tasks       map[taskKey]*runTask
	ended       bool
	idle        uint64 // voids idle timers
}

// phase is how far a task on a machine has come.
type phase uint8

const (
	queued phase = iota
	running
	killing
	ended
)

// runTask is a task on a machine, with its stream of status updates.
type runTask struct {
	key      taskKey
	info     *mesos.TaskInfo
	executor *runExecutor
	role     string
	res      resource.Resources
	phase    phase
	latest   mesos.TaskState
	since    time.Time

	pending   []mesos.TaskStatus // not acknowledged, in order; the first is outstanding
	retry     time.Duration
	retryAt   *timer
	sentState *mesos.TaskState
	sentUUID  []byte
	statuses  []mesos.TaskStatus
	diedDown  bool // ended while the agent process was down
}

func (m *Master) newHost(c AgentConfig) (*host, error) {
	total, err := resource.Parse(c.Resources)
	if err != nil {
		return nil, fmt.Errorf("agent %q: %w", c.Hostname, err)
	}
	h := &host{
		hostname: c.Hostname, index: len(m.hostOrder), total: total, attributes: attributesOf(c.Attributes),
		frameworks: map[string]*mesos.FrameworkInfo{}, executors: map[hostExecKey]*runExecutor{}, tasks: map[taskKey]*runTask{},
	}
	if c.Region != "" {
		h.domain = domainOf(c.Region, c.Zone)
	}
	return h, nil
}

// attributesOf turns name and value into attributes, by name.
func attributesOf(in map[string]string) []mesos.Attribute {
	var out []mesos.Attribute
	for _, name := range sortedKeys(in) {
		text := in[name]
		a := mesos.Attribute{Name: name, Type: mesos.TEXT, Text: &mesos.Value_Text{Value: text}}
		if x, err := strconv.ParseFloat(text, 64); err == nil {
			a = mesos.Attribute{Name: name, Type: mesos.SCALAR, Scalar: &mesos.Value_Scalar{Value: x}}
		} else if strings.HasPrefix(text, "[") {
			if r, err := resource.ParseValue(resource.Resource{}, text); err == nil && r.Kind == resource.RangeSet {
				a = mesos.Attribute{Name: name, Type: mesos.RANGES, Ranges: &mesos.Value_Ranges{}}
				for _, x := range r.Ranges {
					a.Ranges.Range = append(a.Ranges.Range, mesos.Value_Range{Begin: x.Begin, End: x.End})
				}
			}
		}
		out = append(out, a)
	}
	return out
}

// ip is the machine's address, made up from its number.
func (h *host) ip() string {
	n := h.index + 1
	return fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255)
}

const agentPort = 5051

func (h *host) url() *mesos.URL {
	hostname, ip, path := h.hostname, h.ip(), "/slave(1)"
	return &mesos.URL{Scheme: "http", Address: mesos.Address{Hostname: &hostname, IP: &ip, Port: agentPort}, Path: &path}
}

// reachable tells whether a message from the master arrives.
func (h *host) reachable() bool { return h.running && h.connected && !h.partitioned }

// updateFramework takes over a changed FrameworkInfo of a framework it runs.
func (h *host) updateFramework(f *framework) {
	if !h.reachable() {
		return
	}
	if _, ok := h.frameworks[f.id]; ok {
		h.frameworks[f.id] = f.info
	}
}

func (h *host) can(fw string, c mesos.FrameworkInfo_Capability_Type) bool {
	info := h.frameworks[fw]
	return info != nil && capable(info, c)
}

func (h *host) oneOf(fw string, aware mesos.TaskState) mesos.TaskState {
	if h.can(fw, mesos.FrameworkInfo_Capability_PARTITION_AWARE) {
		return aware
	}
	return mesos.TASK_LOST
}

// run is the arrival of a task at the agent (Mesos slave.cpp runTask). exec is
// nil for a command task; launchExecutor is what the master believes.
func (h *host) run(m *Master, f *framework, t *task, exec *mesos.ExecutorInfo, launchExecutor bool, execRes resource.Resources) {
	if !h.reachable() {
		return
	}
	h.frameworks[f.id] = f.info
	rt := &runTask{key: taskKey{f.id, t.id}, info: t.info, role: t.role, res: t.res, latest: mesos.TASK_STAGING, since: m.now}
	execID := t.id
	if exec != nil {
		execID = exec.ExecutorID.Value
	}
	key := hostExecKey{f.id, execID}
	e := h.executors[key]
	switch {
	case exec == nil && e != nil:
		rt.executor = &runExecutor{key: key, command: true}
		h.refuse(m, rt, mesos.REASON_TASK_INVALID, "Cannot reuse an already existing executor for a command task", true)
		return
	case exec != nil && e == nil && !launchExecutor:
		rt.executor = &runExecutor{key: key, info: exec}
		h.refuse(m, rt, mesos.REASON_EXECUTOR_TERMINATED, "No executor is expected to launch and there is none running", true)
		return
	}
	if text := limitsRefused(t.info); text != "" {
		rt.executor = &runExecutor{key: key, info: exec, command: exec == nil}
		h.refuse(m, rt, mesos.REASON_GC_ERROR, text, false)
		return
	}
	if e == nil {
		e = &runExecutor{
			key: key, info: exec, command: exec == nil, role: t.role, res: execRes,
			containerID: m.newUUID().String(), pid: uint32(m.rng.IntN(60000) + 1000), tasks: map[taskKey]*runTask{},
		}
		h.executors[key] = e
	}
	e.idle++
	e.tasks[rt.key] = rt
	rt.executor = e
	h.tasks[rt.key] = rt
	h.start(m, rt)
}

// limitsRefused is what an agent without the cgroups isolators says to limits.
func limitsRefused(info *mesos.TaskInfo) string {
	for _, x := range []struct{ key, name, isolator string }{{"cpus", "CPU", "cpu"}, {"mem", "Memory", "mem"}} {
		if _, ok := info.Limits[x.key]; ok {
			return x.name + " limits can only be set on tasks launched in Mesos containers when the agent has loaded the 'cgroups/" + x.isolator + "' isolator"
		}
	}
	return ""
}

// refuse answers a task the agent does not run.
func (h *host) refuse(m *Master, rt *runTask, reason mesos.TaskStatus_Reason, message string, withExecutor bool) {
	rt.phase = ended
	h.tasks[rt.key] = rt
	status := h.agentStatus(m, rt, h.oneOf(rt.key.fw, mesos.TASK_DROPPED), reason, message)
	if !withExecutor {
		status.ExecutorID = nil
	}
	h.report(m, rt, status)
}

// start lets a task start after the launch delay.
func (h *host) start(m *Master, rt *runTask) {
	m.afterAlways(m.cfg.LaunchDelay, func() {
		if h.tasks[rt.key] != rt || rt.phase != queued || rt.diedDown {
			return
		}
		rt.phase = running
		if rt.executor.command || rt.executor.info.Type == mesos.ExecutorInfo_DEFAULT {
			h.report(m, rt, h.executorStatus(m, rt, mesos.TASK_STARTING, ""))
		}
		h.report(m, rt, h.executorStatus(m, rt, mesos.TASK_RUNNING, ""))
	})
}

// kill is the arrival of a KILL at the agent (Mesos slave.cpp killTask).
func (h *host) kill(m *Master, key taskKey) {
	if !h.reachable() {
		return
	}
	rt := h.tasks[key]
	if rt == nil {
		return
	}
	switch rt.phase {
	case queued:
		h.finish(m, rt, h.agentStatus(m, rt, mesos.TASK_KILLED, mesos.REASON_TASK_KILLED_DURING_LAUNCH, "Killed before delivery to the executor"))
	case running:
		rt.phase = killing
		if h.can(key.fw, mesos.FrameworkInfo_Capability_TASK_KILLING_STATE) {
			h.report(m, rt, h.executorStatus(m, rt, mesos.TASK_KILLING, ""))
		}
		m.afterAlways(m.cfg.KillDelay, func() {
			if h.tasks[key] == rt && rt.phase == killing {
				h.finish(m, rt, h.executorStatus(m, rt, mesos.TASK_KILLED, "Command terminated with signal Terminated"))
			}
		})
	}
}

// finish ends a task with its last status.
func (h *host) finish(m *Master, rt *runTask, status mesos.TaskStatus) {
	rt.phase = ended
	e := rt.executor
	delete(e.tasks, rt.key)
	h.report(m, rt, status)
	switch {
	case e.command:
		m.afterAlways(commandExecutorLingers, func() {
			if h.executors[e.key] == e {
				delete(h.executors, e.key)
			}
		})
	case len(e.tasks) == 0 && m.cfg.ExecutorIdleTimeout > 0:
		e.idle++
		token := e.idle
		m.afterAlways(m.cfg.ExecutorIdleTimeout, func() {
			if h.executors[e.key] == e && e.idle == token {
				h.exitExecutor(m, e, 0)
			}
		})
	}
}

// exitExecutor is the end of an executor: FAILURE first, then the ends of its
// tasks, as recorded.
func (h *host) exitExecutor(m *Master, e *runExecutor, status int32) {
	delete(h.executors, e.key)
	e.ended = true
	if a := m.agents[h.agentID]; a != nil && h.reachable() && !e.command {
		if f := m.frameworks[e.key.fw]; f != nil {
			m.removeExecutor(f, execKey{h.agentID, e.key.id})
			m.emit(f, &scheduler.Event{Type: scheduler.Event_FAILURE, Failure: &scheduler.Event_Failure{
				AgentID: &mesos.AgentID{Value: h.agentID}, ExecutorID: &mesos.ExecutorID{Value: e.key.id}, Status: &status,
			}})
		}
	}
	for _, key := range sortedTaskKeys(e.tasks) {
		rt := e.tasks[key]
		rt.phase = ended
		h.report(m, rt, h.agentStatus(m, rt, mesos.TASK_FAILED, mesos.REASON_EXECUTOR_TERMINATED, "Executor terminated"))
	}
	clear(e.tasks)
}

// shutdownFramework kills everything of a framework without reporting.
func (h *host) shutdownFramework(m *Master, fw string) {
	if !h.reachable() {
		return
	}
	delete(h.frameworks, fw)
	for key := range h.tasks {
		if key.fw == fw {
			m.timers.cancel(h.tasks[key].retryAt)
			delete(h.tasks, key)
		}
	}
	for key := range h.executors {
		if key.fw == fw {
			delete(h.executors, key)
		}
	}
}

// silence stops the repetition of updates, as the end of the process does.
func (h *host) silence(m *Master) {
	for _, rt := range h.tasks {
		m.timers.cancel(rt.retryAt)
	}
}

// stop is the end of the agent process and of all that runs on the machine.
func (h *host) stop(m *Master) {
	h.running, h.connected = false, false
	h.lives++
	h.silence(m)
	clear(h.tasks)
	clear(h.executors)
	clear(h.frameworks)
}

func sortedTaskKeys[V any](in map[taskKey]V) []taskKey {
	keys := make([]taskKey, 0, len(in))
	for k := range in {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		return keys[i].fw < keys[j].fw || keys[i].fw == keys[j].fw && keys[i].id < keys[j].id
	})
	return keys
}

func sortedExecKeys[V any](in map[hostExecKey]V) []hostExecKey {
	keys := make([]hostExecKey, 0, len(in))
	for k := range in {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		return keys[i].fw < keys[j].fw || keys[i].fw == keys[j].fw && keys[i].id < keys[j].id
	})
	return keys
}
