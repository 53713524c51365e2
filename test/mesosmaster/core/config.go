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
	"time"

	host "github.com/kube-mesos/kube-mesos/test/mesosmaster/agent"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/allocator"
)

// Config holds what a real master and its agents get by flags, and what the
// emulated agents do. Zero values mean the defaults of Mesos.
type Config struct {
	// AllocationInterval is the time between two allocation runs
	// (--allocation_interval, default 1 s).
	AllocationInterval time.Duration
	// HeartbeatInterval is the time between HEARTBEAT events (fixed at 15 s in
	// Mesos).
	HeartbeatInterval time.Duration
	// AgentPingTimeout is how long an agent may be silent before it is marked
	// unreachable (--agent_ping_timeout x --max_agent_ping_timeouts, 75 s).
	AgentPingTimeout time.Duration
	// AgentPings is how many pings make up AgentPingTimeout
	// (--max_agent_ping_timeouts, 5); it is only shown.
	AgentPings int
	// MaxCompletedTasks and MaxUnreachableTasks bound what the master remembers of a
	// framework's tasks (--max_completed_tasks_per_framework,
	// --max_unreachable_tasks_per_framework, 1000 each), MaxCompletedExecutors what an
	// agent does (--max_completed_executors_per_framework, 150).
	MaxCompletedTasks, MaxUnreachableTasks, MaxCompletedExecutors int
	// Flags are further flags of the master that operators see.
	Flags map[string]string
	// Cluster is the name operators see (--cluster, default "emulated").
	Cluster string
	// AgentReregisterTimeout is how long agents have to come back after a master
	// fail-over (--agent_reregister_timeout, 10 min).
	AgentReregisterTimeout time.Duration
	// AgentReregisterDelay is how long a live agent takes to find a new master,
	// and a restarted agent to recover and register (recorded: 2-3 s).
	AgentReregisterDelay time.Duration
	// UpdateRetryMin and UpdateRetryMax bound the interval at which an agent
	// repeats an unacknowledged update (10 s doubling to 10 min).
	UpdateRetryMin, UpdateRetryMax time.Duration
	// LaunchDelay is the time from the agent's receipt of a task to its start.
	LaunchDelay time.Duration
	// KillDelay is the time from KILL to the end of the task.
	KillDelay time.Duration
	// ExecutorIdleTimeout is how long a custom executor without tasks lives on;
	// zero means until it is shut down.
	ExecutorIdleTimeout time.Duration
	// RegistryLatency is how long a write of the registry takes where calls can
	// fall in between (default 10 ms; recorded: 10-40 ms).
	RegistryLatency time.Duration
	// Users are the users of the machines, besides those of any Linux machine.
	Users []string
	// OwnExecutors makes custom executors processes of their own that speak the
	// executor API; otherwise stand-ins of the emulator run their tasks.
	OwnExecutors bool
	// Latency, if set, is asked how long a step on a machine takes this time;
	// false means as the delays above say.
	Latency func(step host.Step, subject string) (time.Duration, bool)
	// OfferTimeout rescinds offers held longer (--offer_timeout); zero: never.
	OfferTimeout time.Duration
	// MinAllocatable are the sets of quantities, in thousandths by resource name,
	// one of which an offer must hold (--min_allocatable_resources,
	// default cpus:0.01|mem:32).
	MinAllocatable []map[string]int64
	// Roles is the whitelist of --roles; nil allows every role.
	Roles []string
	// Weights are the weights of roles, default 1.
	Weights map[string]float64
	// NoRootSubmissions refuses frameworks of the user root
	// (--no-root_submissions).
	NoRootSubmissions bool
	// FairSharingExcluded are names of resources that do not count for shares
	// (--fair_sharing_excluded_resource_names).
	FairSharingExcluded []string
	// Quotas of top-level roles.
	Quotas map[string]allocator.Quota
	// KeepGPUsForAll offers agents with GPUs also to frameworks without
	// GPU_RESOURCES (--filter_gpu_resources=false).
	KeepGPUsForAll bool
	// Shuffle puts the host names of the agents that an allocation run is to visit
	// into the order in which it visits them; nil: a random one. A test that follows
	// a real master passes the order that one drew. It must only permute.
	Shuffle func(hostnames []string)
	// Seed seeds the ids and the order in which agents are visited.
	Seed int64
	// Hostname, IP and Port are the master's address as told to frameworks.
	Hostname, IP string
	Port         int
	// Region and Zone are the master's fault domain, empty for none.
	Region, Zone string
	// Version is the Mesos version the master says it is, default Version. Before 1.11
	// it ignores offer constraints.
	Version string
}

// AgentConfig describes one emulated agent.
type AgentConfig struct {
	Hostname string
	// IP and Port are where the agent process listens as told to frameworks; by
	// default an address of its own in 10.0.0.0/8, and 5051.
	IP   string
	Port int
	// Resources is the text form of the agent's --resources flag.
	Resources string
	// AttributeText is the text form of the agent's --attributes flag, which has
	// an order; it replaces Attributes.
	AttributeText string
	// WorkDir is --work_dir, of which only the name matters; /var/lib/mesos.
	WorkDir string
	// ExecutorRegistrationTimeout and ExecutorReregistrationTimeout are the flags
	// of that name, 1 min and 2 s.
	ExecutorRegistrationTimeout, ExecutorReregistrationTimeout time.Duration
	// OversubscribedInterval is --oversubscribed_resources_interval, 15 s: when
	// the agent looks whether its revocable resources have changed.
	OversubscribedInterval time.Duration
	// LoadThreshold makes the load QoS controller kill what runs on revocable
	// resources while the load of the machine is above it (SetLoad); zero: no
	// controller. QoSInterval is --qos_correction_interval_min, at least 1 s.
	LoadThreshold float64
	QoSInterval   time.Duration
	// Attributes are name and value; values are TEXT, SCALAR if they are numbers,
	// RANGES if they have the form [a-b, ...].
	Attributes map[string]string
	// Region and Zone are the agent's fault domain, empty for none.
	Region, Zone string
}

func (c *Config) defaults() {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&c.AllocationInterval, time.Second)
	set(&c.HeartbeatInterval, 15*time.Second)
	set(&c.AgentPingTimeout, 75*time.Second)
	set(&c.AgentReregisterTimeout, 10*time.Minute)
	set(&c.AgentReregisterDelay, 2*time.Second)
	set(&c.RegistryLatency, 10*time.Millisecond)
	set(&c.UpdateRetryMin, 10*time.Second)
	set(&c.UpdateRetryMax, 10*time.Minute)
	setCount := func(d *int, v int) {
		if *d == 0 {
			*d = v
		}
	}
	setCount(&c.MaxCompletedTasks, 1000)
	setCount(&c.MaxUnreachableTasks, 1000)
	setCount(&c.AgentPings, 5)
	if c.MinAllocatable == nil {
		c.MinAllocatable = []map[string]int64{{"cpus": 10}, {"mem": 32000}}
	}
	if c.Hostname == "" {
		c.Hostname = "localhost"
	}
	if c.Cluster == "" {
		c.Cluster = "emulated"
	}
	if c.IP == "" {
		c.IP = "127.0.0.1"
	}
	if c.Port == 0 {
		c.Port = 5050
	}
	if c.Version == "" {
		c.Version = Version
	}
}

// known is what a master of the version sees of offer constraints: nothing before
// Mesos 1.11. A version that cannot be read has them.
func (c *Config) known(constraints OfferConstraints) OfferConstraints {
	var major, minor int
	if _, err := fmt.Sscanf(c.Version, "%d.%d", &major, &minor); err == nil && (major < 1 || major == 1 && minor < 11) {
		return OfferConstraints{}
	}
	return constraints
}

// agentSettings is what concerns agents. Those that are told to find a new master
// sooner than by default also start sooner.
func (c *Config) agentSettings() host.Settings {
	return host.Settings{
		RegisterDelay: c.AgentReregisterDelay, StartDelay: c.AgentReregisterDelay / 2,
		ExecutorRegistrationTimeout: time.Minute,
		ExecutorShutdownGracePeriod: 5 * time.Second,
		Users:                       c.Users, OwnExecutors: c.OwnExecutors, Latency: c.Latency,
		ExecutorReregistrationTimeout: min(2*time.Second, c.AgentReregisterDelay),
		UpdateRetryMin:                c.UpdateRetryMin, UpdateRetryMax: c.UpdateRetryMax,
		LaunchDelay: c.LaunchDelay, KillDelay: c.KillDelay, ExecutorIdleTimeout: c.ExecutorIdleTimeout,
		MaxCompletedExecutors: c.MaxCompletedExecutors,
	}
}

// Bounds of a real master's memory (Mesos master/constants.hpp).
const (
	maxCompletedFrameworks = 50
	defaultRefuse          = 5 * time.Second
	maxRefuse              = 365 * 24 * time.Hour
)
