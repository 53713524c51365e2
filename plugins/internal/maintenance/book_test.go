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

package maintenance

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"
)

var t0 = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

// at is a time so many minutes after the begin.
func at(minutes float64) time.Time {
	return t0.Add(time.Duration(minutes * float64(time.Minute)))
}

// hour is a window that begins in an hour and is as long.
var hour = Window{Start: at(60), Duration: time.Hour}

func never(time.Time) bool { return false }

// paired is a book of the nodes n1 and n2, whose agents are a1 and a2.
func paired(cfg Config) *Book {
	cfg.EvictBefore, cfg.BudgetFor = cmp.Or(cfg.EvictBefore, 5*time.Minute), cmp.Or(cfg.BudgetFor, 5*time.Minute)
	b := New(cfg)
	for _, i := range []string{"1", "2"} {
		b.NodeSet(Node{Name: "n" + i, Host: "N" + i})
		b.Paired("a"+i, "n"+i)
	}
	return b
}

func listed(change ...func(*Agent)) []Agent {
	list := []Agent{{ID: "a1", Hostname: "n1", IP: "10.0.0.1"}, {ID: "a2", Hostname: "n2.", IP: "10.0.0.2"}}
	for i := range change {
		change[i](&list[i])
	}
	return list
}

func known(cfg Config) *Book {
	b := paired(cfg)
	b.AgentsListed(listed(), t0)
	b.ScheduleRead(nil, t0)
	return b
}

func wantMarks(t *testing.T, b *Book, now time.Time, want map[string]Mark) {
	t.Helper()
	if got := b.Marks(now); !maps.Equal(got, want) {
		t.Errorf("marks are %v, want %v", got, want)
	}
}

func TestKnowsAllOnlyAfterBothWereRead(t *testing.T) {
	b := paired(Config{})
	b.AgentsListed(listed(), t0)
	if b.Complete() {
		t.Error("complete without the schedule")
	}
	b.ScheduleRefused()
	if !b.Complete() {
		t.Error("not complete, although nothing more will come")
	}
}

func TestMarksFollowTheSchedule(t *testing.T) {
	b := known(Config{})
	wantMarks(t, b, t0, map[string]Mark{})
	b.ScheduleRead([]Scheduled{
		{Hostname: "N1", IP: "10.0.0.1", Window: hour},
		{Hostname: "n2", IP: "10.0.0.9", Window: hour},
		{Hostname: "n2", Window: hour},
	}, at(1))
	only := map[string]Mark{"n1": {Maintenance, hour}}
	wantMarks(t, b, at(1), only)
	wantMarks(t, b, at(119), only)
	wantMarks(t, b, at(120), map[string]Mark{})
	b.ScheduleRead(nil, at(2))
	wantMarks(t, b, at(2), map[string]Mark{})
}

func TestAnOpenWindowIsNeverOver(t *testing.T) {
	b := known(Config{})
	open := Window{Start: at(60)}
	b.ScheduleRead([]Scheduled{{Hostname: "n1", IP: "10.0.0.1", Window: open}}, at(1))
	wantMarks(t, b, at(1e6), map[string]Mark{"n1": {Maintenance, open}})
}

// The machine that is down has no agent, and stays in the schedule.
func TestMachinesWithoutAnAgent(t *testing.T) {
	b := known(Config{})
	b.ScheduleRead([]Scheduled{{Hostname: "n1", IP: "10.0.0.1", Window: hour}}, at(1))
	b.Paired("a1", "")
	b.AgentsListed(listed()[1:], at(61))
	wantMarks(t, b, at(61), map[string]Mark{"n1": {Maintenance, hour}})
	b.ScheduleRead(nil, at(62))
	wantMarks(t, b, at(62), map[string]Mark{})
}

func TestTheLatestNewsCounts(t *testing.T) {
	other := Window{Start: at(90)}
	b := known(Config{})
	if b.Offered("a1", nil, at(1)) {
		t.Error("no window is news")
	}
	if !b.Offered("a1", &hour, at(1)) || b.Offered("a1", &hour, at(2)) {
		t.Error("a window is news once")
	}
	wantMarks(t, b, at(2), map[string]Mark{"n1": {Maintenance, hour}})
	// Asked for before the offer came: the schedule may be older.
	b.ScheduleRead(nil, at(1.5))
	wantMarks(t, b, at(2), map[string]Mark{"n1": {Maintenance, hour}})
	b.ScheduleRead(nil, at(3))
	wantMarks(t, b, at(3), map[string]Mark{})
	if !b.InverseOffers([]Inverse{{"i", "a1", other}}, at(4)) {
		t.Error("the window of an inverse offer is no news")
	}
	wantMarks(t, b, at(4), map[string]Mark{"n1": {Maintenance, other}})
	if !b.Offered("a1", nil, at(5)) {
		t.Error("the end of a window is no news")
	}
	wantMarks(t, b, at(5), map[string]Mark{})
	if b.Offered("strange", nil, at(5)) || len(b.agents) != 2 {
		t.Error("an offer without a window makes an agent known")
	}
}

// Who may not read the schedule keeps to what offers say, and to what nodes show from
// before.
func TestWithoutTheSchedule(t *testing.T) {
	b := paired(Config{})
	b.AgentsListed(listed(), t0)
	b.ScheduleRefused()
	b.NodeSet(Node{Name: "n1", Host: "n1", Shown: &Mark{Maintenance, hour}})
	b.NodeSet(Node{Name: "n2", Host: "n2", Shown: &Mark{Kind: Draining}})
	wantMarks(t, b, at(1), map[string]Mark{"n1": {Maintenance, hour}})
	wantMarks(t, b, at(121), map[string]Mark{})
	b.Offered("a1", nil, at(1))
	b.Offered("a2", &hour, at(1))
	wantMarks(t, b, at(1), map[string]Mark{"n2": {Maintenance, hour}})
}

func TestMarksOfDrainedAndDeactivatedAgents(t *testing.T) {
	for name, test := range map[string]struct {
		agent Agent
		want  map[string]Mark
	}{
		"in service":  {Agent{}, map[string]Mark{}},
		"deactivated": {Agent{Deactivated: true}, map[string]Mark{"n1": {Kind: Deactivated}}},
		"draining":    {Agent{Deactivated: true, Drain: &Drain{}}, map[string]Mark{"n1": {Kind: Draining}}},
		"drained":     {Agent{Deactivated: true, Drain: &Drain{Drained: true}}, map[string]Mark{"n1": {Kind: Drained}}},
		"remembered":  {Agent{Recovered: true}, map[string]Mark{"n1": {Kind: Deactivated}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := known(Config{})
			if test.agent.Recovered {
				b.AgentsListed(listed(func(a *Agent) { a.Deactivated = true }), at(1))
			}
			b.AgentsListed(listed(func(a *Agent) {
				a.Deactivated, a.Drain, a.Recovered = test.agent.Deactivated, test.agent.Drain, test.agent.Recovered
			}), at(2))
			wantMarks(t, b, at(2), test.want)
			_, leaving := b.Leaving(at(2))["a1"]
			if leaving != (len(test.want) > 0) {
				t.Error("marked and leaving differ")
			}
			b.AgentsListed(listed(), at(3))
			wantMarks(t, b, at(3), map[string]Mark{})
		})
	}
}

func TestAWindowAndADrainShowBoth(t *testing.T) {
	b := known(Config{})
	b.AgentsListed(listed(func(a *Agent) { a.Drain = &Drain{} }), at(1))
	b.Offered("a1", &hour, at(1))
	wantMarks(t, b, at(1), map[string]Mark{"n1": {Draining, hour}})
}

func TestADisconnectChangesNoMark(t *testing.T) {
	b := known(Config{})
	b.AgentsListed(listed(func(a *Agent) { a.Deactivated = true }), at(1))
	b.Offered("a2", &hour, at(1))
	b.Disconnected()
	wantMarks(t, b, at(2), map[string]Mark{"n1": {Kind: Deactivated}, "n2": {Maintenance, hour}})
}

// An agent that was installed anew has another id.
func TestAnotherAgentOfTheNode(t *testing.T) {
	b := known(Config{})
	b.AgentsListed(listed(func(a *Agent) { a.Deactivated = true }), at(1))
	b.Paired("new", "n1")
	wantMarks(t, b, at(2), map[string]Mark{})
	list := listed()
	list[0].ID = "new"
	b.AgentsListed(list, at(3))
	if got := slices.Sorted(maps.Keys(b.agents)); !slices.Equal(got, []string{"a2", "new"}) {
		t.Errorf("agents are %v", got)
	}
	b.NodeGone("n2")
	b.NodeSet(Node{Name: "n2", Host: "n2"})
	if got := b.nodes["n2"].agent; got != "a2" {
		t.Errorf("the agent of a node that came back is %q", got)
	}
}

func TestLeaving(t *testing.T) {
	b := known(Config{})
	b.Offered("a1", &hour, at(1))
	b.AgentsListed(listed(nil2, func(a *Agent) { a.Deactivated = true }), at(1))
	if got, want := b.Leaving(at(2)), map[string]time.Time{"a1": hour.Start, "a2": {}}; !maps.Equal(got, want) {
		t.Errorf("leaving are %v, want %v", got, want)
	}
	if got := b.Leaving(at(121)); len(got) != 1 {
		t.Errorf("leaving are %v after the window", got)
	}
}

func nil2(*Agent) {}

func TestRefusedOffers(t *testing.T) {
	soon := func(before time.Time) bool { return before.Equal(hour.Start) }
	for name, test := range map[string]struct {
		change   func(*Book)
		now      time.Time
		finishes func(time.Time) bool
		reason   string
		wait     time.Duration
	}{
		"in service":         {func(*Book) {}, at(1), never, "", 0},
		"announced":          {func(b *Book) { b.Offered("a1", &hour, t0) }, at(70), never, RefusedMaintenance, 50 * time.Minute},
		"far":                {func(b *Book) { b.Offered("a1", &hour, t0) }, at(1), never, RefusedMaintenance, RefuseOffers},
		"open end":           {func(b *Book) { b.Offered("a1", &Window{Start: at(60)}, t0) }, at(1), never, RefusedMaintenance, RefuseOffers},
		"nearly over":        {func(b *Book) { b.Offered("a1", &hour, t0) }, at(119.999), never, RefusedMaintenance, time.Second},
		"over":               {func(b *Book) { b.Offered("a1", &hour, t0) }, at(120), never, "", 0},
		"a pod ends in time": {func(b *Book) { b.Offered("a1", &hour, t0) }, at(1), soon, "", 0},
		"nobody ends then":   {func(b *Book) { b.Offered("a1", &hour, t0) }, at(60), soon, RefusedMaintenance, time.Hour},
		"deactivated":        {func(b *Book) { b.AgentsListed(listed(func(a *Agent) { a.Deactivated = true }), t0) }, at(1), soon, RefusedMaintenance, RefuseOffers},
		"draining":           {func(b *Book) { b.TaskDrained("a1", t0) }, at(1), soon, RefusedMaintenance, RefuseOffers},
		"cordoned":           {func(b *Book) { b.NodeSet(Node{Name: "n1", Host: "n1", Cordoned: true}) }, at(1), soon, RefusedCordoned, RefuseOffers},
		"another":            {func(b *Book) { b.NodeSet(Node{Name: "n2", Host: "n2", Cordoned: true}) }, at(1), never, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := known(Config{})
			test.change(b)
			reason, wait := b.Refuse("a1", test.now, test.finishes)
			if reason != test.reason || wait != test.wait {
				t.Errorf("refused for %s because of %q, want %s because of %q", wait, reason, test.wait, test.reason)
			}
		})
	}
	if reason, _ := New(Config{}).Refuse("strange", t0, never); reason != "" {
		t.Error("the offer of an unknown agent is refused")
	}
}

func TestWhatWasRefusedIsAskedForAgain(t *testing.T) {
	b := known(Config{})
	b.NodeSet(Node{Name: "n1", Host: "n1", Cordoned: true})
	if b.Reopened(t0, never) {
		t.Error("reopened what nobody refused")
	}
	b.Refuse("a1", t0, never)
	if b.Reopened(t0, never) {
		t.Error("reopened a cordoned node")
	}
	b.NodeSet(Node{Name: "n1", Host: "n1"})
	if !b.Reopened(t0, never) || b.Reopened(t0, never) {
		t.Error("not reopened, or twice")
	}
	b.Offered("a1", &hour, at(1))
	b.Refuse("a1", at(1), never)
	if !b.Reopened(at(2), func(time.Time) bool { return true }) {
		t.Error("not reopened for a pod that ends in time")
	}
}

func answers(b *Book, now time.Time, h Holding) []Answer {
	return b.Answers(now, func(string) Holding { return h })
}

func TestAnswersToInverseOffers(t *testing.T) {
	decline := []Answer{{"i", false, 5 * time.Second}}
	for name, test := range map[string]struct {
		window Window
		now    time.Time
		claims int
		want   []Answer
	}{
		"nothing held":         {hour, t0, 0, []Answer{{"i", true, time.Hour}}},
		"nothing held, open":   {Window{Start: at(60)}, at(500), 0, []Answer{{"i", true, time.Hour}}},
		"nothing held, ending": {hour, at(110), 0, []Answer{{"i", true, 10 * time.Minute}}},
		"over":                 {hour, at(121), 0, []Answer{{"i", true, 5 * time.Second}}},
		"pods remain":          {hour, t0, 1, decline},
		"not yet evicted":      {hour, at(54.8), 1, decline},
		"about to be evicted":  {hour, at(54.9), 1, nil},
		"late":                 {hour, at(61), 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := known(Config{})
			b.InverseOffers([]Inverse{{"i", "a1", test.window}}, test.now)
			if got := answers(b, test.now, Holding{Claims: test.claims}); !slices.Equal(got, test.want) {
				t.Errorf("answers are %v, want %v", got, test.want)
			}
			// Whatever was said, all goes well when the pods are gone.
			b.InverseOffers([]Inverse{{"next", "a1", test.window}}, test.now)
			if got := answers(b, at(62), Holding{}); !slices.ContainsFunc(got, func(a Answer) bool { return a.Accept && a.ID == "next" }) {
				t.Errorf("answers are %v when nothing is held any more", got)
			}
		})
	}
}

// The second is kept, whenever the pods will be gone; another window is another matter.
func TestDeclinesOnceForAWindow(t *testing.T) {
	b := known(Config{})
	some := Holding{Claims: 1}
	ask := func(id string, w Window, want int) {
		t.Helper()
		b.InverseOffers([]Inverse{{id, "a1", w}}, t0)
		got := answers(b, t0, some)
		if len(got) != want {
			t.Errorf("answers to %s are %v, want %d", id, got, want)
		}
		for _, a := range got {
			b.Answered(a, true, t0)
		}
	}
	ask("1", hour, 1)
	ask("2", hour, 0)
	ask("3", Window{Start: at(90)}, 1)
	b.Disconnected()
	ask("4", Window{Start: at(90)}, 1)
}

func TestAnswersAreGivenUntilHeard(t *testing.T) {
	b := known(Config{})
	b.InverseOffers([]Inverse{{"i", "a1", hour}, {"j", "a2", hour}, {"k", "a2", hour}}, t0)
	b.InverseRescinded("k")
	got := answers(b, t0, Holding{})
	if len(got) != 2 {
		t.Fatalf("answers are %v", got)
	}
	if again := answers(b, t0, Holding{}); len(again) != 0 {
		t.Errorf("answered again: %v", again)
	}
	b.Answered(got[0], true, t0)
	b.Answered(got[1], false, t0)
	b.Answered(Answer{ID: "strange"}, false, t0)
	if early := answers(b, t0.Add(answerRetry-1), Holding{}); len(early) != 0 {
		t.Errorf("answered at once again: %v", early)
	}
	// By now there is something.
	if again := answers(b, t0.Add(answerRetry), Holding{Claims: 1}); len(again) != 1 || again[0].ID != "j" || again[0].Accept {
		t.Errorf("answers are %v", again)
	}
	b.Disconnected()
	if late := answers(b, at(9), Holding{}); len(late) != 0 {
		t.Errorf("answers of another subscription: %v", late)
	}
}

func TestAcceptedOnlyWhenNothingIsHeldOfThatAgent(t *testing.T) {
	b := known(Config{})
	b.InverseOffers([]Inverse{{"i", "a1", hour}, {"j", "a2", hour}}, t0)
	got := b.Answers(t0, func(agent string) Holding { return Holding{Claims: len(agent) * int(agent[1]-'1')} })
	if len(got) != 2 || !got[0].Accept || got[1].Accept {
		t.Errorf("answers are %v", got)
	}
}

func TestPlannedEvictions(t *testing.T) {
	b := known(Config{EvictBefore: 10 * time.Minute})
	b.Offered("a1", &hour, t0)
	if got := b.Evictions(at(49.9)); len(got) != 0 {
		t.Errorf("evictions are %v long before the window", got)
	}
	if _, due := b.Eviction("a1", at(49.9)); due {
		t.Error("due long before the window")
	}
	e, due := b.Eviction("a1", at(50))
	if !due || !reflect.DeepEqual(b.Evictions(at(50)), map[string]Eviction{"a1": e}) || !e.Due.Equal(at(50)) || e.Mark != (Mark{Maintenance, hour}) {
		t.Errorf("eviction is %v, %t", e, due)
	}
	if _, due := b.Eviction("a1", at(121)); due {
		t.Error("due after the window")
	}
	if _, due := b.Eviction("strange", at(121)); due {
		t.Error("an unknown agent's pods have to go")
	}
	if deadline, capped := e.For(30 * time.Second); !deadline.Equal(hour.Start) || capped != nil {
		t.Errorf("budgets count until %s, grace %v", deadline, capped)
	}
	if _, capped := e.For(time.Hour); capped == nil || *capped != 10*time.Minute {
		t.Errorf("a long grace is capped to %v", capped)
	}
	b.Offered("a1", nil, at(52))
	if _, due := b.Eviction("a1", at(53)); due {
		t.Error("due although the window was cancelled")
	}
}

func TestDrains(t *testing.T) {
	for name, test := range map[string]struct {
		max      *time.Duration
		own      time.Duration
		deadline time.Time
		capped   time.Duration
	}{
		"no grace period": {nil, 30 * time.Second, at(7), 0},
		"long":            {new(time.Minute), 30 * time.Second, at(2.5), 0},
		"short":           {new(20 * time.Second), 30 * time.Second, at(2), 20 * time.Second},
		"none":            {new(time.Duration), 30 * time.Second, at(2), time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			b := known(Config{})
			if _, _, drains := b.Drain("a1", t0); drains {
				t.Fatal("in service, and drains")
			}
			b.TaskDrained("a1", at(2))
			if _, confirmed, drains := b.Drain("a1", at(2)); confirmed || !drains {
				t.Errorf("confirmed %t, drains %t as a task says", confirmed, drains)
			}
			b.AgentsListed(listed(func(a *Agent) { a.Drain = &Drain{MaxGrace: test.max} }), at(3))
			e, confirmed, drains := b.Drain("a1", at(4))
			if !confirmed || !drains {
				t.Fatalf("confirmed %t, drains %t as the list says", confirmed, drains)
			}
			deadline, capped := e.For(test.own)
			if !deadline.Equal(test.deadline) || (capped == nil) != (test.capped == 0) || capped != nil && *capped != test.capped {
				t.Errorf("budgets count until %s, grace is capped to %v", deadline, capped)
			}
		})
	}
}

func TestHeldAcknowledgements(t *testing.T) {
	b := known(Config{})
	b.TaskDrained("a1", t0)
	b.Hold("t1", "p1", "a1", 30*time.Second, t0)
	b.Hold("t1", "p1", "a1", 30*time.Second, at(1)) // the agent repeats itself
	b.Hold("t1x", "p1", "a1", 30*time.Second, t0)
	b.Hold("t2", "p2", "a1", 30*time.Second, t0)
	b.Hold("t3", "p3", "a2", time.Minute, t0)
	if got := b.PodGone("p1"); !slices.Equal(got, []string{"t1", "t1x"}) || b.Held("t1") {
		t.Errorf("released are %v", got)
	}
	if got := b.PodGone("p1"); len(got) != 0 {
		t.Errorf("released again are %v", got)
	}
	list := listed(func(a *Agent) { a.Drain = &Drain{MaxGrace: new(time.Minute)} })
	b.AgentsListed(list, at(1))
	if got := b.Overdue(at(1.4)); len(got) != 0 {
		t.Errorf("overdue are %v", got)
	}
	if got := b.Overdue(at(1.5)); !slices.Equal(got, []string{"t2"}) {
		t.Errorf("overdue are %v", got)
	}
	if got := b.Overdue(at(6.4)); len(got) != 0 {
		t.Errorf("overdue are %v", got)
	}
	if got := b.Overdue(at(6.5)); !slices.Equal(got, []string{"t3"}) {
		t.Errorf("overdue are %v", got)
	}
	b.Hold("t4", "p4", "a1", 0, t0)
	b.Disconnected()
	if b.Held("t4") {
		t.Error("held over the end of the subscription")
	}
}
