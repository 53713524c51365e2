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

package lifecycle

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
)

func TestWaitersAreForgotten(t *testing.T) {
	check := func(t *testing.T, r *rig) {
		t.Helper()
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.waiters) != 0 || len(r.outcomes) != 0 {
			t.Errorf("%d waiters and %d outcomes are left", len(r.waiters), len(r.outcomes))
		}
	}
	for name, end := range map[string]func(r *rig){
		"awaited":               func(r *rig) { r.Bound(r.held(testPod("p"), "n1")) },
		"awaited and cancelled": func(r *rig) { r.Cancel(r.held(testPod("p"), "n1")) },
		"cancelled at once":     func(r *rig) { r.Cancel(r.reserved(testPod("p"), "n1")) },
		"cancelled while launching": func(r *rig) {
			id := r.reserved(testPod("p"), "n1")
			r.pass(time.Second)
			r.Cancel(id)
		},
		"given up waiting": func(r *rig) {
			id := r.reserved(testPod("p"), "n1")
			ctx, cancel := context.WithTimeout(r.t.Context(), time.Second)
			defer cancel()
			if _, err := r.Await(ctx, id); err == nil {
				r.t.Error("nothing came and Await returned")
			}
			r.Cancel(id)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				end(r)
				check(t, r)
			})
		})
	}
}

// A batch that nobody can join is sent without waiting for the scheduler to pause,
// however long the linger is.
func TestCompleteBatchesAreSentAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		maxTasks int
		offered  int64
		sent     bool
	}{
		"room for more":      {100, 3, false},
		"as many as allowed": {2, 3, true},
		"no room for more":   {100, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				r.node("n1")
				r.keepOpen()
				r.mu.Lock()
				r.cfg.MaxTasks = test.maxTasks
				r.mu.Unlock()
				pods := []*v1.Pod{testPod("p"), testPod("q")}
				for _, pod := range pods {
					r.podChanged(pod)
				}
				r.Offers([]offers.Offer{offer("o", "n1", test.offered)})
				synctest.Wait()
				r.master.take()
				var ids []string
				for _, pod := range pods {
					ids = append(ids, r.mustReserve(pod, "n1"))
				}
				synctest.Wait()
				phase := claims.Reserved
				if test.sent {
					phase = claims.Launching
				}
				for _, id := range ids {
					if got := r.phase(id); got != phase {
						t.Errorf("the claim %s is %s, want %s", id, got, phase)
					}
				}
			})
		})
	}
}

// A batch that others may join is sent when the scheduler pauses for the linger, and
// not only when the loop next looks at the time.
func TestBatchesAreSentAfterTheLinger(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.keepOpen()
		r.mu.Lock()
		r.cfg.Linger, r.cfg.MaxLinger = 5*time.Millisecond, time.Second
		r.mu.Unlock()
		r.node("n1")
		r.podChanged(testPod("p"))
		r.Offers([]offers.Offer{offer("o", "n1", 2)})
		r.pass(2 * tickEvery) // the loop sleeps until its next tick
		r.Begin(testPod("other"))
		id := r.mustReserve(testPod("p"), "n1")
		r.pass(4 * time.Millisecond)
		if got := r.phase(id); got != claims.Reserved {
			t.Errorf("before the linger is over the claim is %s", got)
		}
		r.pass(time.Millisecond)
		if got := r.phase(id); got != claims.Launching {
			t.Errorf("after the linger the claim is %s", got)
		}
	})
}

func TestOutcomeComesBeforeAwait(t *testing.T) {
	inBubble(t, func(r *rig) {
		id := r.reserved(testPod("p"), "n1")
		r.pass(time.Second)
		r.Updated(claims.TaskStatus{TaskID: id, AgentID: "a-n1", State: claims.TaskRunning})
		if outcome, err := r.Await(r.t.Context(), id); err != nil || !outcome.OK {
			t.Errorf("Await = %+v, %v", outcome, err)
		}
	})
}
