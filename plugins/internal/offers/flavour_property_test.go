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

package offers

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// mixedRun drives a cache of two roles and all flavours with the operations that a
// script of bytes spells, and has the ledger judge what comes out. The end of the
// script reads as zeros.
type mixedRun struct {
	run
	c *Cache
	l *ledger
	// reserved counts what was reserved, of what sort, to see that all sorts were.
	reserved map[string]int
}

var mixedRoles = [2]string{"web", "ads"}

func newMixedRun(script []byte) *mixedRun {
	r := &mixedRun{run: run{script: script, now: epoch}, l: newLedger(), reserved: map[string]int{}}
	r.c = NewCache(Config{Classify: byOwner, KeepGPUs: len(script)%2 == 0})
	return r
}

func (r *mixedRun) agent() string { return nameOf("a", r.byte()%3) }

func (r *mixedRun) role() string { return mixedRoles[r.byte()%2] }

// bundle is a small amount of anything, often nothing but cpu and memory.
func (r *mixedRun) bundle() (b resources.Bundle) {
	b.Vector = r.amount()
	if n := r.byte() % 8; n > 5 {
		b.Scalars = resources.Scalars{{Name: "fpga", Milli: int64(n - 5)}}
	}
	return b
}

func (r *mixedRun) step() error {
	switch r.byte() % 20 {
	case 0, 1, 2, 3:
		return r.add()
	case 4, 5, 6, 7, 8, 9:
		return r.reserve()
	case 10:
		return r.release()
	case 11, 12:
		return r.rescind()
	case 13, 19:
		return r.flush()
	case 14:
		return r.sweep()
	case 15, 16:
		agent := r.agent()
		r.c.AddAgent(agent, agent+".example")
		return r.l.void(agent, "SetNode", r.c.SetNode(agent, r.node(agent)))
	case 17:
		b := r.byte()
		if b >= 192 {
			return r.forget(b)
		}
		r.c.Landed(r.agent(), r.role())
		if b%4 == 0 {
			agent := r.agent()
			return r.l.void(agent, "Unpredict", r.c.Unpredict(agent, r.role()))
		}
		if b%4 == 1 {
			return r.l.void("", "Drop", r.c.Drop(r.role()))
		}
	case 18:
		if r.byte()%4 == 0 {
			r.c.HasGPUs(r.agent())
		}
		agent := r.agent()
		return r.l.void(agent, "Withhold", r.c.Withhold(agent, [2]resources.Vector{{}, r.amount()}[r.byte()%2]))
	}
	return r.add()
}

func (r *mixedRun) node(agent string) string {
	switch r.byte() % 16 {
	case 0:
		return ""
	case 1:
		return "other"
	}
	return nodeOf(agent)
}

func (r *mixedRun) release() error {
	id := r.known(r.pods)
	if open := r.l.open(r.agent(), r.role()); len(open) > 0 && r.byte()%4 > 0 {
		id = open[r.byte()%len(open)]
	}
	p := r.l.pods[id]
	open := p != nil && p.ended == ""
	if r.c.Release(id) != open {
		return fmt.Errorf("Release(%s) = %t of %+v", id, !open, p)
	}
	if open {
		return r.l.endPod(id, "released")
	}
	return nil
}

// add makes an offer of several flavours; each has ports of its own.
func (r *mixedRun) add() error {
	agent, n := r.agent(), len(r.offers)
	o := offerOf(nameOf("o", n), agent, resources.Vector{})
	o.Role = r.role()
	r.offers = append(r.offers, o.ID)
	first := uint64(8 * n)
	ports := func() (list resources.Ranges) {
		list = resources.NewRanges(resources.Range{Begin: first, End: first + 1})
		first += 2
		return list
	}
	o.Unreserved = r.bundle().Add(r.bundle())
	which := r.byte()
	if which%2 == 0 {
		o.Unreserved.Ports = ports()
	}
	for bit, f := range []*resources.Flavour{static, mine, riding, dynamic, yours, [2]*resources.Flavour{foreign, odd}[which/128]} {
		if which>>(bit+1)&1 == 0 {
			continue
		}
		p := resources.Portion{Flavour: f, Bundle: r.bundle().Add(r.bundle())}
		if bit < 3 {
			p.Bundle.Ports = ports()
		}
		// A master sends each flavour anew.
		if again := *f; r.byte()%2 == 0 && f != riding {
			p.Flavour = &again
		}
		o.Special = append(o.Special, p)
	}
	_, broken, added := r.c.Add(o, r.now)
	if !added {
		return fmt.Errorf("Add(%s) took a new offer for known", o.ID)
	}
	if _, _, added := r.c.Add(o, r.now); added {
		return fmt.Errorf("Add(%s) took a known offer for new", o.ID)
	}
	r.l.add(o)
	if err := r.l.broken(agent, o.Role, broken); err != nil {
		return fmt.Errorf("Add(%s): %w", o.ID, err)
	}
	if _, node := r.c.Owner(slotOf(r.c, agent)); node == "" {
		r.c.SetNode(agent, r.node(agent))
	}
	return nil
}

func slotOf(c *Cache, agent string) int32 {
	i, _ := c.Slot(agent)
	return i
}

// want asks for anything in any way; ports are of those that the agent has.
func (r *mixedRun) want(agent, role string) *Want {
	w := &Want{Need: r.bundle(), Predicted: r.byte()%2 == 0}
	b := r.byte()
	if w.Predicted && b%2 == 0 {
		// An ordinary one, or it finds no prediction.
		w.Need.Scalars, w.Need.Vector[resources.GPU] = nil, 0
		return w
	}
	w.Order = [4]Order{ReservedFirst, ReservedFirst, UnreservedFirst, ReservedOnly}[b%4]
	w.Revocable = [4]Revocable{RevocableNever, RevocableNever, RevocableAllowed, RevocableRequired}[b/4%4]
	w.Owner = [4]string{"", "", "web-0", "web-1"}[b/16%4]
	if b >= 192 {
		w.Reserve = [2]*resources.Flavour{sticky("web-0"), sticky("web-9")}[r.byte()%2]
	}
	if ids := r.l.held(agent, role); r.byte()%3 == 0 && len(ids) > 0 {
		has := r.l.offers[ids[r.byte()%len(ids)]].has
		if ports := has[r.byte()%len(has)].Bundle.Ports; len(ports) > 0 {
			first := ports[0].Begin + uint64(r.byte()%2)
			w.Need.Ports = resources.NewRanges(resources.Range{Begin: first, End: first + uint64(r.byte()%2)})
		}
	}
	return w
}

func (r *mixedRun) reserve() error {
	agent, role := r.agent(), r.role()
	if list := r.c.Role(role).predictions.list; len(list) > 0 && r.byte()%2 == 0 {
		agent, _ = r.c.Owner(list[0].slot)
	}
	id, want := r.id("p", &r.pods), r.want(agent, role)
	slot, known := r.c.Slot(agent)
	if !known {
		return nil
	}
	of := r.c.Role(role)
	expected, lacks := r.oracle(of, slot, want)
	if v, what := of.Fits(slot, want); v != expected || v == ShortOf && what == "" {
		return fmt.Errorf("Fits(%s, %s, %+v) = %d, %q, want %d", agent, role, want, v, what, expected)
	}
	if err := selects(of, slot, want, expected); err != nil {
		return err
	}
	p := r.l.pods[id]
	foreseen := of.slots[slot] != nil && of.slots[slot].predicts()
	_, err := of.Reserve(slot, id, want, r.now)
	var short *ShortError
	switch {
	case p != nil && p.ended == "" && expected != NotAgent && expected != NoOffer && expected != InFlight:
		if err == nil {
			return fmt.Errorf("%s is reserved twice", id)
		}
	case expected == Fitting && err == nil:
		r.l.joined++
		r.l.pods[id] = &ledgerPod{id: id, agent: agent, role: role, want: *want, order: r.l.joined, foreseen: foreseen}
		r.count(want)
	case expected == ShortOf && errors.As(err, &short) && short.Lacks != "" && lacks:
	case expected == Kept && errors.Is(err, ErrKept):
	case expected != Fitting && expected != ShortOf && expected != Kept && errors.Is(err, ErrNoOffer):
	default:
		return fmt.Errorf("Reserve(%s, %s, %s, %+v) = %v, but Fits says %d", agent, role, id, want, err, expected)
	}
	return nil
}

func (r *mixedRun) rescind() error {
	id := r.known(r.offers)
	o := r.l.offers[id]
	broken := r.c.Remove(id, r.now)
	if o == nil || o.ended != "" {
		if len(broken) > 0 {
			return fmt.Errorf("Remove(%s) of a void offer broke %v", id, broken)
		}
		return nil
	}
	if err := r.l.endOffer(id, "rescinded"); err != nil {
		return err
	}
	return r.l.broken(o.agent, o.role, broken)
}

func (r *mixedRun) flush() error {
	b := r.byte()
	r.now = r.now.Add(time.Duration(r.byte()) * time.Millisecond)
	p := FlushPolicy{Linger: 5 * time.Millisecond, MaxLinger: 200 * time.Millisecond, MaxTasks: 1 + b/8%5, Drained: b >= 200, Smallest: r.amount()}
	only := b % 4
	if foresee := r.byte(); foresee%4 > 0 {
		p.Predict, p.PredictedWait, p.Smallest = true, time.Duration(foresee)*8*time.Millisecond, resources.Vector{}
	}
	due, broken, _ := r.c.Flush(r.now, r.now.Add(-time.Duration(b%8)*time.Millisecond), func(role string) FlushPolicy {
		if only < 2 && role != mixedRoles[only] {
			return FlushPolicy{Linger: time.Hour, MaxLinger: time.Hour, MaxTasks: 1 << 20}
		}
		return p
	})
	if err := r.l.void("", "Flush", broken); err != nil {
		return err
	}
	for i := range due {
		if err := r.l.spend(&due[i]); err != nil {
			return fmt.Errorf("batch of %s for %s: %w", due[i].AgentID, due[i].Role, err)
		}
	}
	return nil
}

func (r *mixedRun) sweep() error {
	salt := r.byte()
	var wrong error
	ids := r.c.Sweep(r.now, func(h Held) bool {
		if o := r.l.offers[h.ID]; o == nil || o.agent != h.AgentID || o.role != h.Role || o.ended != "" || len(r.l.open(h.AgentID, h.Role)) > 0 {
			wrong = fmt.Errorf("Sweep shows %+v, the ledger has %+v", h, o)
		}
		return (int(h.ID[len(h.ID)-1])+salt)%3 == 0
	})
	for _, id := range ids {
		if err := r.l.endOffer(id, "declined"); err != nil {
			return err
		}
	}
	return wrong
}

// forget removes an agent, or seldom all of them.
func (r *mixedRun) forget(b int) error {
	agents := []string{r.agent()}
	var broken []string
	if b < 224 {
		broken = r.c.RemoveAgent(agents[0], r.now)
	} else {
		agents = []string{"a0", "a1", "a2"}
		broken = r.c.Reset(r.now)
	}
	for _, id := range broken {
		if p := r.l.pods[id]; p == nil || !slices.Contains(agents, p.agent) {
			return fmt.Errorf("%s is broken with %v", id, agents)
		}
		if err := r.l.endPod(id, "broken"); err != nil {
			return err
		}
	}
	for _, agent := range agents {
		for _, id := range r.l.held(agent, "") {
			if err := r.l.endOffer(id, "void"); err != nil {
				return err
			}
		}
		if left := r.l.open(agent, ""); len(left) > 0 {
			return fmt.Errorf("%v are not broken with %s", left, agent)
		}
	}
	return nil
}

// replayMixed runs a whole script, then sends what is left, and returns the first
// violation.
func replayMixed(script []byte) (*mixedRun, error) {
	r := newMixedRun(script)
	for n := 0; !r.done(); n++ {
		if err := r.step(); err != nil {
			return r, fmt.Errorf("operation %d: %w", n, err)
		}
		if err := audit(r.c); err != nil {
			return r, fmt.Errorf("operation %d: %w", n, err)
		}
	}
	r.now = r.now.Add(time.Minute)
	due, broken, next := r.c.Flush(r.now, r.now, drained)
	if err := r.l.void("", "the last Flush", broken); err != nil {
		return r, err
	}
	for i := range due {
		if err := r.l.spend(&due[i]); err != nil {
			return r, fmt.Errorf("last batch of %s for %s: %w", due[i].AgentID, due[i].Role, err)
		}
	}
	for id, p := range r.l.pods {
		if p.ended == "" || !next.IsZero() {
			return r, fmt.Errorf("in the end, at %s, reservation %s is lost", next, id)
		}
	}
	held, _ := r.c.Totals()
	for _, agent := range []string{"a0", "a1", "a2"} {
		held -= len(r.l.held(agent, ""))
	}
	if held != 0 {
		return r, fmt.Errorf("in the end %d offers more are held than should be", held)
	}
	return r, audit(r.c)
}

func TestFlavoursAgainstLedger(t *testing.T) {
	runs := 150
	if testing.Short() {
		runs = 40
	}
	reserved := map[string]int{}
	ends := map[string]int{}
	for seed := range runs {
		random := rand.New(rand.NewPCG(uint64(seed), 1))
		script := make([]byte, 500+random.IntN(3000))
		for i := range script {
			script[i] = byte(random.Uint32())
		}
		r, err := replayMixed(script)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for sort, n := range r.reserved {
			reserved[sort] += n
		}
		for _, p := range r.l.pods {
			ends[p.ended]++
			if p.foreseen {
				ends["foreseen and "+p.ended]++
			}
		}
	}
	// The scripts must have met what the test is about.
	for _, sort := range []string{"plain", "ports", "scalars", "gpus", "riding", "may ride", "reserved only", "owner", "reserving", "owner reserving"} {
		if reserved[sort] < runs/4 {
			t.Errorf("%d %s wants were reserved in %d runs", reserved[sort], sort, runs)
		}
	}
	for _, end := range []string{"sent", "broken", "released"} {
		if ends[end] < runs/4 {
			t.Errorf("%d reservations were %s in %d runs", ends[end], end, runs)
		}
		if foreseen := ends["foreseen and "+end]; foreseen < runs/15 {
			t.Errorf("%d reservations were on a prediction and %s in %d runs", foreseen, end, runs)
		}
	}
}

// FuzzFlavours looks for a sequence of operations after which a batch asks for what
// was not offered, or the books do not balance.
func FuzzFlavours(f *testing.F) {
	node, offer := []byte{15, 0, 1}, []byte{0, 0, 0, 0xff, 7, 0xff, 0xff, 7, 0, 0xff, 7, 1, 0xff, 7, 0xff, 7, 0, 0xff, 7, 1, 0xff, 7, 0}
	reserve := func(how byte) []byte { return []byte{4, 0, 0, 0, 0x15, 0, how, 0, 0, 0, 0, 1} }
	for _, how := range []byte{0, 3, 8, 12, 32, 48, 128 + 32, 192, 255} {
		for _, end := range [][]byte{{10, 0}, {11, 0}, {13, 255, 0, 0}, {14, 0}, {17, 192, 0}, {17, 255, 0}, {17, 0, 0, 0, 0, 0}, {18, 0, 0, 0xff, 1}} {
			f.Add(slices.Concat(node, offer, reserve(how), offer, reserve(how), end, node, reserve(how)))
		}
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 4096 {
			script = script[:4096]
		}
		if _, err := replayMixed(script); err != nil {
			t.Fatal(err)
		}
	})
}
