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
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// run drives a cache and its model with the operations that a script of bytes
// spells, and compares them after each. The end of the script reads as zeros.
type run struct {
	script []byte
	at     int
	c      single
	m      *model
	now    time.Time
	// foresees tells that pods reserve on predictions, too.
	foresees bool
	// offers and pods are the ids in use so far, to pick known ones from.
	offers, pods []string
	// offerFate and podFate list what the cache said about the end of each offer
	// and each reservation.
	offerFate, podFate map[string][]string
}

func newRun(script []byte) *run {
	return &run{
		script: script, c: newSingle(), m: newModel(), now: epoch,
		offerFate: map[string][]string{}, podFate: map[string][]string{},
	}
}

func (r *run) done() bool { return r.at >= len(r.script) }

func (r *run) byte() int {
	if r.done() {
		return 0
	}
	r.at++
	return int(r.script[r.at-1])
}

// agent picks one of few agents mostly, and sometimes one of many, so that the
// columns must grow.
func (r *run) agent() string {
	b := r.byte()
	if b < 192 {
		return nameOf("a", b%5)
	}
	return nameOf("m", (b-192)*4+r.byte()%4)
}

// amount is small in all kinds, often nothing.
func (r *run) amount() (v resources.Vector) {
	b := r.byte()
	v[resources.CPU], v[resources.Memory] = int64(b%4), int64(b/4%4)
	v[resources.Disk], v[resources.GPU] = int64(b/16%4)/2, int64(b/64)/3
	return v
}

// id is a new one mostly, and sometimes one that was used before.
func (r *run) id(prefix string, used *[]string) string {
	if b := r.byte(); b >= 192 && len(*used) > 0 {
		return (*used)[b%len(*used)]
	}
	id := nameOf(prefix, len(*used))
	*used = append(*used, id)
	return id
}

// known is an id that was used before, the younger the likelier.
func (r *run) known(used []string) string {
	if len(used) == 0 {
		return "none"
	}
	return used[max(0, len(used)-1-r.byte()%16)]
}

func (r *run) step() error {
	switch op := r.byte() % 18; op {
	case 0, 1, 2:
		return r.add()
	case 3, 4, 5, 6:
		return r.reserve()
	case 7:
		return r.release()
	case 8:
		return r.remove()
	case 9, 10:
		return r.flush()
	case 11:
		return r.sweep()
	case 12, 13:
		return r.setNode()
	case 14:
		agent := r.agent()
		r.c.Landed(agent)
		if a := r.m.agents[agent]; a != nil {
			a.inFlight = false
		}
		return nil
	case 16:
		agent := r.agent()
		return r.broken("Unpredict("+agent+")", r.m.unpredict(r.m.agents[agent]), r.c.Unpredict(agent, "web"))
	case 17:
		r.foresees = !r.foresees
		return nil
	}
	return r.forget()
}

func (r *run) add() error {
	id, agent, amount := r.id("o", &r.offers), r.agent(), r.amount()
	wantBroken, want := r.m.add(id, agent, amount)
	i, broken, got := r.c.Add(offerOf(id, agent, amount), r.now)
	if err := r.broken("Add("+id+")", wantBroken, broken); err != nil {
		return err
	}
	if want != got {
		return fmt.Errorf("Add(%s) = %t, want %t", id, got, want)
	}
	if at, ok := r.c.Slot(agent); got && (!ok || at != i) {
		return fmt.Errorf("Add(%s) = slot %d, but agent %s is at %d", id, i, agent, at)
	}
	if got {
		r.offerFate[id] = nil
	}
	return nil
}

func (r *run) setNode() error {
	agent := r.agent()
	node := [4]string{"", nodeOf(agent), nodeOf(agent), "other"}[r.byte()%4]
	r.c.AddAgent(agent, agent+".example")
	broken := r.c.SetNode(agent, node)
	a := r.m.agent(agent)
	was := a.node
	a.node = node
	if was == node {
		return r.broken("SetNode("+agent+") in vain", nil, broken)
	}
	return r.broken("SetNode("+agent+")", r.m.unpredict(a), broken)
}

func (r *run) reserve() error {
	id, agent, need := r.id("p", &r.pods), r.agent(), r.amount()
	if r.byte() == 255 {
		need[resources.Memory] = -1
	}
	i, ok := r.c.Slot(agent)
	if !ok {
		i = int32(r.byte()) + 10000
	}
	want := r.m.reserve(agent, id, need, r.foresees, r.now)
	_, err := r.c.r.Reserve(i, id, r.wanted(need), r.now)
	if (err == nil) != want {
		return fmt.Errorf("Reserve(%s, %s, %s) = %v, want success %t", agent, id, need, err, want)
	}
	if want {
		r.podFate[id] = nil
	}
	return nil
}

// wanted is the want of a pod in this state of the run.
func (r *run) wanted(need resources.Vector) *Want {
	w := Plain(need)
	w.Predicted = r.foresees
	return w
}

func (r *run) release() error {
	id := r.known(r.pods)
	want, got := r.m.release(id), r.c.Release(id)
	if want != got {
		return fmt.Errorf("Release(%s) = %t, want %t", id, got, want)
	}
	if got {
		r.podFate[id] = append(r.podFate[id], fateReleased)
	}
	return nil
}

func (r *run) broken(op string, want, got []string) error {
	for _, id := range got {
		r.podFate[id] = append(r.podFate[id], fateBroken)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("%s broke (-want +got):\n%s", op, diff)
	}
	return nil
}

func (r *run) remove() error {
	id := r.known(r.offers)
	if r.m.offerFate[id] == fateHeld {
		r.offerFate[id] = append(r.offerFate[id], fateRescinded)
	}
	return r.broken("Remove("+id+")", r.m.remove(id), r.c.Remove(id, r.now))
}

// forget removes an agent, or seldom all of them.
func (r *run) forget() error {
	if r.byte() < 224 {
		agent := r.agent()
		return r.broken("RemoveAgent("+agent+")", r.m.removeAgent(agent), r.c.RemoveAgent(agent, r.now))
	}
	var want []string
	for _, agent := range slices.Sorted(func(yield func(string) bool) {
		for name := range r.m.agents {
			if !yield(name) {
				return
			}
		}
	}) {
		want = append(want, r.m.removeAgent(agent)...)
	}
	got := r.c.Reset(r.now)
	// The order of agents is not promised.
	slices.Sort(want)
	slices.Sort(got)
	return r.broken("Reset", want, got)
}

func (r *run) flush() error {
	b := r.byte()
	r.now = r.now.Add(time.Duration(r.byte()) * time.Millisecond)
	quiet := r.now.Add(-time.Duration(b%8) * time.Millisecond)
	p := FlushPolicy{Linger: 5 * time.Millisecond, MaxLinger: 200 * time.Millisecond, MaxTasks: 1 + b/8%5, Drained: b >= 240}
	p.Smallest = r.amount()
	if b := r.byte(); b%4 > 0 {
		p.Predict, p.PredictedWait, p.Smallest = true, time.Duration(b)*time.Millisecond, p.Smallest.Min(cm(1, 1))
	}
	want, wantBroken, wantNext := r.m.flush(r.now, quiet, p)
	got, broken, next := r.c.Cache.Flush(r.now, quiet, func(string) FlushPolicy { return p })
	slices.Sort(wantBroken)
	slices.Sort(broken)
	if err := r.broken("Flush", wantBroken, broken); err != nil {
		return err
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("Flush (-want +got):\n%s", diff)
	}
	if !next.Equal(wantNext) || !next.IsZero() && !next.After(r.now) {
		return fmt.Errorf("Flush at %s: next = %s, want %s", r.now, next, wantNext)
	}
	for _, batch := range got {
		for _, id := range batch.OfferIDs {
			r.offerFate[id] = append(r.offerFate[id], fateSpent)
		}
		for _, id := range batch.IDs() {
			r.podFate[id] = append(r.podFate[id], fateSent)
		}
	}
	return nil
}

func (r *run) sweep() error {
	salt := r.byte()
	drop := func(id string) bool { return (int(id[len(id)-1])+salt)%3 == 0 }
	want := r.m.sweep(drop)
	got := r.c.Sweep(r.now, func(h Held) bool { return drop(h.ID) })
	for _, id := range got {
		r.offerFate[id] = append(r.offerFate[id], fateDeclined)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("Sweep (-want +got):\n%s", diff)
	}
	return nil
}

// replay runs a whole script and returns the first difference.
func replay(script []byte) error {
	r := newRun(script)
	for n := 0; !r.done(); n++ {
		if err := r.step(); err != nil {
			return fmt.Errorf("operation %d: %w", n, err)
		}
		if err := audit(r.c.Cache); err != nil {
			return fmt.Errorf("operation %d: %w", n, err)
		}
		if err := r.compare(); err != nil {
			return fmt.Errorf("operation %d: %w", n, err)
		}
	}
	return nil
}

func TestCacheAgainstModel(t *testing.T) {
	runs := 20
	if testing.Short() {
		runs = 8
	}
	for seed := range runs {
		random := rand.New(rand.NewPCG(uint64(seed), 0))
		script := make([]byte, 200+random.IntN(1500))
		for i := range script {
			script[i] = byte(random.Uint32())
		}
		if err := replay(script); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// FuzzCache looks for a sequence of operations after which the cache and its
// model differ.
func FuzzCache(f *testing.F) {
	// An offer, its node, a reservation, and its end by each way.
	node, offer, reserve := []byte{12, 0, 1}, []byte{0, 0, 0, 0xff}, []byte{3, 0, 0, 0x15, 0}
	one := slices.Concat(node, offer, reserve)
	for _, end := range [][]byte{{7, 0}, {8, 0}, {9, 255, 0, 0}, {15, 0, 0}, {15, 255}, {11, 0}, {12, 0, 0}, {12, 0, 3}} {
		f.Add(slices.Concat(one, end))
		f.Add(slices.Concat(one, offer, reserve, reserve, end, []byte{9, 255, 10, 0, 14, 0}, one, end))
	}
	f.Add(slices.Repeat(slices.Concat([]byte{12, 200, 1, 1}, []byte{0, 0, 200, 1, 0xff}, []byte{3, 0, 200, 1, 0x15, 0}), 3))
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 4096 {
			script = script[:4096]
		}
		if err := replay(script); err != nil {
			t.Fatal(err)
		}
	})
}
