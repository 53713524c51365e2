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

package mesos_test

import (
	"context"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/detect"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/zk"
)

// ensemble runs a test against three masters, of which the second leads, with the
// times of recording 22. The session knows all of them.
func ensemble(t *testing.T, f func(t *testing.T, e *mesosmaster.Ensemble, i *instance)) {
	t.Helper()
	ensembleBy(t, func(_ *testing.T, e *mesosmaster.Ensemble) detect.Detector {
		var list []string
		for n := range e.Masters() {
			// The leader first: the worst order for whoever loses it.
			list = append(list, e.Address((n+1)%e.Masters()))
		}
		return static(list...)
	}, f)
}

// byZooKeeper knows the masters from the ensemble's ZooKeeper.
func byZooKeeper(t *testing.T, e *mesosmaster.Ensemble) detect.Detector {
	t.Helper()
	server := zk.NewServer(e)
	t.Cleanup(server.Close)
	d, err := detect.New([]string{"zk://zk.example/mesos"}, detect.Options{
		Dial: func(context.Context, string) (net.Conn, error) { return server.Dial() },
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func ensembleBy(t *testing.T, find func(*testing.T, *mesosmaster.Ensemble) detect.Detector, f func(t *testing.T, e *mesosmaster.Ensemble, i *instance)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e, err := mesosmaster.NewEnsemble(mesosmaster.EnsembleConfig{
			Config: mesosmaster.Config{
				Agents:    []mesosmaster.AgentConfig{{Hostname: "node-1", Resources: "cpus:4;mem:8192"}, {Hostname: "node-2", Resources: "cpus:8;mem:16384"}},
				RouteTime: 25 * time.Millisecond, RecoveryTime: 40 * time.Millisecond, AgentReregisterDelay: 500 * time.Millisecond,
			},
			Numbers: []int{2, 0, 3}, Idle: 500 * time.Millisecond, JoinTime: 100 * time.Millisecond,
			DetectTime: 20 * time.Millisecond, ExitTime: 15 * time.Millisecond,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		i := run(t, e.Master, &ids{}, func(cfg *mesos.Config) {
			cfg.Masters = find(t, e)
		})
		after(2 * time.Second)
		i.launch(t, "node-1", "uid.1")
		after(2 * time.Second)
		if got := i.Status(); got.State != mesos.StateSubscribed || got.Master != e.Address(1) || i.cache.state("uid.1") != claims.TaskRunning {
			t.Fatalf("the session is %+v, the task %q", got, i.cache.state("uid.1"))
		}
		f(t, e, i)
		if err := e.CheckInvariants(); err != nil {
			t.Error(err)
		}
		i.stop(t)
	})
}

// found checks that the session is subscribed at the leader as before, and that the
// leader knows the task.
func found(t *testing.T, e *mesosmaster.Ensemble, i *instance, id string) {
	t.Helper()
	leader, ok := e.Leader()
	if got := i.Status(); !ok || got.State != mesos.StateSubscribed || got.Master != e.Address(leader) || got.FrameworkID != id {
		t.Fatalf("the session is %+v; master %d leads: %v", got, leader, ok)
	}
	after(5 * time.Second)
	i.cache.mu.Lock()
	clear(i.cache.states)
	i.cache.mu.Unlock()
	if err := i.Reconcile(t.Context(), mesos.TaskRef{TaskID: "uid.1", AgentID: agentOf(e.Master, "node-1")}); err != nil {
		t.Fatal(err)
	}
	after(time.Second)
	if got := i.cache.state("uid.1"); got != claims.TaskRunning {
		t.Errorf("the task is %q", got)
	}
}

func TestLeaderIsKilled(t *testing.T) {
	ensemble(t, func(t *testing.T, e *mesosmaster.Ensemble, i *instance) {
		id := i.Status().FrameworkID
		e.Kill(1)
		// Until its ZooKeeper session ends, the others redirect to the dead one.
		after(5 * time.Second)
		i.cache.mu.Lock()
		offers := len(i.cache.offers)
		i.cache.mu.Unlock()
		if got := i.Status(); got.State != mesos.StateBackoff || offers != 0 {
			t.Errorf("the session is %+v with %d offers", got, offers)
		}
		after(10 * time.Second)
		found(t, e, i, id)
	})
}

// TestLeaderIsStopped: its stream stays open and silent. The session gives it up
// and does not ask the stopped master again before the others.
func TestLeaderIsStopped(t *testing.T) {
	ensemble(t, func(t *testing.T, e *mesosmaster.Ensemble, i *instance) {
		id := i.Status().FrameworkID
		e.Suspend(1)
		// Three heartbeats of silence, and the wait before the next try.
		after(50 * time.Second)
		found(t, e, i, id)
		e.Continue(1)
		after(5 * time.Second)
		found(t, e, i, id)
		i.cache.mu.Lock()
		defer i.cache.mu.Unlock()
		if got := len(i.cache.subscriptions); got != 2 {
			t.Errorf("%d subscriptions, want 2", got)
		}
	})
}

// TestZooKeeperTellsOfTheLeader: killed or stopped, it is replaced within a second of the
// end of its ZooKeeper session, which lasts for 10 s. Of a list alone the stop would be
// noticed only after three heartbeats.
func TestZooKeeperTellsOfTheLeader(t *testing.T) {
	for name, fail := range map[string]func(*mesosmaster.Ensemble){
		"killed":  func(e *mesosmaster.Ensemble) { e.Kill(1) },
		"stopped": func(e *mesosmaster.Ensemble) { e.Suspend(1) },
	} {
		t.Run(name, func(t *testing.T) {
			ensembleBy(t, byZooKeeper, func(t *testing.T, e *mesosmaster.Ensemble, i *instance) {
				id, before := i.Status().FrameworkID, len(e.Calls())
				fail(e)
				after(11 * time.Second)
				found(t, e, i, id)
				subscribed := 0
				for _, c := range e.Calls()[before:] {
					if c.Type == "SUBSCRIBE" {
						subscribed++
					}
				}
				if subscribed > 30 {
					t.Errorf("%d SUBSCRIBEs reached a master", subscribed)
				}
				i.cache.mu.Lock()
				defer i.cache.mu.Unlock()
				if got := len(i.cache.subscriptions); got != 2 {
					t.Errorf("%d subscriptions, want 2", got)
				}
			})
		})
	}
}

// TestZooKeeperDies: the leader goes on until its session ends, then no master leads. With
// the ZooKeeper one leads again, and we find it without being told its address.
func TestZooKeeperDies(t *testing.T) {
	ensembleBy(t, byZooKeeper, func(t *testing.T, e *mesosmaster.Ensemble, i *instance) {
		id := i.Status().FrameworkID
		e.StopZooKeeper()
		after(5 * time.Second)
		if got := i.Status(); got.State != mesos.StateSubscribed {
			t.Errorf("while the leader leads: %+v", got)
		}
		after(15 * time.Second)
		if got := i.Status(); got.State == mesos.StateSubscribed || !slices.Contains([]mesos.Reason{mesos.ReasonNoMaster, mesos.ReasonStreamEnded}, got.Reason) {
			t.Errorf("without a leader: %+v", got)
		}
		e.StartZooKeeper()
		for n := range e.Masters() {
			if err := e.Begin(n); err != nil {
				t.Log(err) // it never ended
			}
		}
		after(20 * time.Second)
		found(t, e, i, id)
	})
}
