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

package neighbours

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Size is what a task takes.
type Size struct{ CPUs, MemMB float64 }

// Task is one task of the workload.
type Task struct {
	ID   string
	Size Size
	// At is when it arrives, after the start of the run; Runs how long it runs.
	At, Runs time.Duration
	// Measured tells that it arrives after the warm-up.
	Measured bool
}

// Kind is a kind of framework, with its load and its ways.
type Kind struct {
	Name string
	// Frameworks is how many there are of it. OwnRoles gives each a role.
	Frameworks int
	OwnRoles   bool
	// Sizes are the sizes of tasks, all as likely.
	Sizes []Size
	// Concurrent is how many tasks of one framework run at a time on average, if none
	// waits; Runs is the mean of the exponential lengths. Together they give the rate of
	// arrivals.
	Concurrent float64
	Runs       time.Duration
	// Group is how many tasks arrive together.
	Group int
	// Running tells that Concurrent tasks are there from the start.
	Running bool
	Policy  Policy
}

// The kinds follow Mesos' own multi-framework benchmark (src/tests/
// hierarchical_allocator_benchmarks.cpp, MultiFrameworkAllocations) in the numbers
// and the sizes of frameworks and tasks, the roles and the tasks per offer. That
// benchmark's tasks come at once and never end; here as many run at a time as it has
// in all, and lengths and groups are ours: services of 20 minutes that arrive as apps
// of 20 instances, builds of 2 minutes, drivers of 1 minute.
func marathon() Kind {
	return Kind{
		Name: "marathon", Frameworks: 4, OwnRoles: true, Sizes: []Size{{0.07, 400}}, Concurrent: 4000, Runs: 20 * time.Minute, Group: 20, Running: true,
		// Marathon: --decline_offer_duration 120 s, --min_revive_offers_interval 5 s; the
		// rest of an accepted offer has the default filter.
		Policy: Policy{PerOffer: 100, Think: think, Refuse: 120 * time.Second, RefuseRest: 5 * time.Second, SuppressIdle: true, ReviveEvery: 5 * time.Second},
	}
}

func jenkins() Kind {
	return Kind{
		Name: "jenkins", Frameworks: 500, Sizes: []Size{{0.1, 4000}}, Concurrent: 5, Runs: 2 * time.Minute, Group: 1,
		// Jenkins' Mesos plugin: one task per offer, declines for 10 minutes, suppresses
		// without builds.
		Policy: Policy{PerOffer: 1, Think: think, Refuse: 10 * time.Minute, RefuseRest: time.Second, SuppressIdle: true},
	}
}

func spark() Kind {
	return Kind{
		Name: "spark", Frameworks: 50, OwnRoles: true, Sizes: []Size{{1, 1000}}, Concurrent: 20, Runs: time.Minute, Group: 1,
		// Spark's dispatcher: spark.mesos.rejectOfferDuration 120 s, suppresses without
		// queued drivers.
		Policy: Policy{PerOffer: 5, Think: think, Refuse: 120 * time.Second, RefuseRest: 5 * time.Second, SuppressIdle: true},
	}
}

// Our pods take 30 % of the cluster's CPUs on average, in jobs of four pods of a
// minute.
func pods(agents int) Kind {
	sizes := []Size{{0.5, 1024}, {0.5, 1024}, {1, 2048}, {2, 4096}}
	return Kind{
		Name: "pods", Frameworks: 1, Sizes: sizes, Concurrent: 0.3 * float64(agents) * agentCPUs, Runs: time.Minute, Group: 4,
	}
}

// think is how long the neighbours take to answer an offer: their work, the network
// and the master's queue.
const think = 50 * time.Millisecond

// launchDelay is how long an agent takes to start a task, everybody's.
const launchDelay = 100 * time.Millisecond

// The agents of the benchmark.
const (
	fullAgents = 80
	agentCPUs  = 64
	agentMemMB = 488000
)

// World is the cluster and everything that arrives in it.
type World struct {
	Seed   int64
	Agents int
	Kinds  []Kind
	// Pods is our load.
	Pods Kind
	// Warmup is not measured, Length is how long tasks arrive, with it.
	Warmup, Length time.Duration
}

// NewWorld returns the world of the benchmark, scaled: 1 is its full size.
func NewWorld(seed int64, scale float64, warmup, length time.Duration) World {
	agents := max(1, int(scale*fullAgents))
	w := World{Seed: seed, Agents: agents, Warmup: warmup, Length: length, Pods: pods(agents)}
	for _, k := range []Kind{marathon(), jenkins(), spark()} {
		exact := scale * float64(k.Frameworks)
		k.Frameworks = max(1, int(exact))
		// What rounding takes from the number of frameworks is added to their load.
		k.Concurrent *= exact / float64(k.Frameworks)
		w.Kinds = append(w.Kinds, k)
	}
	return w
}

// Tasks returns what arrives at one framework of a kind, in order. It depends on
// the seed, the kind's name and the number of the framework alone.
func (w *World) Tasks(k *Kind, framework int) (list []Task) {
	name := fmt.Sprintf("%s-%d", k.Name, framework)
	rng := w.random(name)
	add := func(at time.Duration) {
		list = append(list, Task{
			ID: fmt.Sprintf("%s.%d", name, len(list)), Size: k.Sizes[rng.IntN(len(k.Sizes))], At: at,
			Runs: exponential(rng, k.Runs), Measured: at >= w.Warmup,
		})
	}
	if k.Running {
		for range int(k.Concurrent) {
			add(0)
		}
	}
	between := time.Duration(float64(k.Runs) * float64(k.Group) / k.Concurrent)
	for at := exponential(rng, between); at < w.Length; at += exponential(rng, between) {
		for range k.Group {
			add(at)
		}
	}
	slices.SortStableFunc(list, func(a, b Task) int { return cmp.Compare(a.At, b.At) })
	return list
}

// random is the source of randomness of one thing in the world.
func (w *World) random(name string) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(w.Seed), hash(name))) //nolint:gosec // no secret hangs on it
}

// exponential draws a duration of whole milliseconds, at least one.
func exponential(rng *rand.Rand, mean time.Duration) time.Duration {
	d := time.Duration(rng.ExpFloat64() * float64(mean))
	return max(d.Truncate(time.Millisecond), time.Millisecond)
}

func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}
