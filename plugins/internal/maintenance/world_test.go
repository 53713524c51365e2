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
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// world is a cluster of which the book is told, in any order and sometimes late: what
// it asks for is done, or fails, and judged by what the world really is.
type world struct {
	*Book
	t   *testing.T
	rnd *rand.Rand
	now time.Time
	// windows, off and drains are the master's, by agent; operator tells whose agents an
	// operator took out of service.
	windows  map[string]Window
	off      map[string]bool
	drains   map[string]*Drain
	operator map[string]bool
	claims   map[string]int
	cordons  map[string]bool
	// notes are the annotations of nodes.
	notes    map[string]string
	inverses int
	// late are lists and schedules that were asked for and not told of yet.
	late []func()
}

const machines = 5

func host(i int) string { return fmt.Sprintf("n%d", i) }
func id(i int) string   { return fmt.Sprintf("a%d", i) }

func newWorld(t *testing.T, seed uint64) *world {
	rnd := rand.New(rand.NewPCG(seed, 1))
	modes := []Cordoned{Ignore, Deactivate, Empty}
	w := &world{
		Book: New(Config{EvictBefore: 5 * time.Minute, BudgetFor: 5 * time.Minute, Cordoned: modes[rnd.IntN(len(modes))]}), t: t, rnd: rnd, now: t0,
		windows: map[string]Window{}, off: map[string]bool{}, drains: map[string]*Drain{}, operator: map[string]bool{},
		claims: map[string]int{}, cordons: map[string]bool{}, notes: map[string]string{},
	}
	for i := range machines {
		w.tellNode(i)
		w.Paired(id(i), host(i))
	}
	return w
}

func (w *world) tellNode(i int) {
	w.NodeSet(Node{Name: host(i), Host: host(i), Cordoned: w.cordons[host(i)], Deactivated: w.notes[host(i)]})
}

func (w *world) agents() (list []Agent) {
	for i := range machines {
		list = append(list, Agent{ID: id(i), Hostname: host(i), IP: "ip", Deactivated: w.off[id(i)], Drain: w.drains[id(i)]})
	}
	return list
}

func (w *world) schedule() (list []Scheduled) {
	for i := range machines {
		if window, ok := w.windows[id(i)]; ok {
			list = append(list, Scheduled{host(i), "ip", window})
		}
	}
	return list
}

// happens is one thing that happens in the world.
func (w *world) happens() {
	i := w.rnd.IntN(machines)
	agent := id(i)
	switch w.rnd.IntN(16) {
	case 0:
		window := Window{Start: w.now.Add(time.Duration(w.rnd.IntN(40)-10) * time.Minute)}
		if w.rnd.IntN(4) > 0 {
			window.Duration = time.Duration(1+w.rnd.IntN(40)) * time.Minute
		}
		w.windows[agent] = window
		w.news(i)
	case 1:
		delete(w.windows, agent)
		w.news(i)
	case 2:
		w.claims[agent]++
	case 3, 4:
		w.claims[agent] = 0
	case 5:
		w.cordons[host(i)] = !w.cordons[host(i)]
		w.tellNode(i)
	case 6:
		// Not while our own call, whose answer was lost, is to be made again.
		if !w.off[agent] && w.drains[agent] == nil && w.notes[host(i)] == "" && w.left[agent] == nil {
			w.off[agent], w.operator[agent] = true, true
		}
	case 7:
		if w.operator[agent] && w.drains[agent] == nil {
			w.off[agent], w.operator[agent] = false, false
		}
	case 8:
		if d := w.drains[agent]; d != nil && w.claims[agent] == 0 {
			w.drains[agent] = &Drain{Drained: true}
		}
	case 9:
		w.Disconnected()
		for j := range machines {
			w.news(j)
		}
	case 10:
		list, asked := w.agents(), w.now
		w.late = append(w.late, func() { w.AgentsListed(list, asked) })
	case 11:
		list, asked := w.schedule(), w.now
		w.late = append(w.late, func() { w.ScheduleRead(list, asked) })
	case 12:
		if len(w.late) > 0 {
			w.late[0]()
			w.late = w.late[1:]
		}
	case 13:
		w.NodeGone(host(i))
		delete(w.notes, host(i))
		w.cordons[host(i)] = false
		w.tellNode(i)
	default:
		w.now = w.now.Add(time.Duration(w.rnd.IntN(300)) * time.Second)
	}
}

// news are what the stream tells of an agent after its schedule changed.
func (w *world) news(i int) {
	window, planned := w.windows[id(i)]
	switch {
	case !planned && w.rnd.IntN(2) == 0:
		w.Offered(id(i), nil, w.now)
	case planned:
		w.inverses++
		w.InverseOffers([]Inverse{{fmt.Sprintf("i%d", w.inverses), id(i), window}}, w.now)
	}
}

func (w *world) holding(agent string) Holding {
	return Holding{Claims: w.claims[agent], Others: w.claims[agent]}
}

// act does what the book wants, and judges it.
func (w *world) act() {
	asked := map[string]string{}
	for id, i := range w.inverse {
		asked[id] = i.AgentID
	}
	for _, a := range w.Answers(w.now, w.holding) {
		if a.Accept && w.claims[asked[a.ID]] > 0 {
			w.t.Errorf("accepted an inverse offer of %s with %d claims there", asked[a.ID], w.claims[asked[a.ID]])
		}
		if a.Refuse < refuseDeclined {
			w.t.Errorf("an answer refuses for %s only", a.Refuse)
		}
		w.Answered(a, w.rnd.IntN(4) > 0, w.now)
	}
	for _, o := range w.Operations(w.now, w.holding) {
		w.operate(o)
	}
	for node, m := range w.Marks(w.now) {
		if m.Kind == Maintenance && m.Window.Over(w.now) {
			w.t.Errorf("the mark of %s outlives its window %s", node, m.Window)
		}
	}
	for agent, e := range w.Evictions(w.now) {
		if w.now.Before(e.Mark.Window.Start.Add(-w.cfg.EvictBefore)) || e.Mark.Window.Over(w.now) {
			w.t.Errorf("pods of %s are evicted for the window %s", agent, e.Mark.Window)
		}
	}
}

// operate carries an operation out, fails, or both.
func (w *world) operate(o Operation) {
	fails := w.rnd.IntN(4) == 0
	if fails && w.rnd.IntN(2) == 0 {
		w.Failed(o, false, w.now)
		return
	}
	switch o.Act {
	case Note:
		w.notes[o.Node] = o.AgentID
	case Forget:
		if w.off[o.AgentID] && !w.operator[o.AgentID] {
			w.t.Errorf("forgot that %s is out of service because of us", o.AgentID)
		}
		delete(w.notes, o.Node)
	case Off, DrainOff:
		if !w.cordons[o.Node] || w.cfg.Cordoned == Ignore || (o.Act == DrainOff) != (w.cfg.Cordoned == Empty) {
			w.t.Errorf("%s of %s, cordoned %t", o.Act, o.Node, w.cordons[o.Node])
		}
		if w.notes[o.Node] != o.AgentID {
			w.t.Errorf("%s of %s without a note", o.Act, o.Node)
		}
		if o.Act == DrainOff {
			if w.claims[o.AgentID] > 0 {
				w.t.Errorf("drained %s with %d claims there", o.AgentID, w.claims[o.AgentID])
			}
			w.drains[o.AgentID] = &Drain{}
		}
		w.off[o.AgentID] = true
	case Reactivate:
		if d := w.drains[o.AgentID]; d != nil && !d.Drained {
			// The master refuses this.
			w.Failed(o, false, w.now)
			return
		}
		if w.operator[o.AgentID] {
			w.t.Errorf("reactivated %s, which an operator took out of service", o.AgentID)
		}
		delete(w.drains, o.AgentID)
		w.off[o.AgentID] = false
	}
	if fails {
		w.Failed(o, true, w.now)
	} else {
		w.Done(o, w.now)
	}
	for i := range machines {
		if host(i) == o.Node {
			w.tellNode(i)
		}
	}
}

// settle undoes everything, tells of it, and lets time pass.
func (w *world) settle() {
	for i := range machines {
		delete(w.windows, id(i))
		w.cordons[host(i)] = false
		w.tellNode(i)
	}
	w.late = nil
	for range 20 {
		w.now = w.now.Add(lastRetry)
		for agent, d := range w.drains {
			if d != nil {
				w.drains[agent] = &Drain{Drained: true}
			}
		}
		w.AgentsListed(w.agents(), w.now)
		w.ScheduleRead(w.schedule(), w.now)
		w.act()
	}
}

// TestRandomWorlds lets things happen in worlds and judges what the book wants done.
// In the end, when every reason is gone, so is all that it did.
func TestRandomWorlds(t *testing.T) {
	for seed := range uint64(300) {
		w := newWorld(t, seed)
		for range 400 {
			w.happens()
			w.act()
		}
		w.settle()
		for agent, off := range w.off {
			if off && !w.operator[agent] {
				t.Errorf("%s stays out of service because of us", agent)
			}
		}
		if len(w.notes) > 0 {
			t.Errorf("notes are left: %v", w.notes)
		}
		want := map[string]Mark{}
		for agent := range maps.Keys(w.operator) {
			if w.operator[agent] {
				want["n"+agent[1:]] = Mark{Kind: Deactivated}
			}
		}
		if got := w.Marks(w.now); !maps.Equal(got, want) {
			t.Errorf("marks are %v, want %v", got, want)
		}
		if t.Failed() {
			t.Fatalf("seed %d, mode %s, agents %v", seed, w.cfg.Cordoned, slices.Sorted(maps.Keys(w.Book.agents)))
		}
	}
}
