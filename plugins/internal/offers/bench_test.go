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
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Benchmarks run alone and with churn: another goroutine that takes offers in
// and out of random agents as fast as it can.
func alone(*testing.B, single, int) func() { return func() {} }

func churn(_ *testing.B, c single, agents int) func() {
	var stopped sync.WaitGroup
	stop := make(chan struct{})
	stopped.Go(func() {
		random := rand.New(rand.NewPCG(9, 9))
		o := offerOf("churn", "", cm(0, 1))
		for {
			select {
			case <-stop:
				return
			default:
			}
			o.AgentID = nameOf("a", random.IntN(agents))
			c.Add(o, epoch)
			c.Remove(o.ID, epoch)
		}
	})
	return func() {
		close(stop)
		stopped.Wait()
	}
}

// both runs a benchmark alone and with churn.
func both(b *testing.B, name string, bench func(b *testing.B, start func(*testing.B, single, int) func())) {
	b.Run(name+"/alone", func(b *testing.B) { bench(b, alone) })
	b.Run(name+"/churn", func(b *testing.B) { bench(b, churn) })
}

// benchCache has n agents; fitting of them, evenly spread, have free and the
// others less, so little that one of cpu and memory decides at random.
func benchCache(n, fitting int, free resources.Vector) single {
	c, random := newSingle(), rand.New(rand.NewPCG(1, 1))
	for i := range n {
		agent := nameOf("a", i)
		c.AddAgent(agent, agent)
		c.SetNode(agent, nodeOf(agent))
		has := free
		if fitting == 0 || i%(n/fitting) != 0 {
			has[random.IntN(2)] = 1
		}
		c.Add(offerOf(nameOf("o", i), agent, has), epoch)
	}
	return c
}

var benchFree, benchWant = cm(64000, 256000000), Plain(cm(500, 512000))

func BenchmarkFits(b *testing.B) {
	const n = 10000
	order := rand.New(rand.NewPCG(2, 2)).Perm(n)
	for name, fitting := range map[string]int{"fitting": n, "short": 0} {
		both(b, name, func(b *testing.B, start func(*testing.B, single, int) func()) {
			c := benchCache(n, fitting, benchFree)
			defer start(b, c, n)()
			b.ReportAllocs()
			i, fits := 0, 0
			for b.Loop() {
				if v, _ := c.r.Fits(int32(order[i]), benchWant); v == Fitting {
					fits++
				}
				if i++; i == n {
					i = 0
				}
			}
			if (fits > 0) != (fitting > 0) {
				b.Fatalf("%d fit", fits)
			}
		})
	}
}

func BenchmarkSelect(b *testing.B) {
	for _, n := range []int{1000, 10000, 50000} {
		for _, shape := range []struct {
			name           string
			fitting, limit int
			want           int
		}{{"100fit", 100, 0, 100}, {"nonefit", 0, 0, 0}, {"limit128", n, 128, 128}} {
			both(b, strconv.Itoa(n)+"/"+shape.name, func(b *testing.B, start func(*testing.B, single, int) func()) {
				c := benchCache(n, shape.fitting, benchFree)
				defer start(b, c, n)()
				buf, from := make([]int32, 0, n), 0
				b.ReportAllocs()
				for b.Loop() {
					sel := c.r.Select(benchWant, from, shape.limit, buf)
					if len(sel.Slots) != shape.want {
						b.Fatalf("%d fit, want %d", len(sel.Slots), shape.want)
					}
					from = sel.Next
				}
			})
		}
	}
}

func BenchmarkReserveRelease(b *testing.B) {
	const n = 10000
	both(b, "10000", func(b *testing.B, start func(*testing.B, single, int) func()) {
		c := benchCache(n, n, benchFree)
		defer start(b, c, n)()
		order, i := rand.New(rand.NewPCG(3, 3)).Perm(n), 0
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.r.Reserve(int32(order[i]), "pod", benchWant, epoch); err != nil {
				b.Fatal(err)
			}
			c.Release("pod")
			if i++; i == n {
				i = 0
			}
		}
	})
}

// BenchmarkAddSweep takes in one event of 10,000 offers for known agents, and
// then declines them all.
func BenchmarkAddSweep(b *testing.B) {
	const n = 10000
	event := make([]*Offer, n)
	for i := range event {
		event[i] = offerOf(nameOf("e", i), nameOf("a", i), benchFree)
	}
	fill := func(c single) {
		for _, o := range event {
			c.Add(o, epoch)
		}
	}
	ours := func(h Held) bool { return h.ID[0] == 'e' }
	both(b, "Add", func(b *testing.B, start func(*testing.B, single, int) func()) {
		c := benchCache(n, n, benchFree)
		defer start(b, c, n)()
		b.ReportAllocs()
		for b.Loop() {
			fill(c)
			b.StopTimer()
			c.Sweep(epoch, ours)
			b.StartTimer()
		}
	})
	both(b, "SweepAll", func(b *testing.B, start func(*testing.B, single, int) func()) {
		c := benchCache(n, n, benchFree)
		defer start(b, c, n)()
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			fill(c)
			b.StartTimer()
			c.Sweep(epoch, ours)
		}
	})
	both(b, "SweepNone", func(b *testing.B, start func(*testing.B, single, int) func()) {
		c := benchCache(n, n, benchFree)
		defer start(b, c, n)()
		b.ReportAllocs()
		for b.Loop() {
			c.Sweep(epoch, func(Held) bool { return false })
		}
	})
}
