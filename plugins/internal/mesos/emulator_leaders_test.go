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
	"testing"
	"testing/synctest"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// ensemble runs a test against three masters, of which the second leads, with the
// times of recording 22. The session knows all of them.
func ensemble(t *testing.T, f func(t *testing.T, e *mesosmaster.Ensemble, i *instance)) {
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
			var list []string
			for n := range e.Masters() {
				// The leader first: the worst order for whoever loses it.
				list = append(list, e.Address((n+1)%e.Masters()))
			}
			cfg.Masters = static(list...)
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
