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
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/election"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/zk"
)

// EnsembleConfig configures several masters that share agents, a registry and a
// ZooKeeper.
type EnsembleConfig struct {
	Config
	// Addresses are where the masters are, one each; Listen changes them. Default:
	// three on 127.0.0.1, ports 5050, 5051 and 5052.
	Addresses []Address
	// Numbers are the sequence numbers of the masters' nodes in the beginning, the
	// lowest leads; default 0, 1, 2, ...
	Numbers []int
	// ZooKeeperPath is the path of --zk, default "/mesos".
	ZooKeeperPath string
	// ZooKeeperReader is the "user:password" of the scheme "digest" that is needed to
	// list and read the nodes; default: everybody may, as masters make it.
	ZooKeeperReader string
	// SessionTimeout is --zk_session_timeout, default 10 s.
	SessionTimeout time.Duration
	// Idle is how long before its end a master was last heard by ZooKeeper; its
	// session ends that much earlier. Default a thirteenth of SessionTimeout.
	Idle time.Duration
	// IdleOf, if set, is asked instead of Idle for each master whose session is to
	// end.
	IdleOf func(master int) time.Duration
	// JoinTime is how long a master takes to get a node, recorded 100 ms, and
	// DetectTime how long to see the nodes of others, recorded 20 ms; default
	// none.
	JoinTime, DetectTime time.Duration
	// ExitTime is how long a leader that was deposed while it was stopped takes to
	// exit after SIGCONT, recorded 15 ms; default none.
	ExitTime time.Duration
}

// Ensemble is several masters of which one leads. Embedded in it is the cluster
// they share: its methods show and disturb frameworks, agents and tasks, whoever
// leads; its Stop and StartAgain are those of the leader and of the first dead
// process. Masters are numbered from 0.
type Ensemble struct {
	*Master
	zkPath   string
	reader   string
	replicas map[int]int // log replicas' sequence numbers by that of the master's node
}

// NewEnsemble returns masters that all run, one of them elected, with the agents
// registered.
func NewEnsemble(cfg EnsembleConfig) (*Ensemble, error) {
	if cfg.CallLog == 0 {
		cfg.CallLog = defaultCallLog
	}
	if cfg.Addresses == nil {
		for i := range 3 {
			cfg.Addresses = append(cfg.Addresses, Address{Hostname: "127.0.0.1", IP: "127.0.0.1", Port: defaultPort + i})
		}
	}
	if cfg.ZooKeeperPath == "" {
		cfg.ZooKeeperPath = "/mesos"
	}
	m, err := newCluster(cfg.Config, election.Config{
		Masters: len(cfg.Addresses), ZooKeeper: true, Numbers: cfg.Numbers,
		BootTime: cfg.BootTime, RouteTime: cfg.RouteTime, RecoveryTime: cfg.RecoveryTime,
		SessionTimeout: cfg.SessionTimeout, Idle: cfg.Idle, IdleOf: cfg.IdleOf,
		JoinTime: cfg.JoinTime, DetectTime: cfg.DetectTime, ExitTime: cfg.ExitTime,
	}, cfg.Addresses)
	if err != nil {
		return nil, err
	}
	return &Ensemble{Master: m, zkPath: cfg.ZooKeeperPath, reader: cfg.ZooKeeperReader, replicas: map[int]int{}}, nil
}

// Masters is the number of processes, dead ones included.
func (e *Ensemble) Masters() int { return len(e.processes) }

// Listen makes master i listen on addr ("127.0.0.1:0" for any port), from which
// it takes its address.
func (e *Ensemble) Listen(i int, addr string) error {
	if err := e.start(i, addr); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tellZnodes()
	return nil
}

// Address is the host:port of master i.
func (e *Ensemble) Address(i int) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.processes[i].address()
}

// MasterURL is the base URL of master i.
func (e *Ensemble) MasterURL(i int) string { return e.scheme() + "://" + e.Address(i) }

// MasterHandler is the HTTP interface of master i.
func (e *Ensemble) MasterHandler(i int) http.Handler { return e.handler(e.processes[i]) }

// Leader is the master that leads; false while none does.
func (e *Ensemble) Leader() (i int, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.owner, e.owner != nobody
}

// LastWords is the last line of the log of a master that has ended itself, empty
// for one that runs or was killed.
func (e *Ensemble) LastWords(i int) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.processes[i].why
}

// Kill is SIGKILL, or SIGTERM, of master i: its connections break. The others go
// on naming it until its ZooKeeper session has ended.
func (e *Ensemble) Kill(i int) { e.with(func(now time.Time) { e.kill(now, e.processes[i]) }) }

// Suspend is SIGSTOP of master i: nothing breaks, nothing is answered. A leader
// is deposed when its session has ended. While nobody leads in its place, the
// emulated agents stand still with it.
func (e *Ensemble) Suspend(i int) { e.with(func(now time.Time) { e.stop(now, e.processes[i]) }) }

// Continue is SIGCONT of master i. A leader that was deposed meanwhile exits;
// another goes on.
func (e *Ensemble) Continue(i int) { e.with(func(now time.Time) { e.proceed(now, e.processes[i]) }) }

// Begin starts a dead master i again, on its old address.
func (e *Ensemble) Begin(i int) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.election.Phase(i) != election.Dead {
		return fmt.Errorf("mesosmaster: master %d runs", i)
	}
	return e.startAgain(e.processes[i])
}

// StopZooKeeper is the death of the ZooKeeper. Masters go on for SessionTimeout;
// then the leader exits and the others know no leader.
func (e *Ensemble) StopZooKeeper() { e.with(e.election.StopZooKeeper) }

// StartZooKeeper brings it back, with the nodes it had.
func (e *Ensemble) StartZooKeeper() { e.with(e.election.StartZooKeeper) }

func (e *Ensemble) with(f func(now time.Time)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	f(now)
	e.settle(now)
}

// Znode is a node in ZooKeeper.
type Znode = zk.Node

// ZnodesChanged gets a value after changes of what Znodes returns. Only one
// receiver learns of each: a zk.Server.
func (e *Ensemble) ZnodesChanged() <-chan struct{} { return e.znodes }

// ErrNoZooKeeper is returned by Znodes while the ZooKeeper is dead.
var ErrNoZooKeeper = errors.New("mesosmaster: ZooKeeper is not there")

// Znodes are the nodes in ZooKeeper, parents first and by name: that of each
// master, as it writes it, and of each replica of the registry.
func (e *Ensemble) Znodes() ([]Znode, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	nodes, err := e.election.Nodes()
	if err != nil {
		return nil, ErrNoZooKeeper
	}
	out := []Znode{{Path: e.zkPath, Reader: e.reader}}
	var replicas []Znode
	for _, n := range nodes {
		info, err := e.info(e.processes[n.Master])
		if err != nil {
			return nil, err
		}
		out = append(out, Znode{Path: fmt.Sprintf("%s/json.info_%010d", e.zkPath, n.Number), Data: info, Ephemeral: true, Reader: e.reader})
		seq, ok := e.replicas[n.Number]
		if !ok {
			seq = len(e.replicas)
			e.replicas[n.Number] = seq
		}
		p := e.processes[n.Master]
		replicas = append(replicas, Znode{
			Path: fmt.Sprintf("%s/log_replicas/%010d", e.zkPath, seq),
			Data: fmt.Appendf(nil, "log-replica(1)@%s", hostPort(p.ip, p.port)), Ephemeral: true,
		})
	}
	out = append(out, Znode{Path: e.zkPath + "/log_replicas"})
	return append(out, replicas...), nil
}

// info is the MasterInfo a master puts into its node: one line of JSON with
// sorted keys (Mesos master/contender/zookeeper.cpp).
func (e *Ensemble) info(p *process) ([]byte, error) {
	info := e.core.InfoOf(p.id, p.hostname, p.ip, p.port)
	capabilities := []any{}
	for _, c := range info.Capabilities {
		name := c.Type.String()
		if name == "3" { // newer than the generated types
			name = "QUOTA_V2"
		}
		capabilities = append(capabilities, map[string]any{"type": name})
	}
	tree := map[string]any{
		"address":      map[string]any{"hostname": p.hostname, "ip": p.ip, "port": p.port},
		"capabilities": capabilities, "hostname": p.hostname, "id": p.id, "ip": info.IP, "pid": info.GetPID(),
		"port": p.port, "version": info.GetVersion(),
	}
	if d := info.GetDomain().GetFaultDomain(); d != nil {
		tree["domain"] = map[string]any{"fault_domain": map[string]any{
			"region": map[string]any{"name": d.Region.Name}, "zone": map[string]any{"name": d.Zone.Name},
		}}
	}
	return json.Marshal(tree)
}
