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
	"math"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	host "github.com/kube-mesos/kube-mesos/test/mesosmaster/agent"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// framework is a framework as the master knows it.
type framework struct {
	id   string
	info *mesos.FrameworkInfo // with id and principal filled in; replaced, never changed

	stream    string // of the current subscription, "" while disconnected
	connected bool
	active    bool
	recovered bool // known only from agents since a master fail-over
	removed   bool

	roles       map[string]bool // subscribed
	suppressed  map[string]bool
	constraints OfferConstraints

	tasks       map[string]*task
	unreachable map[string]*task
	unreachLog  []string // ids in unreachable, oldest first
	completed   []*task
	// maxCompleted bounds completed.
	maxCompleted int
	executors    map[execKey]*executor
	onAgent      map[string][]string // executor ids by agent, sorted
	offers       map[string]*offer
	inverse      map[string]*inverseOffer
	operations   map[string]*host.Operation
	// Running totals of what it uses and is offered, for operators. Ranges that
	// overlap between agents count once and vanish with the first that goes, as
	// in a real master (Mesos master/framework.hpp totalUsedResources).
	usedSum, offeredSum resource.Total

	registered, reregistered, unregistered time.Time
	subscriptions                          uint64 // counts subscribes; voids failover timers

	stats frameworkStats
}

// execKey names an executor of one framework.
type execKey struct{ agent, id string }

// executor is what the master believes to run on an agent.
type executor struct {
	info *mesos.ExecutorInfo
	role string
	res  resource.Resources // allocated
}

func (m *Master) newFramework(id string, info *mesos.FrameworkInfo) *framework {
	f := &framework{
		id: id, roles: map[string]bool{}, suppressed: map[string]bool{},
		tasks: map[string]*task{}, unreachable: map[string]*task{},
		executors: map[execKey]*executor{}, onAgent: map[string][]string{}, offers: map[string]*offer{}, inverse: map[string]*inverseOffer{}, operations: map[string]*host.Operation{},
		registered: m.now, reregistered: m.now, maxCompleted: m.cfg.MaxCompletedTasks,
	}
	f.stats.init()
	f.setInfo(info)
	m.frameworks[id] = f
	return f
}

// setInfo takes over a FrameworkInfo; the id in it is the framework's own.
func (f *framework) setInfo(info *mesos.FrameworkInfo) {
	copied := *info
	copied.ID = &mesos.FrameworkID{Value: f.id}
	f.info = &copied
}

func (f *framework) can(c mesos.FrameworkInfo_Capability_Type) bool { return capable(f.info, c) }

func (f *framework) partitionAware() bool {
	return f.can(mesos.FrameworkInfo_Capability_PARTITION_AWARE)
}

// form is how this framework sees resources.
func (f *framework) form() resource.WireForm {
	return resource.WireForm{
		Allocation: f.can(mesos.FrameworkInfo_Capability_MULTI_ROLE),
		Refined:    f.can(mesos.FrameworkInfo_Capability_RESERVATION_REFINEMENT),
	}
}

// failoverTimeout is FrameworkInfo.failover_timeout; negative counts as zero.
func (f *framework) failoverTimeout() time.Duration {
	s := f.info.GetFailoverTimeout()
	if s <= 0 || math.IsNaN(s) {
		return 0
	}
	if s > float64(math.MaxInt64)/float64(time.Second) {
		return math.MaxInt64
	}
	return time.Duration(s * float64(time.Second))
}

// oneOf returns aware for PARTITION_AWARE frameworks, TASK_LOST for others.
func (f *framework) oneOf(aware mesos.TaskState) mesos.TaskState {
	if f.partitionAware() {
		return aware
	}
	return mesos.TASK_LOST
}

// setRoles brings subscribed and suppressed roles up to date, in the framework
// and in the allocator. Offers and filters of vanished roles are the caller's
// business.
func (m *Master) setRoles(f *framework, roles, suppressed []string) {
	next := map[string]bool{}
	for _, r := range roles {
		next[r] = true
	}
	hush := map[string]bool{}
	for _, r := range suppressed {
		hush[r] = true
	}
	f.roles, f.suppressed = next, hush
	m.alloc.AddFramework(m.allocatorInfo(f))
}

func (m *Master) activate(f *framework) {
	f.active = true
	m.alloc.Activate(f.id)
}

// deactivate takes a framework out of the allocation and gives its offers back;
// its decline filters are gone (Mesos allocator deactivateFramework).
func (m *Master) deactivate(f *framework, rescind bool) {
	f.active = false
	m.alloc.Deactivate(f.id)
	for _, id := range sortedKeys(f.offers) {
		m.discardOffer(f.offers[id], rescind)
	}
	m.dropInverse(f)
}

// disconnected is the loss of a framework's stream
// (Mesos master.cpp exited(FrameworkID)).
func (m *Master) disconnected(f *framework) {
	delete(m.byStream, f.stream)
	f.stream = ""
	f.connected = false
	m.deactivate(f, true)
	timeout := f.failoverTimeout()
	seen := f.subscriptions
	if timeout == 0 {
		m.removeFramework(f)
		return
	}
	m.after(timeout, func() {
		if !f.removed && f.subscriptions == seen {
			m.removeFramework(f)
		}
	})
}

// removeFramework ends a framework for good: tasks are killed at the agents
// without a word to the scheduler, the id goes to the completed cache
// (Mesos master.cpp removeFramework).
func (m *Master) removeFramework(f *framework) {
	if f.active {
		m.deactivate(f, false)
	}
	if f.stream != "" {
		delete(m.byStream, f.stream)
		m.out = append(m.out, Output{Stream: f.stream, Close: true})
		f.stream = ""
	}
	f.connected, f.removed = false, true
	f.unregistered = m.now
	for _, h := range m.hostOrder {
		h.ShutdownFramework(f.id)
	}
	for _, id := range sortedKeys(f.tasks) {
		t := f.tasks[id]
		if !terminal(t.state) {
			status := m.masterStatus(t.id, t.agentID, mesos.TASK_KILLED, mesos.REASON_FRAMEWORK_REMOVED, "Framework "+f.id+" removed")
			m.updateTask(t, status, mesos.TASK_KILLED)
		}
		m.completeTask(t)
	}
	for key := range f.executors {
		m.removeExecutor(f, key)
	}
	clear(f.roles)
	m.tellFrameworkRemoved(f)
	delete(m.frameworks, f.id)
	for _, name := range sortedKeys(f.operations) {
		if a := m.agents[f.operations[name].Status.AgentID.GetValue()]; a != nil {
			m.checkDrained(a)
		}
	}
	m.alloc.RemoveFramework(f.id)
	m.completed = append(m.completed, f)
	if n := len(m.completed) - maxCompletedFrameworks; n > 0 {
		m.completed = slices.Delete(m.completed, 0, n)
	}
}

// end closes a stream with an ERROR.
func (m *Master) end(stream, message string) {
	m.out = append(m.out, Output{
		Stream: stream, Close: true,
		Event: &scheduler.Event{Type: scheduler.Event_ERROR, Error: &scheduler.Event_Error{Message: message}},
	})
}
