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

package conformance

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing/synctest"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// What masters that are elected by a ZooKeeper took their time for.
const (
	ensembleBootTime     = 60 * time.Millisecond
	joinTime             = 35 * time.Millisecond
	detectTime           = 3 * time.Millisecond
	exitTime             = 15 * time.Millisecond
	ensembleRecoveryTime = 40 * time.Millisecond
)

// lastHeard is when ZooKeeper had last heard of a master before it was killed or
// stopped, which is chance: so much earlier than 10 s later its session ended.
var lastHeard = map[string]time.Duration{"master": 758 * time.Millisecond, "master2": 475 * time.Millisecond}

// masterPorts are the names of the masters of a cluster, and their ports by name.
func masterPorts(n, first int) ([]string, map[string]int) {
	names := []string{"master"}
	for i := 2; i <= n; i++ {
		names = append(names, "master"+strconv.Itoa(i))
	}
	ports := map[string]int{}
	for i, name := range names {
		ports[name] = first - 10*i // the recorder's way
	}
	return names, ports
}

// ensembleConfig is the configuration of several masters. Which of them leads is
// chance too: the nodes that the recording shows tell, or else where the others
// send their clients.
func (r *replay) ensembleConfig(l *line, c *cluster) mesosmaster.EnsembleConfig {
	names, ports := masterPorts(c.masters, c.cfg.Port)
	cfg := mesosmaster.EnsembleConfig{
		Config: c.cfg, JoinTime: joinTime, DetectTime: detectTime, ExitTime: exitTime,
		IdleOf: func(i int) time.Duration { return lastHeard[names[i]] },
	}
	cfg.BootTime, cfg.RecoveryTime = ensembleBootTime, ensembleRecoveryTime
	numbers := map[int]int{}
	leader := 0
	for _, next := range r.lines[l.pos+1:] {
		if next.startsMaster() {
			break
		}
		if port, number, ok := masterNode(next); ok && next.Action == "znode" {
			numbers[port] = number
		}
		if to, ok := strings.CutPrefix(next.Headers["Location"], "//"); ok && leader == 0 {
			if u, err := url.Parse("http://" + to); err == nil {
				leader, _ = strconv.Atoi(u.Port()) // zero is none
			}
		}
	}
	for i, name := range names {
		port := ports[name]
		number, ok := numbers[port]
		switch {
		case ok:
		case port == leader:
			number = 0
		default:
			number = i + 1
		}
		cfg.Addresses = append(cfg.Addresses, mesosmaster.Address{Hostname: c.cfg.Hostname, IP: c.cfg.IP, Port: port})
		cfg.Numbers = append(cfg.Numbers, number)
	}
	r.masterNames = names
	return cfg
}

// masterNode reads the node of a master: the port it names and its number.
func masterNode(l *line) (port, number int, ok bool) {
	_, text, ok := strings.Cut(l.Path, "/json.info_")
	if !ok {
		return 0, 0, false
	}
	var info struct {
		Port int `json:"port"`
	}
	number, err := strconv.Atoi(text)
	if err != nil || json.Unmarshal([]byte(nodeData(l)), &info) != nil {
		return 0, 0, false
	}
	return info.Port, number, true
}

// nodeData is the recorded content of a node.
func nodeData(l *line) string { return memberText(parseBody(l.Raw), "data") }

// baseOf is the URL of the master a call goes to: the one its connection is named
// after, or else the leader.
func (r *replay) baseOf(l *line) string {
	if r.ensemble == nil {
		return r.base
	}
	if i := slices.Index(r.masterNames, l.Conn); i >= 0 {
		return r.ensemble.MasterURL(i)
	}
	if i, ok := r.ensemble.Leader(); ok {
		return r.ensemble.MasterURL(i)
	}
	return r.ensemble.MasterURL(0)
}

// newLeader puts the allocation interval of a leader that has just been elected
// on its recorded phase.
func (r *replay) newLeader(i int) {
	if r.ensemble == nil {
		return
	}
	if leader, ok := r.ensemble.Leader(); ok && leader != r.leader {
		r.leader = leader
		r.schedule(i)
	}
}

// ensembleProcess does something to one of several masters or to ZooKeeper.
func (r *replay) ensembleProcess(l *line) error {
	defer synctest.Wait()
	i := slices.Index(r.masterNames, l.Process)
	switch {
	case l.Process == "zookeeper" && l.Signal == "SIGKILL":
		r.ensemble.StopZooKeeper()
	case i < 0:
		r.report.add(l.Number, "admin", "the replay cannot do: %s %s %s", l.Action, l.Process, l.Signal)
	case l.Action == "start process":
		return r.ensemble.Begin(i)
	case l.Signal == "SIGKILL" || l.Signal == "SIGTERM":
		r.ensemble.Kill(i)
	case l.Signal == "SIGSTOP":
		r.ensemble.Suspend(i)
	case l.Signal == "SIGCONT":
		r.ensemble.Continue(i)
	}
	return nil
}

// isMaster tells whether a line is about one of several masters, or ZooKeeper.
func (r *replay) isMaster(l *line) bool {
	return r.ensemble != nil && (strings.HasPrefix(l.Process, "master") || l.Process == "zookeeper")
}

// compareNode compares a node in ZooKeeper: its data, and whether it ends with a
// session. Log replicas get their numbers by chance.
func (r *replay) compareNode(l *line) {
	r.report.Compared["nodes in ZooKeeper"]++
	add := func(format string, args ...any) { r.report.add(l.Number, "znode "+l.Path, format, args...) }
	nodes, err := r.ensemble.Znodes()
	if err != nil {
		add("%v", err)
		return
	}
	data := nodeData(l)
	replica := strings.Contains(l.Path, "/log_replicas/")
	i := slices.IndexFunc(nodes, func(n mesosmaster.Znode) bool {
		return n.Path == l.Path && !replica || replica && strings.Contains(n.Path, "/log_replicas/") && string(n.Data) == data
	})
	if i < 0 {
		add("no such node")
		return
	}
	ephemeral := memberText(parseBody(l.Raw), "stat", "ephemeralOwner") != "0x0"
	if nodes[i].Ephemeral != ephemeral {
		add("ephemeral: recorded %t, emulated %t", ephemeral, nodes[i].Ephemeral)
	}
	if !strings.HasPrefix(data, "{") {
		if string(nodes[i].Data) != data {
			add("data: recorded %q, emulated %q", data, nodes[i].Data)
		}
		return
	}
	// The very bytes: one line of JSON with sorted keys.
	if d := r.ids.pairText(data, string(nodes[i].Data)); d != "" {
		add("data: %s", d)
	}
}

// startMasters makes the emulator of a cluster.
func (r *replay) startMasters(l *line, c *cluster) error {
	var err error
	r.ensemble, r.leader = nil, 0
	if c.masters == 1 {
		r.master, err = mesosmaster.NewMaster(c.cfg)
		return err
	}
	if r.ensemble, err = mesosmaster.NewEnsemble(r.ensembleConfig(l, c)); err != nil {
		return fmt.Errorf("several masters: %w", err)
	}
	r.master = r.ensemble.Master
	r.leader, _ = r.ensemble.Leader()
	return nil
}
