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

package mesosmaster

import (
	"crypto/tls"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/agent"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/allocator"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/core"
)

const defaultCallLog = 100_000

// Config configures a Master: what a real master and its agents get by flags, and
// what the emulated agents do. Zero values mean the defaults of Mesos.
type Config struct {
	// AllocationInterval is --allocation_interval, default 1 s.
	AllocationInterval time.Duration
	// HeartbeatInterval is the time between HEARTBEAT events, 15 s in Mesos.
	HeartbeatInterval time.Duration
	// Shuffle puts the host names of the agents that an allocation run is to visit
	// into the order in which it visits them; nil: a random one. It must only permute
	// them.
	Shuffle func(hostnames []string)
	// Hostname, IP and Port are the master's address as told to frameworks before
	// Start; default localhost, 127.0.0.1 and 5050.
	Hostname, IP string
	Port         int
	// Seed seeds ids and the order in which agents are visited.
	Seed int64
	// Agents are the agents present from the start.
	Agents []AgentConfig
	// LaunchDelay is the time from the agent's receipt of a task to its start.
	LaunchDelay time.Duration
	// KillDelay is the time from KILL to the end of the task.
	KillDelay time.Duration
	// ExecutorIdleTimeout is how long a custom executor without tasks lives on;
	// zero: until it is shut down.
	ExecutorIdleTimeout time.Duration
	// Users are the users of the machines, besides those of any Linux machine.
	Users []string
	// OwnExecutors makes custom executors processes of their own that speak the
	// executor API of their agent; otherwise stand-ins run their tasks.
	OwnExecutors bool
	// Executors runs the processes that OwnExecutors makes; nil leaves that to
	// whoever uses the executor API of AgentHandler.
	Executors Executors
	// AgentsListen makes every agent listen on a port of its own, on its IP
	// (default 127.0.0.1) and Port (default any free one), where executors reach
	// it.
	AgentsListen bool
	// Latency, if set, is asked how long a step on a machine takes this time;
	// false means as the delays here say.
	Latency func(step agent.Step, subject string) (time.Duration, bool)
	// AgentPingTimeout is how long an agent may be silent before it is marked
	// unreachable, default 75 s (5 pings of 15 s).
	AgentPingTimeout time.Duration
	// AgentPings is how many pings make up AgentPingTimeout, default 5; operators
	// see it.
	AgentPings int
	// Flags are further flags of the master that operators see, such as work_dir.
	Flags map[string]string
	// Cluster is the name operators see, default "emulated".
	Cluster string
	// AgentReregisterTimeout is how long agents may take to come back after a
	// master fail-over, default 10 min.
	AgentReregisterTimeout time.Duration
	// AgentReregisterDelay is how long agents take to find a new master, or to
	// register after their own restart; default 2 s.
	AgentReregisterDelay time.Duration
	// UpdateRetryMin and UpdateRetryMax bound the interval between repetitions of
	// an unacknowledged update, default 10 s and 10 min.
	UpdateRetryMin, UpdateRetryMax time.Duration
	// OfferTimeout is --offer_timeout; zero: offers never time out.
	OfferTimeout time.Duration
	// MinAllocatable is --min_allocatable_resources: sets of thousandths by
	// resource name; default cpus:0.01|mem:32.
	MinAllocatable []map[string]int64
	// Roles is the whitelist of --roles; nil allows all.
	Roles []string
	// Weights are the weights of roles, default 1.
	Weights map[string]float64
	// FairSharingExcluded is --fair_sharing_excluded_resource_names: they do not
	// count for shares.
	FairSharingExcluded []string
	// Quotas of top-level roles, default none.
	Quotas map[string]allocator.Quota
	// NoRootSubmissions is --no-root_submissions.
	NoRootSubmissions bool
	// KeepGPUsForAll is --filter_gpu_resources=false.
	KeepGPUsForAll bool
	// Region and Zone are the master's fault domain, empty for none.
	Region, Zone string
	// BootTime, RouteTime and RecoveryTime are what a master process that is
	// started again goes through: it refuses connections, then answers 404 to
	// everything, then 503 to calls while it reads its registry. Recorded: some
	// 90, 25 and 15 ms; default none. A process elected among several goes
	// through the last.
	BootTime, RouteTime, RecoveryTime time.Duration
	// Authentication is who must say who they are; default nobody.
	Authentication Authentication
	// TLS makes the masters speak https alone, as with LIBPROCESS_SSL_ENABLED and
	// without LIBPROCESS_SSL_SUPPORT_DOWNGRADE; its ClientAuth is
	// LIBPROCESS_SSL_REQUIRE_CERT. It does not concern Transport.
	TLS *tls.Config
	// MaxCompletedTasks and MaxUnreachableTasks are how many tasks of a framework the
	// master remembers that have ended or that it has lost sight of, and
	// MaxCompletedExecutors how many each agent does: the flags of those names with
	// _per_framework, default 1000, 1000 and 150.
	MaxCompletedTasks, MaxUnreachableTasks, MaxCompletedExecutors int
	// CallLog is how many call records are kept, the newest; default 100,000.
	CallLog int
	// EventLog is how many records of events sent to frameworks are kept, the newest;
	// default none. They hold all the offers that were sent.
	EventLog int
	// Version is the Mesos version the master says it is, default core.Version. A
	// master that says it is older than 1.11 knows no offer constraints: it does not
	// see them, as protobuf skips what it does not know.
	Version string
}

func (c *Config) core() core.Config {
	return core.Config{
		AllocationInterval: c.AllocationInterval, HeartbeatInterval: c.HeartbeatInterval, Seed: c.Seed, Shuffle: c.Shuffle,
		Hostname: c.Hostname, IP: c.IP, Port: c.Port,
		LaunchDelay: c.LaunchDelay, KillDelay: c.KillDelay, ExecutorIdleTimeout: c.ExecutorIdleTimeout,
		Users: c.Users, OwnExecutors: c.OwnExecutors, Latency: c.Latency,
		AgentPingTimeout: c.AgentPingTimeout, AgentPings: c.AgentPings, Cluster: c.Cluster, Flags: c.Flags, AgentReregisterTimeout: c.AgentReregisterTimeout,
		AgentReregisterDelay: c.AgentReregisterDelay, UpdateRetryMin: c.UpdateRetryMin, UpdateRetryMax: c.UpdateRetryMax,
		OfferTimeout: c.OfferTimeout, MinAllocatable: c.MinAllocatable, Roles: c.Roles, Weights: c.Weights,
		Quotas: c.Quotas, FairSharingExcluded: c.FairSharingExcluded, NoRootSubmissions: c.NoRootSubmissions,
		KeepGPUsForAll: c.KeepGPUsForAll, Region: c.Region, Zone: c.Zone, Version: c.Version,
		MaxCompletedTasks: c.MaxCompletedTasks, MaxUnreachableTasks: c.MaxUnreachableTasks, MaxCompletedExecutors: c.MaxCompletedExecutors,
	}
}
