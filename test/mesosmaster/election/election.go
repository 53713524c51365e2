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

// Package election is the life of the processes of a Mesos master and of the
// ZooKeeper that elects one of them, as a pure state machine: what is done to
// processes and the passing of time go in, what becomes of them comes out. It
// does no I/O and reads no clock.
//
// The rules are those of Mesos master/contender/zookeeper.cpp,
// master/detector/zookeeper.cpp and zookeeper/group.cpp: every master holds a
// sequential ephemeral node, the lowest leads, a leader that loses its node or
// its ZooKeeper exits. The nodes of a process that dies or stops outlive it until
// its ZooKeeper session ends; until then the others go on naming it.
package election

import (
	"fmt"
	"slices"
	"time"
)

// Config is how long things take. Zero values of the times of a process' start
// mean at once.
type Config struct {
	// Masters is the number of processes, at least 1.
	Masters int
	// ZooKeeper says that there is one; without, each process leads as soon as it
	// runs, which makes sense for one process only.
	ZooKeeper bool
	// BootTime is the time from the start of a process to the first connection it
	// accepts.
	BootTime time.Duration
	// RouteTime is how long a new process answers 404 to everything.
	RouteTime time.Duration
	// RecoveryTime is how long an elected master reads its registry.
	RecoveryTime time.Duration
	// SessionTimeout is --zk_session_timeout, default 10 s.
	SessionTimeout time.Duration
	// Idle is how long before its end a process was last heard by ZooKeeper. Its
	// session ends that much earlier. A real client speaks every third of the
	// session timeout at the latest; default a thirteenth of it.
	Idle time.Duration
	// IdleOf, if set, is asked instead of Idle for each process whose session is
	// to end; tests that follow a recorded election know better.
	IdleOf func(process int) time.Duration
	// JoinTime is the time from the end of BootTime to the process' node, and from
	// the return of ZooKeeper to a new one.
	JoinTime time.Duration
	// DetectTime is how long masters take to see a change of nodes.
	DetectTime time.Duration
	// ExitTime is how long a leader that lost its leadership takes to exit.
	ExitTime time.Duration
	// Numbers are the sequence numbers of the nodes at the beginning, by process;
	// default 0, 1, 2, ...
	Numbers []int
}

// Phase is what a process is doing.
type Phase int

const (
	// Dead is a process that does not exist.
	Dead Phase = iota
	// Booting is a process that does not accept connections yet.
	Booting
	// Routing is a process that answers 404 to everything.
	Routing
	// Follower is a process that does not lead.
	Follower
	// Recovering is an elected master that has not read its registry.
	Recovering
	// Leading is an elected master.
	Leading
)

// EventKind is a kind of Event.
type EventKind int

const (
	// Listening means that a process accepts connections from now on.
	Listening EventKind = iota
	// Elected means that a process has become the leader and now reads its
	// registry.
	Elected
	// Exited means that a process has ended itself.
	Exited
)

// Event is something that became of a process.
type Event struct {
	Kind   EventKind
	Master int
	At     time.Time
	// Why is the last line of the log of a process that exited.
	Why string
}

// Last words of processes that end themselves (Mesos master/master.cpp detected,
// lostCandidacy).
const (
	lostLeadership = "Lost leadership after indecisive election... committing suicide!"
	lostCandidacy  = "Lost candidacy as a leader... committing suicide!"
)

// none is the absence of a leader or of a node.
const none = -1

// process is one master process as ZooKeeper and the operating system see it.
type process struct {
	phase   Phase
	stopped bool // by SIGSTOP
	number  int  // of its node, none if it has none
	blind   bool // has no session: knows no leader
	life    int  // counts starts; timers of an older life are void
}

// node is a node whose process may be gone.
type node struct {
	number, owner int
	expires       time.Time // zero while somebody answers for the session
}

// Ensemble is the state of all processes.
type Ensemble struct {
	cfg    Config
	now    time.Time
	timers []timer
	made   int // timers so far
	out    []Event

	masters []*process
	nodes   []*node
	next    int // next sequence number
	zkDown  bool
	zkLives int
	seen    int // the leader the masters see, none if there is none
	changes int // of nodes, and of ZooKeeper's being there
}

// New returns an ensemble whose processes all run, the leader among them elected
// and recovered.
func New(cfg Config, now time.Time) (*Ensemble, error) {
	if cfg.Masters < 1 || !cfg.ZooKeeper && cfg.Masters != 1 {
		return nil, fmt.Errorf("election: %d masters, ZooKeeper %t: want one master, or several and ZooKeeper", cfg.Masters, cfg.ZooKeeper)
	}
	if cfg.SessionTimeout == 0 {
		cfg.SessionTimeout = 10 * time.Second
	}
	if cfg.Idle == 0 {
		cfg.Idle = cfg.SessionTimeout / 13
	}
	if cfg.Numbers != nil && len(cfg.Numbers) != cfg.Masters {
		return nil, fmt.Errorf("election: %d numbers for %d masters", len(cfg.Numbers), cfg.Masters)
	}
	e := &Ensemble{cfg: cfg, now: now, seen: none}
	for i := range cfg.Masters {
		p := &process{phase: Follower, number: none}
		e.masters = append(e.masters, p)
		if !cfg.ZooKeeper {
			continue
		}
		p.number = i
		if cfg.Numbers != nil {
			p.number = cfg.Numbers[i]
		}
		for _, n := range e.nodes {
			if n.number == p.number {
				return nil, fmt.Errorf("election: two masters have the number %d", n.number)
			}
		}
		e.nodes = append(e.nodes, &node{number: p.number, owner: i})
		e.next = max(e.next, p.number+1)
	}
	slices.SortFunc(e.nodes, func(a, b *node) int { return a.number - b.number })
	e.seen = 0
	if n := e.lowest(); n != nil {
		e.seen = n.owner
	}
	e.masters[e.seen].phase = Leading
	return e, nil
}

// lowest is the lowest node, nil if there is none.
func (e *Ensemble) lowest() *node {
	var low *node
	for _, n := range e.nodes {
		if low == nil || n.number < low.number {
			low = n
		}
	}
	return low
}

// Phase is what a process is doing; a stopped process does nothing at all.
func (e *Ensemble) Phase(i int) Phase { return e.masters[i].phase }

// Stopped tells whether a process is stopped by SIGSTOP.
func (e *Ensemble) Stopped(i int) bool { return e.masters[i].stopped }

// Leader is the process that a process takes for the leader, which may be dead.
func (e *Ensemble) Leader(i int) (int, bool) {
	if p := e.masters[i]; p.blind || e.seen == none {
		return 0, false
	}
	return e.seen, true
}

// Number is the sequence number of a process' node, false if it has none.
func (e *Ensemble) Number(i int) (int, bool) {
	n := e.masters[i].number
	return n, n != none
}

// Changes counts the changes of what Nodes returns.
func (e *Ensemble) Changes() int { return e.changes }

// Node is a node in ZooKeeper.
type Node struct {
	// Number is the sequence number in its name.
	Number int
	// Master is the process it names, which may have died.
	Master int
}

// Nodes are the nodes in ZooKeeper by number; an error if ZooKeeper is not there.
func (e *Ensemble) Nodes() ([]Node, error) {
	if e.zkDown || !e.cfg.ZooKeeper {
		return nil, fmt.Errorf("election: ZooKeeper is not there")
	}
	var out []Node
	for _, n := range e.nodes { // kept in order: numbers only grow
		out = append(out, Node{n.number, n.owner})
	}
	return out, nil
}
