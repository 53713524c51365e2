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

// Package agent is one emulated Mesos agent with its machine: the executors and
// tasks that run there, the status update manager, what survives the end of the
// process. It is a pure state machine: messages of the master and the passing of
// time go in, messages to the master come out. The names are those of Mesos
// (slave/slave.cpp, slave/task_status_update_manager.cpp).
package agent

import (
	"sort"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

type (
	taskKey struct{ fw, id string }
	execKey struct{ fw, id string }
)

// Agent is an agent process and its machine. Its tasks outlive the master's
// knowledge of it, and some of them the process.
type Agent struct {
	cfg     Config
	set     *Settings
	world   World
	master  Master
	outside Executors

	id          string // as the master named it; empty before the first registration
	running     bool   // the process lives
	registered  bool   // with the present master
	partitioned bool   // lives, but no message gets through
	life        uint64 // counts starts and ends of the process
	recovering  bool   // the process waits for its executors
	draining    *drain // nil unless the agent is being drained

	estimate  resource.Resources // of revocable resources
	announced resource.Resources // revocable resources the master was told of
	load      float64            // of the machine
	watch     uint64             // voids what is repeated on behalf of these

	frameworks map[string]*mesos.FrameworkInfo
	executors  map[execKey]*Executor
	tasks      map[taskKey]*Task
	operations []*Operation
	completed  map[string][]*Task // by framework, oldest first; on disk
	total      resource.Resources
}

// New returns a running agent that has not registered yet.
func New(cfg Config, set *Settings, world World, master Master, outside Executors) *Agent {
	a := &Agent{
		cfg: cfg, set: set, world: world, master: master, outside: outside, running: true,
		frameworks: map[string]*mesos.FrameworkInfo{}, executors: map[execKey]*Executor{}, tasks: map[taskKey]*Task{},
	}
	a.cfg.Resources, a.estimate = splitRevocable(cfg.Resources)
	a.announced, a.total = a.estimate, a.cfg.Resources
	a.watchResources()
	return a
}

// Hostname is the --hostname of the agent.
func (a *Agent) Hostname() string { return a.cfg.Hostname }

// IP is the address of the machine.
func (a *Agent) IP() string { return a.cfg.IP }

// Port is where the agent process listens.
func (a *Agent) Port() int32 { return a.cfg.Port }

// Attributes are the --attributes of the agent.
func (a *Agent) Attributes() []mesos.Attribute { return a.cfg.Attributes }

// Domain is the --domain of the agent, nil for none.
func (a *Agent) Domain() *mesos.DomainInfo { return a.cfg.Domain }

// Resources are the --resources of the agent, without revocable ones;
// [Agent.Total] has what operations and estimates made of them.
func (a *Agent) Resources() resource.Resources { return a.cfg.Resources }

// URL is the address of the agent in offers.
func (a *Agent) URL() *mesos.URL {
	hostname, ip, path := a.cfg.Hostname, a.cfg.IP, "/slave(1)"
	return &mesos.URL{Scheme: "http", Address: mesos.Address{Hostname: &hostname, IP: &ip, Port: a.cfg.Port}, Path: &path}
}

// ID is the id the master gave the agent, empty before its first registration.
func (a *Agent) ID() string { return a.id }

// SetID is the master's answer to the first registration.
func (a *Agent) SetID(id string) { a.id = id }

// Running tells whether the agent process lives.
func (a *Agent) Running() bool { return a.running }

// Registered tells whether the agent is registered with the present master.
func (a *Agent) Registered() bool { return a.registered }

// SetRegistered is the master's answer to a registration, or the end of the
// connection to it.
func (a *Agent) SetRegistered(yes bool) { a.registered = yes }

// Partitioned tells whether messages get lost between master and agent.
func (a *Agent) Partitioned() bool { return a.partitioned }

// SetPartitioned cuts the agent off without a word, or ends that.
func (a *Agent) SetPartitioned(yes bool) { a.partitioned = yes }

// Reachable tells whether messages go to and fro between agent and master.
func (a *Agent) Reachable() bool { return a.running && a.registered && !a.partitioned }

// Frameworks are the frameworks the agent runs something of, by id.
func (a *Agent) Frameworks() []*mesos.FrameworkInfo {
	out := make([]*mesos.FrameworkInfo, 0, len(a.frameworks))
	for _, f := range a.frameworks {
		out = append(out, f)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID.GetValue() < out[j].ID.GetValue() })
	return out
}

// UpdateFramework is the news of a changed FrameworkInfo (Mesos slave.cpp
// updateFramework): all unacknowledged updates are repeated at once.
func (a *Agent) UpdateFramework(info *mesos.FrameworkInfo) {
	if !a.Reachable() {
		return
	}
	if id := info.ID.GetValue(); a.frameworks[id] != nil {
		a.frameworks[id] = info
	}
	a.ResendUpdates()
}

// can tells whether a framework has a capability.
func (a *Agent) can(fw string, c mesos.FrameworkInfo_Capability_Type) bool {
	info := a.frameworks[fw]
	if info == nil {
		return false
	}
	for i := range info.Capabilities {
		if info.Capabilities[i].Type == c {
			return true
		}
	}
	return false
}

// oneOf is a state only PARTITION_AWARE frameworks know, or what the others are
// told instead.
func (a *Agent) oneOf(fw string, aware mesos.TaskState) mesos.TaskState {
	if a.can(fw, mesos.FrameworkInfo_Capability_PARTITION_AWARE) {
		return aware
	}
	return mesos.TASK_LOST
}

func (a *Agent) checkpointing(fw string) bool {
	info := a.frameworks[fw]
	return info == nil || info.GetCheckpoint()
}
