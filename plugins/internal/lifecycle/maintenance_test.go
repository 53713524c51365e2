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
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/maintenance"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
)

// operator is the master's operator API: it lists one agent, of the node n1.
type operator struct {
	*master
	state   sync.Mutex
	agent   mesos.Agent
	windows []mesos.MaintenanceWindow
	// refuse is how the schedule is refused.
	refuse error
}

// set changes what the master says.
func (o *operator) set(change func()) {
	o.state.Lock()
	defer o.state.Unlock()
	change()
}

func (o *operator) Agents(context.Context) ([]mesos.Agent, error) {
	o.state.Lock()
	defer o.state.Unlock()
	return []mesos.Agent{o.agent}, nil
}

func (o *operator) Maintenance(context.Context) ([]mesos.MaintenanceWindow, error) {
	o.state.Lock()
	defer o.state.Unlock()
	return o.windows, o.refuse
}

func (o *operator) DrainAgent(_ context.Context, id string, grace time.Duration, _ bool) error {
	err := o.record("DRAIN", id+" within "+grace.String())
	if err == nil {
		o.set(func() {
			o.agent.Deactivated, o.agent.Drain = true, &mesos.AgentDrain{State: mesos.DrainStateDraining, MaxGrace: &grace}
		})
	}
	return err
}

func (o *operator) DeactivateAgent(_ context.Context, id string) error {
	err := o.record("DEACTIVATE", id)
	if err == nil {
		o.set(func() { o.agent.Deactivated = true })
	}
	return err
}

func (o *operator) ReactivateAgent(_ context.Context, id string) error {
	err := o.record("REACTIVATE", id)
	if err == nil {
		o.set(func() { o.agent.Deactivated, o.agent.Drain = false, nil })
	}
	return err
}

// upkeepRig is a rig with the node n1, its agent and a running pod there, whose claim is
// held.
type upkeepRig struct {
	*rig
	operator *operator
	shown    map[string]maintenance.Mark
}

// marks is what nodes are to show.
func (r *upkeepRig) marks() (marks map[string]maintenance.Mark) {
	r.operator.set(func() { marks = r.shown })
	return marks
}

func inUpkeep(t *testing.T, cfg MaintenanceConfig, pod *v1.Pod, test func(r *upkeepRig)) {
	synctest.Test(t, func(t *testing.T) {
		node := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
		r := &upkeepRig{rig: newRig(t, pod, node)}
		r.operator = &operator{master: r.master, agent: mesos.Agent{ID: "a-n1", Hostname: "n1", IP: "10.0.0.1", Active: true}}
		cfg.Show = func(marks map[string]maintenance.Mark, _ bool) { r.operator.set(func() { r.shown = marks }) }
		m := r.Manager
		m.cfg.Maintenance = cfg
		m.upkeep = newUpkeep(&m.cfg.Maintenance)
		m.Attach(r.master, r.operator, nil)
		m.SetOperator(r.operator)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { r.Run(ctx); close(done) }()
		defer func() { cancel(); <-done }()
		r.nodeChanged(node)
		r.podChanged(pod)
		r.subscribe()
		test(r)
	})
}

func (r *upkeepRig) subscribe() {
	r.Subscribed(mesos.Subscription{FrameworkID: "fw", Roles: []mesos.RoleAsk{{Name: "web", Suppressed: true}}})
	r.Updated(claims.TaskStatus{TaskID: "uid-p.7", AgentID: "a-n1", State: claims.TaskRunning})
	r.pass(3 * time.Second)
	r.master.take()
}

// plan puts the agent's machine into the schedule, in so long, for an hour.
func (r *upkeepRig) plan(in time.Duration) (start time.Time) {
	start = time.Now().Add(in)
	r.operator.set(func() {
		r.operator.windows = []mesos.MaintenanceWindow{{
			Machines: []mesos.Machine{{Hostname: "N1", IP: "10.0.0.1"}}, Unavailability: offers.Unavailability{Start: start, Duration: time.Hour},
		}}
	})
	r.pass(scheduleEvery + time.Second)
	return start
}

// took returns the calls of one type, of those since it was last called.
func (r *upkeepRig) took(call string) (calls []string) {
	for _, c := range r.master.take() {
		if strings.HasPrefix(c, call) {
			calls = append(calls, c)
		}
	}
	return calls
}

func (r *upkeepRig) wantTook(call string, want ...string) {
	r.t.Helper()
	if got := r.took(call); !slices.Equal(got, want) {
		r.t.Errorf("calls are %q, want %q", got, want)
	}
}

func (r *upkeepRig) drains(most *time.Duration) {
	r.operator.set(func() {
		r.operator.agent.Deactivated, r.operator.agent.Drain = true, &mesos.AgentDrain{State: mesos.DrainStateDraining, MaxGrace: most}
	})
}

func (r *upkeepRig) killed() (held bool) {
	return r.Updated(claims.TaskStatus{
		TaskID: "uid-p.7", AgentID: "a-n1", State: claims.TaskKilled, Reason: "REASON_AGENT_DRAINING", Source: "SOURCE_EXECUTOR", Timestamp: time.Now(),
	})
}

// condition is the pod's condition DisruptionTarget.
func (r *upkeepRig) condition() v1.ConditionStatus {
	r.t.Helper()
	pod, err := r.api.CoreV1().Pods("ns").Get(r.t.Context(), "p", metav1.GetOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == v1.DisruptionTarget && c.Reason == ReasonMaintenance {
			return c.Status
		}
	}
	return v1.ConditionUnknown
}

var fiveMinutes = MaintenanceConfig{Config: maintenance.Config{EvictBefore: 5 * time.Minute, BudgetFor: time.Minute}}

// tries answers evictions and counts them.
func (r *upkeepRig) tries(answer func(int) error) *atomic.Int32 {
	n := &atomic.Int32{}
	r.onEviction(func(i int) error {
		n.Add(1)
		return answer(i)
	})
	return n
}

func budgeted(int) error { return apierrors.NewTooManyRequests("no", 0) }

// Budgets count until the window begins.
func TestPodsLeaveBeforeTheWindow(t *testing.T) {
	inUpkeep(t, fiveMinutes, runs(1), func(r *upkeepRig) {
		tries := r.tries(budgeted)
		start := r.plan(20 * time.Minute)
		if want := (maintenance.Mark{Kind: maintenance.Maintenance, Window: maintenance.Window{Start: start.UTC(), Duration: time.Hour}}); r.marks()["n1"] != want {
			t.Errorf("marks are %v", r.marks())
		}
		if got := r.Gauges().Leaving; !maps.Equal(got, map[string]int{metrics.LeavingAnnounced: 1}) {
			t.Errorf("leaving are %v", got)
		}
		r.pass(time.Until(start.Add(-5*time.Minute - time.Second)))
		if tries.Load() > 0 {
			t.Error("evicted long before the window")
		}
		r.pass(2 * time.Second)
		if tries.Load() == 0 || r.condition() != v1.ConditionTrue {
			t.Errorf("%d evictions, the condition is %s", tries.Load(), r.condition())
		}
		r.wantEvent(EventMaintenance)
		r.pass(time.Until(start.Add(-time.Second)))
		if !r.exists("p") {
			t.Fatal("the budget did not count")
		}
		r.pass(time.Minute)
		if r.exists("p") {
			t.Error("the pod is there in the window")
		}
	})
}

func TestPodsThatEndInTimeAreLeftAlone(t *testing.T) {
	pod := runs(1)
	pod.Spec.ActiveDeadlineSeconds = new(int64(60))
	pod.Status.StartTime = &metav1.Time{Time: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}
	inUpkeep(t, fiveMinutes, pod, func(r *upkeepRig) {
		tries := r.tries(func(int) error { return nil })
		r.plan(2 * time.Minute)
		if tries.Load() > 0 {
			t.Error("evicted although it ends in time")
		}
	})
}

func TestCalledOff(t *testing.T) {
	inUpkeep(t, fiveMinutes, runs(1), func(r *upkeepRig) {
		r.onEviction(budgeted)
		r.plan(4 * time.Minute)
		if r.condition() != v1.ConditionTrue {
			t.Fatal("the pod is not told to go")
		}
		r.operator.set(func() { r.operator.windows = nil })
		r.pass(time.Minute)
		if r.condition() != v1.ConditionFalse || len(r.marks()) > 0 {
			t.Errorf("the condition is %s, the marks are %v", r.condition(), r.marks())
		}
	})
}

// The mark may be that of an earlier process, which saw the window called off no more.
func TestCalledOffMeanwhile(t *testing.T) {
	pod := runs(1)
	pod.Status.Conditions = []v1.PodCondition{{Type: v1.DisruptionTarget, Status: v1.ConditionTrue, Reason: ReasonMaintenance}}
	inUpkeep(t, fiveMinutes, pod, func(r *upkeepRig) {
		r.pass(time.Minute)
		if r.condition() != v1.ConditionFalse {
			t.Errorf("the condition is %s", r.condition())
		}
	})
}

func TestInverseOffersAreAnswered(t *testing.T) {
	inUpkeep(t, fiveMinutes, runs(1), func(r *upkeepRig) {
		start := time.Now().Add(time.Hour)
		ask := func(id string) {
			r.InverseOffers([]mesos.InverseOffer{{ID: id, AgentID: "a-n1", Unavailability: offers.Unavailability{Start: start, Duration: time.Hour}}})
			r.pass(2 * time.Second)
		}
		r.master.failNext("ANSWER_INVERSE", errors.New("no"))
		ask("i")
		r.pass(2 * time.Second)
		r.wantTook("ANSWER_INVERSE", "ANSWER_INVERSE false i for 5s", "ANSWER_INVERSE false i for 5s")
		ask("j")
		r.wantTook("ANSWER_INVERSE")
		// Another subscription: the master asks anew.
		r.Disconnected(errors.New("gone"))
		r.subscribe()
		ask("k")
		r.wantTook("ANSWER_INVERSE", "ANSWER_INVERSE false k for 5s")
		ask("l")
		r.podGone(runs(1))
		r.Updated(claims.TaskStatus{TaskID: "uid-p.7", AgentID: "a-n1", State: claims.TaskKilled})
		r.pass(2 * time.Second)
		r.wantTook("ANSWER_INVERSE", "ANSWER_INVERSE true l for 1h0m0s")
		ask("m")
		r.InverseRescinded("m")
		r.pass(time.Minute)
		if len(r.marks()) > 0 {
			// The schedule, read since, does not name the machine.
			t.Errorf("marks are %v", r.marks())
		}
	})
}

// A drained agent waits for the pod: its task's end is acknowledged when that is gone.
func TestDrainedAgentWaitsForItsPod(t *testing.T) {
	pod := runs(1)
	pod.Spec.TerminationGracePeriodSeconds = new(int64(600))
	inUpkeep(t, fiveMinutes, pod, func(r *upkeepRig) {
		tries := r.tries(budgeted)
		r.drains(new(time.Minute))
		if !r.killed() {
			t.Fatal("the end of the task is acknowledged")
		}
		r.pass(100 * time.Millisecond)
		if tries.Load() > 0 {
			t.Error("evicted before it was known how the agent drains")
		}
		r.pass(5 * time.Second)
		if r.exists("p") || tries.Load() == 0 {
			t.Errorf("the pod is there, after %d tries: its grace period is as long as the drain's, no budget counts", tries.Load())
		}
		if r.marks()["n1"].Kind != maintenance.Draining {
			t.Errorf("marks are %v", r.marks())
		}
		r.wantTook("RELEASE_ACK")
		if !r.killed() {
			t.Error("what the agent repeats is acknowledged")
		}
		r.podGone(pod)
		r.wantTook("RELEASE_ACK", "RELEASE_ACK uid-p.7")
		if r.killed() {
			t.Error("held although the pod is gone")
		}
	})
}

// Whatever the pod does, a drain ends.
func TestDrainDoesNotWaitForEver(t *testing.T) {
	inUpkeep(t, fiveMinutes, runs(1), func(r *upkeepRig) {
		r.onEviction(budgeted)
		r.drains(new(time.Minute))
		r.killed()
		r.pass(89 * time.Second)
		r.wantTook("RELEASE_ACK")
		r.pass(5 * time.Second)
		r.wantTook("RELEASE_ACK", "RELEASE_ACK uid-p.7")
	})
}

func TestOtherEndsAreAcknowledged(t *testing.T) {
	inUpkeep(t, fiveMinutes, runs(1), func(r *upkeepRig) {
		if r.Updated(claims.TaskStatus{TaskID: "uid-p.7", AgentID: "a-n1", State: claims.TaskFailed, Source: "SOURCE_EXECUTOR"}) {
			t.Error("held")
		}
	})
}

// Offers of an agent that is to go are refused, but while a pod waits that ends in time.
func TestOffersOfLeavingAgents(t *testing.T) {
	inUpkeep(t, fiveMinutes, runs(1), func(r *upkeepRig) {
		start := r.plan(30 * time.Minute)
		announced := func(id string) offers.Offer {
			o := offer(id, "n1", 1)
			o.Unavailability = &offers.Unavailability{Start: start, Duration: time.Hour}
			return o
		}
		pod := testPod("endless")
		r.podChanged(pod)
		r.Offers([]offers.Offer{announced("o1")})
		r.pass(0)
		if got := r.took("DECLINE"); len(got) != 1 || !strings.HasPrefix(got[0], "DECLINE o1 for 1h") {
			t.Errorf("declined are %q", got)
		}
		short := testPod("short")
		short.Spec.ActiveDeadlineSeconds = new(int64(60))
		short.Spec.Tolerations = []v1.Toleration{{Key: maintenance.TaintKey, Operator: v1.TolerationOpExists}}
		r.podChanged(short)
		r.pass(10 * time.Second)
		if got := r.took("REVIVE"); len(got) == 0 {
			t.Error("what was refused is not asked for again")
		}
		r.Offers([]offers.Offer{announced("o2")})
		r.pass(0)
		r.wantTook("DECLINE")
		plan := r.Begin(short).Plan
		want := r.WantIn(&plan, "web")
		if _, err := r.Reserve(short, "n1", "web", &want); err != nil {
			t.Errorf("a pod that ends in time cannot be placed: %v", err)
		}
		if _, err := r.Reserve(pod, "n1", "web", offers.Plain(podNeed)); !errors.Is(err, offers.ErrLeaving) {
			t.Errorf("a pod without an end is refused with %v", err)
		}
	})
}

func (r *upkeepRig) cordon(on bool) {
	r.t.Helper()
	node, err := r.api.CoreV1().Nodes().Get(r.t.Context(), "n1", metav1.GetOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	node = node.DeepCopy()
	node.Spec.Unschedulable = on
	if _, err := r.api.CoreV1().Nodes().Update(r.t.Context(), node, metav1.UpdateOptions{}); err != nil {
		r.t.Fatal(err)
	}
	r.nodeChanged(node)
}

func (r *upkeepRig) noted() string {
	r.t.Helper()
	node, err := r.api.CoreV1().Nodes().Get(r.t.Context(), "n1", metav1.GetOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	return node.Annotations[maintenance.AnnotationDeactivated]
}

func TestCordonedNodes(t *testing.T) {
	for mode, want := range map[maintenance.Cordoned][]string{
		maintenance.Ignore:     nil,
		maintenance.Deactivate: {"DEACTIVATE a-n1"},
		maintenance.Empty:      nil, // the pod is there
	} {
		cfg := fiveMinutes
		cfg.Cordoned, cfg.DrainGrace = mode, time.Minute
		inUpkeep(t, cfg, runs(1), func(r *upkeepRig) {
			r.podChanged(testPod("waits"))
			r.pass(10 * time.Second)
			r.cordon(true)
			r.Offers([]offers.Offer{offer("o1", "n1", 1)})
			r.pass(10 * time.Second)
			calls := r.master.take()
			if !slices.Contains(calls, "DECLINE o1 for 1h0m0s") {
				t.Errorf("%s: calls are %q", mode, calls)
			}
			operations := slices.DeleteFunc(calls, func(c string) bool { return !strings.HasSuffix(c, " a-n1") })
			if !slices.Equal(operations, want) || (r.noted() != "") != (want != nil) {
				t.Errorf("%s: operations are %q, noted is %q", mode, operations, r.noted())
			}
			r.cordon(false)
			r.pass(10 * time.Second)
			calls = r.master.take()
			if slices.Contains(calls, "REACTIVATE a-n1") != (want != nil) || r.noted() != "" || !slices.Contains(calls, "REVIVE") {
				t.Errorf("%s: calls are %q, noted is %q", mode, calls, r.noted())
			}
		})
	}
}

func TestCordonedNodeIsDrainedWhenEmpty(t *testing.T) {
	cfg := fiveMinutes
	cfg.Cordoned, cfg.DrainGrace = maintenance.Empty, time.Minute
	inUpkeep(t, cfg, runs(1), func(r *upkeepRig) {
		r.cordon(true)
		r.podGone(runs(1))
		r.Updated(claims.TaskStatus{TaskID: "uid-p.7", AgentID: "a-n1", State: claims.TaskKilled})
		refusal := &mesos.CallError{Type: "DRAIN_AGENT", Status: 403, Body: "no", Sent: true}
		r.master.failNext("DRAIN", refusal, refusal)
		r.pass(time.Minute)
		r.wantTook("DRAIN", "DRAIN a-n1 within 1m0s", "DRAIN a-n1 within 1m0s", "DRAIN a-n1 within 1m0s")
		r.wantEvent(EventAgentRefused)
		r.cordon(false)
		r.pass(time.Minute)
		r.wantTook("REACTIVATE")
		r.operator.set(func() { r.operator.agent.Drain = &mesos.AgentDrain{State: mesos.DrainStateDrained} })
		r.pass(time.Minute)
		r.wantTook("REACTIVATE", "REACTIVATE a-n1")
		if r.noted() != "" {
			t.Errorf("noted is %q", r.noted())
		}
	})
}

// Who may not read the schedule hears of windows from offers.
func TestScheduleRefused(t *testing.T) {
	inUpkeep(t, fiveMinutes, runs(1), func(r *upkeepRig) {
		r.operator.set(func() {
			r.operator.refuse = &mesos.CallError{Type: "GET /maintenance/schedule", Status: 403, Err: mesos.ErrNotAllowed}
		})
		o := offer("o1", "n1", 1)
		o.Unavailability = &offers.Unavailability{Start: time.Now().Add(time.Hour)}
		r.Offers([]offers.Offer{o})
		r.pass(time.Minute)
		if got := slices.Collect(maps.Keys(r.marks())); !slices.Equal(got, []string{"n1"}) {
			t.Errorf("marks are %v", r.marks())
		}
		r.Offers([]offers.Offer{offer("o2", "n1", 1)})
		r.pass(time.Minute)
		if len(r.marks()) > 0 {
			t.Errorf("marks are %v", r.marks())
		}
	})
}
