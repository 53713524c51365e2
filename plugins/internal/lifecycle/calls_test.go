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
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

func TestCallQueueKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newCallQueue()
		var running sync.WaitGroup
		running.Go(func() { q.run(t.Context()) })
		var made []int
		for i := range 100 {
			q.add(func(context.Context) {
				made = append(made, i)
				if i%10 == 0 {
					// Calls may add calls.
					q.add(func(context.Context) { made = append(made, 1000+i) })
				}
			})
		}
		q.drain(t.Context())
		// Those added by calls join wherever the queue's end is at the time.
		byCalls := slices.Clone(made)
		byCalls = slices.DeleteFunc(byCalls, func(i int) bool { return i < 1000 })
		ours := slices.DeleteFunc(slices.Clone(made), func(i int) bool { return i >= 1000 })
		if len(ours) != 100 || len(byCalls) != 10 || !slices.IsSorted(ours) || !slices.IsSorted(byCalls) {
			t.Errorf("calls were made in the order %v", made)
		}
		q.close()
		q.add(func(context.Context) { t.Error("a call was made after the queue was closed") })
		running.Wait()
	})
}

func TestCallQueueDrainEnds(t *testing.T) {
	for name, end := range map[string]func(q *callQueue, cancel func()){
		"with its context":           func(_ *callQueue, cancel func()) { cancel() },
		"when the queue is closed":   func(q *callQueue, _ func()) { q.close() },
		"with both at the same time": func(q *callQueue, cancel func()) { go q.close(); cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newCallQueue()
				var running sync.WaitGroup
				hang := make(chan struct{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				running.Go(func() { q.run(t.Context()) })
				q.add(func(context.Context) { <-hang })
				drained := make(chan struct{})
				go func() { q.drain(ctx); close(drained) }()
				synctest.Wait()
				select {
				case <-drained:
					t.Fatal("drain returned although a call is still made")
				default:
				}
				end(q, cancel)
				<-drained
				close(hang)
				q.close()
				running.Wait()
			})
		})
	}
}

// The end of a context that comes just before drain waits must not be missed.
func TestCallQueueDrainRacesItsContext(*testing.T) {
	q := newCallQueue()
	hang := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { q.run(context.Background()) })
	q.add(func(context.Context) { <-hang })
	for range 2000 {
		ctx, cancel := context.WithCancel(context.Background())
		go cancel()
		q.drain(ctx)
	}
	close(hang)
	q.close()
	running.Wait()
}

func TestFailedDeclineIsRepeated(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.master.failNext("DECLINE", errors.New("no route"), errors.New("no route"))
		foreign := offer("o1", "n1", 1)
		foreign.Role = "other"
		second := offer("o2", "n2", 1)
		second.Role = "another"
		r.Offers([]offers.Offer{foreign, second})
		r.wantCalls("DECLINE o1+o2 for 1h0m0s")
		r.pass(callRetry)
		// Without a filter: a REVIVE may have gone out meanwhile.
		r.wantCalls("DECLINE o1+o2 for 0s")
		r.pass(callRetry)
		r.wantCalls("DECLINE o1+o2 for 0s")
		r.pass(time.Minute)
		r.wantCalls()
		if held, _ := r.cache.Totals(); held != 0 {
			t.Errorf("%d offers of a foreign role are held", held)
		}
	})
}

func TestDeclineIsNotRepeatedInTheNextSubscription(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.master.failNext("DECLINE", errors.New("no route"))
		foreign := offer("o1", "n1", 1)
		foreign.Role = "other"
		r.Offers([]offers.Offer{foreign})
		r.wantCalls("DECLINE o1 for 1h0m0s")
		r.Disconnected(errors.New("gone"))
		r.Subscribed(mesos.Subscription{FrameworkID: "fw", Roles: []mesos.RoleAsk{{Name: "web", Suppressed: true}}})
		r.pass(time.Minute)
		r.wantCalls("RECONCILE all")
	})
}

func TestFailedReviveAndSuppressAreRepeated(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.master.failNext("REVIVE", errors.New("no route"), errors.New("no route"))
		r.podChanged(testPod("p"))
		r.wantCalls("REVIVE")
		r.pass(2 * callRetry)
		r.pass(2 * callRetry)
		r.wantCalls("REVIVE", "REVIVE")
		r.master.failNext("SUPPRESS", errors.New("no route"))
		r.podGone(testPod("p"))
		r.wantCalls()
		r.pass(time.Second)
		r.wantCalls("SUPPRESS")
		r.pass(2 * callRetry)
		r.wantCalls("SUPPRESS")
		r.pass(time.Minute)
		r.wantCalls()
	})
}

func TestAcceptOutcomes(t *testing.T) {
	for _, test := range []struct {
		name  string
		err   error
		phase claims.Phase
		cause claims.Cause
		calls []string
	}{
		{"accepted", nil, claims.Launching, "", nil},
		{"not subscribed", mesos.ErrNotSubscribed, "", claims.CauseDisconnected, nil},
		{"refused", &mesos.CallError{Type: "ACCEPT", Status: 400, Sent: true}, "", claims.CauseFailed, []string{"DECLINE o1 for 0s"}},
		{"not sent", &mesos.CallError{Type: "ACCEPT", Err: errors.New("no route")}, "", claims.CauseFailed, []string{"DECLINE o1 for 0s"}},
		{"answer lost", &mesos.CallError{Type: "ACCEPT", Sent: true, Err: errors.New("reset")}, claims.Launching, "", []string{"DECLINE o1 for 0s", "RECONCILE TASK"}},
		{"answered 502", &mesos.CallError{Type: "ACCEPT", Status: 502, Sent: true}, claims.Launching, "", []string{"DECLINE o1 for 0s", "RECONCILE TASK"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				r.node("n1")
				r.podChanged(testPod("p"))
				r.Offers([]offers.Offer{offer("o1", "n1", 3)})
				r.wantCalls("REVIVE")
				if test.err != nil {
					r.master.failNext("ACCEPT", test.err)
				}
				id := r.mustReserve(testPod("p"), "n1")
				r.pass(100 * time.Millisecond)
				want := []string{"ACCEPT o1 of a-n1, 1 tasks"}
				for _, call := range test.calls {
					want = append(want, strings.Replace(call, "TASK", id, 1))
				}
				// Whether the pod that wants offers again needs a REVIVE is not ours here.
				got := slices.DeleteFunc(r.master.take(), func(call string) bool { return call == "REVIVE" })
				if !slices.Equal(got, want) {
					t.Errorf("calls %q, want %q", got, want)
				}
				if got := r.phase(id); got != test.phase {
					t.Errorf("the claim is %q, want %q", got, test.phase)
				}
				if test.cause == "" {
					return
				}
				if outcome, err := r.Await(r.t.Context(), id); err != nil || outcome.OK || outcome.Cause != test.cause {
					t.Errorf("the launch ended with %+v, %v, want cause %s", outcome, err, test.cause)
				}
				if all, _ := r.demanded(); all != 1 {
					t.Errorf("%d pods want offers, want 1", all)
				}
			})
		})
	}
}

func TestAcceptSaysWhatItLaunches(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.node("n1")
		r.podChanged(testPod("p"))
		r.podChanged(testPod("q"))
		r.Offers([]offers.Offer{offer("o1", "n1", 1), offer("o2", "n1", 2)})
		id := r.mustReserve(testPod("p"), "n1")
		r.pass(100 * time.Millisecond)
		launch := r.master.lastLaunch(t)
		if !slices.Equal(launch.OfferIDs, []string{"o1", "o2"}) || launch.AgentID != "a-n1" || launch.Role != "web" || launch.Refuse != 0 {
			t.Errorf("ACCEPT of %v, agent %s, role %s, refusing the rest for %s although a pod waits", launch.OfferIDs, launch.AgentID, launch.Role, launch.Refuse)
		}
		want := []mesos.Label{{Key: LabelNamespace, Value: "ns"}, {Key: LabelName, Value: "p"}, {Key: LabelUID, Value: "uid-p"}}
		if len(launch.Tasks) != 1 || launch.Tasks[0].ID != id || !reflect.DeepEqual(launch.Tasks[0].Parts, []resources.Portion{{Bundle: resources.Bundle{Vector: podNeed}}}) || !slices.Equal(launch.Tasks[0].Labels, want) {
			t.Errorf("tasks %+v", launch.Tasks)
		}
	})
}

// A batch for a node is worth nothing on another one.
func TestAgentThatBecomesAnotherNodeLaunchesNothing(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.node("n1")
		r.podChanged(testPod("p"))
		r.Offers([]offers.Offer{offer("o1", "n1", 3)})
		r.keepOpen()
		id := r.mustReserve(testPod("p"), "n1")
		r.wantCalls("REVIVE")
		r.nodeGone("n1")
		r.pass(2 * time.Second)
		if got := r.master.take(); !slices.Contains(got, "DECLINE o1 for 0s") || len(r.master.launches) > 0 {
			t.Errorf("calls %q, want a DECLINE and no ACCEPT", got)
		}
		if outcome, err := r.Await(r.t.Context(), id); err != nil || outcome.Cause != claims.CauseOfferGone {
			t.Errorf("the launch ended with %+v, %v", outcome, err)
		}
	})
}

func TestStopDeclinesThenSuppresses(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.node("n1")
		r.node("n2")
		r.podChanged(testPod("p"))
		r.Offers([]offers.Offer{offer("o1", "n1", 1), offer("o2", "n2", 1)})
		r.wantCalls("REVIVE")
		r.Stop(r.t.Context())
		r.wantCalls("DECLINE o1+o2 for 1m0s", "SUPPRESS")
		if _, suppressed := mesos.SplitRoles(r.SubscribeRoles()); len(suppressed) == 0 {
			t.Error("a stopping manager wants offers")
		}
		if r.Begin(testPod("p")).Connected {
			t.Error("a stopping manager takes pods")
		}
		if _, err := r.Reserve(testPod("p"), "n1", "web", offers.Plain(podNeed)); !errors.Is(err, ErrNotConnected) {
			t.Errorf("Reserve while stopping: %v", err)
		}
		r.pass(time.Minute)
		r.wantCalls()
	})
}

func TestStopEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Not running: nobody makes the calls.
		r := newRig(t)
		defer r.duties.ShutDown()
		r.Subscribed(mesos.Subscription{})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		r.Stop(ctx)
		if ctx.Err() == nil {
			t.Error("Stop returned before anybody told the master")
		}
	})
}
