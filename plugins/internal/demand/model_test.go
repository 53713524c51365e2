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

package demand

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// model is what a demand should be, written without regard to speed: the pods,
// and the parked ones in order.
type model struct {
	pods   map[string]resources.Vector
	parked []string
}

func (m *model) unpark(uid string) {
	m.parked = slices.DeleteFunc(m.parked, func(u string) bool { return u == uid })
}

func (m *model) add(uid string, need resources.Vector) {
	if old, ok := m.pods[uid]; ok && old != need {
		m.unpark(uid)
	}
	m.pods[uid] = need
}

func (m *model) park(uid string) {
	if _, ok := m.pods[uid]; ok && !slices.Contains(m.parked, uid) {
		m.parked = append(m.parked, uid)
	}
}

// capacity counts how often need can be taken from the amounts, one at a time.
func capacity(need resources.Vector, free []resources.Vector, limit int) int {
	n := 0
	for _, f := range free {
		for ; n < limit && need.Fits(f); n++ {
			f = f.Sub(need)
		}
	}
	return n
}

// wake returns who must be woken: of each shape the oldest, its capacity and a
// fifth, rounded up.
func (m *model) wake(free []resources.Vector) []string {
	quota := map[resources.Vector]int{}
	for _, uid := range m.parked {
		need := m.pods[uid]
		if _, ok := quota[need]; !ok {
			n := capacity(need, free, len(m.parked))
			quota[need] = (n*6 + 4) / 5
		}
	}
	var woken []string
	for _, uid := range m.parked {
		if need := m.pods[uid]; quota[need] > 0 {
			quota[need]--
			woken = append(woken, uid)
		}
	}
	for _, uid := range woken {
		m.unpark(uid)
	}
	return woken
}

// drive plays the events that the bytes of data choose, on a demand and on the
// model.
func drive(t *testing.T, data []byte) {
	d, m := New(testCfg, start), &model{pods: map[string]resources.Vector{}}
	next := func() int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b)
	}
	shape := func() resources.Vector {
		return resources.Vector{int64(next() % 3), int64(1 + next()%3)}
	}
	for len(data) > 0 {
		op, uid := next()%8, fmt.Sprint("p", next()%24)
		switch op {
		case 0, 1:
			need := shape()
			d.Add(uid, Ask{Need: need})
			m.add(uid, need)
		case 2:
			d.Remove(uid, start)
			m.unpark(uid)
			delete(m.pods, uid)
		case 3, 4, 5:
			d.Park(uid)
			m.park(uid)
		case 6:
			d.Unpark(uid)
			m.unpark(uid)
		case 7:
			var free []resources.Vector
			for range next() % 4 {
				free = append(free, resources.Vector{int64(next()%8 - 1), int64(next()%8 - 1), int64(-next() % 2)})
			}
			got, want := d.Wake(regular(free)), m.wake(free)
			if !slices.Equal(got, want) {
				t.Fatalf("%v free woke %q, want %q", free, got, want)
			}
			for _, sleeping := range m.parked {
				if need := m.pods[sleeping]; capacity(need, free, 1) > 0 && !slices.ContainsFunc(want, func(u string) bool { return m.pods[u] == need }) {
					t.Fatalf("%s sleeps although %v fits %v and no pod like it was woken", sleeping, need, free)
				}
			}
		}
		compare(t, d, m)
	}
}

func compare(t *testing.T, d *Demand, m *model) {
	t.Helper()
	all, parked := d.Pods()
	if all != len(m.pods) || parked != len(m.parked) {
		t.Fatalf("%d pods, %d parked; want %d and %d", all, parked, len(m.pods), len(m.parked))
	}
	shapes := map[resources.Vector]bool{}
	for uid, need := range m.pods {
		if !d.Has(uid) {
			t.Fatalf("%s is missing", uid)
		}
		shapes[need] = true
	}
	classes := 0
	d.Classes(func(ask Ask, pods, parked int) {
		classes++
		alike, asleep := 0, 0
		for uid, need := range m.pods {
			if need == ask.Need {
				alike++
				if d.Asleep(uid) {
					asleep++
				}
			}
		}
		if alike != pods || asleep != parked {
			t.Fatalf("class %v: %d pods, %d parked; want %d and %d", ask.Need, pods, parked, alike, asleep)
		}
	})
	if classes != len(shapes) || classes != d.classes {
		t.Fatalf("%d classes, %d counted, want %d", classes, d.classes, len(shapes))
	}
	for need, s := range d.shapes {
		if len(s.queue) > 2*24+17 {
			t.Fatalf("the queue of %v has %d entries", need, len(s.queue))
		}
	}
}

func TestDemandLikeModel(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		data := make([]byte, 3000)
		for i := range data {
			data[i] = byte(r.UintN(256))
		}
		drive(t, data)
	}
}

func FuzzDemand(f *testing.F) {
	f.Add([]byte{0, 1, 1, 1, 3, 1, 7, 0, 1, 5, 5, 0})
	f.Fuzz(drive)
}

func TestFittingAgreesWithFits(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 20_000 {
		var need, free resources.Vector
		for k := range need {
			need[k], free[k] = r.Int64N(4), r.Int64N(12)-3
		}
		n := fitting(&need, &free)
		if (n > 0) != need.Fits(free) {
			t.Fatalf("%v fits %v %d times, Fits says %v", need, free, n, need.Fits(free))
		}
		if want := capacity(need, []resources.Vector{free}, 100); !need.IsZero() && n != want {
			t.Fatalf("%v fits %v %d times, want %d", need, free, n, want)
		}
	}
}
