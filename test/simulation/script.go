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

package simulation

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Options are the size of a simulation.
type Options struct {
	// Length is how much virtual time the script fills.
	Length time.Duration
	// Agents is how many machines there are.
	Agents int
	// Services is how many services there are from the start, of 1 to 8 pods each.
	Services int
	// JobEvery is the mean time between jobs, FaultEvery that between faults.
	JobEvery, FaultEvery time.Duration
	// Only, if set, are the only kinds of faults there are.
	Only []Kind
}

// Quiet times: at the end of each stretch nothing happens, all faults are over, and
// everything must come to rest.
const (
	stretch = 6 * time.Hour
	quiet   = 30 * time.Minute
)

// Kind is what an event of the script is.
type Kind string

// Event is something that happens to the world. An event that makes no sense when its
// time has come (an agent that is to return has never gone) does nothing.
type Event struct {
	At   time.Duration
	Kind Kind
	// Host is the number of a machine, N any other number.
	Host, N int
	// For is a length of time.
	For  time.Duration
	Flag bool
}

func (e Event) String() string {
	return fmt.Sprintf("%s %s host=%d n=%d for=%v flag=%v", clock(e.At), e.Kind, e.Host, e.N, e.For, e.Flag)
}

// clock writes a time since the start as days and a time of day.
func clock(d time.Duration) string {
	d = d.Truncate(time.Millisecond)
	day := d / (24 * time.Hour)
	d -= day * 24 * time.Hour
	return fmt.Sprintf("%d+%02d:%02d:%06.3f", day, int(d.Hours()), int(d.Minutes())%60, (d % time.Minute).Seconds())
}

// Service is a number of pods that are replaced when they go.
type Service struct {
	Name     string
	Replicas int
	Size     Size
	// Budget tells that a PodDisruptionBudget lets only one of its pods be disrupted at
	// a time, or Never that it lets none.
	Budget, Never bool
}

// Size is what a pod asks for.
type Size struct{ MilliCPU, MemMi int64 }

// Script is all that happens in a simulation, drawn from the seed before it begins.
type Script struct {
	Seed     uint64
	Options  Options
	Services []Service
	Events   []Event
}

// sizes of pods; a machine holds many of each.
var sizes = []Size{{250, 256}, {500, 1024}, {1000, 2048}, {2000, 4096}, {100, 64}}

// NewScript draws a script. It is a function of the seed and the options alone.
func NewScript(seed uint64, o Options) *Script {
	s := &Script{Seed: seed, Options: o}
	rng := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // no secret hangs on it
	for i := range o.Services {
		budget := rng.IntN(4)
		s.Services = append(s.Services, Service{
			Name: fmt.Sprintf("svc-%d", i), Replicas: 1 + rng.IntN(8), Size: sizes[rng.IntN(len(sizes))],
			Budget: budget == 0, Never: i == 1,
		})
	}
	s.drawPods(rand.New(rand.NewPCG(seed, 2)))   //nolint:gosec // likewise
	s.drawFaults(rand.New(rand.NewPCG(seed, 3))) //nolint:gosec // likewise
	slices.SortStableFunc(s.Events, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	return s
}

// busy tells whether a time is none of rest.
func busy(at time.Duration) bool { return at%stretch < stretch-quiet }

// restAt is when the stretch of a time begins to rest.
func restAt(at time.Duration) time.Duration { return at - at%stretch + stretch - quiet }

// exponential draws a time of whole milliseconds.
func exponential(rng *rand.Rand, mean time.Duration) time.Duration {
	return max(time.Duration(rng.ExpFloat64()*float64(mean)).Truncate(time.Millisecond), time.Millisecond)
}

func (s *Script) drawPods(rng *rand.Rand) {
	for at := exponential(rng, s.Options.JobEvery); at < s.Options.Length; at += exponential(rng, s.Options.JobEvery) {
		e := Event{At: at, Kind: jobComes, N: rng.IntN(len(sizes)), Host: 1 + rng.IntN(4), For: exponential(rng, 4*time.Minute)}
		if busy(at) {
			s.Events = append(s.Events, e)
		}
	}
	for at := exponential(rng, time.Hour); at < s.Options.Length && len(s.Services) > 0; at += exponential(rng, time.Hour) {
		e := Event{At: at, Kind: serviceScales, Host: rng.IntN(len(s.Services)), N: rng.IntN(9)}
		if busy(at) {
			s.Events = append(s.Events, e)
		}
	}
	// A day ends as it began, so that days can be compared.
	for at := 24*time.Hour - quiet; at < s.Options.Length; at += 24 * time.Hour {
		for i := range s.Services {
			s.Events = append(s.Events, Event{At: at, Kind: serviceScales, Host: i, N: s.Services[i].Replicas})
		}
	}
}

// fault is a kind of fault: what begins it, what ends it, and how long it may last.
type fault struct {
	begin, end Kind
	// share is how often it is drawn.
	share int
	// least and most bound how long it lasts.
	least, most time.Duration
	// host tells that it is about one machine, which has one fault at a time.
	host bool
	// alone names what only one fault at a time may disturb.
	alone string
}

func (s *Script) drawFaults(rng *rand.Rand) {
	table := faults()
	if s.Options.Only != nil {
		table = slices.DeleteFunc(table, func(f fault) bool { return !slices.Contains(s.Options.Only, f.begin) })
	}
	total := 0
	for _, f := range table {
		total += f.share
	}
	if total == 0 {
		return
	}
	free := map[string]time.Duration{}
	for at := exponential(rng, s.Options.FaultEvery); at < s.Options.Length; at += exponential(rng, s.Options.FaultEvery) {
		n := rng.IntN(total)
		i := slices.IndexFunc(table, func(f fault) bool { n -= f.share; return n < 0 })
		s.draw(rng, &table[i], at, free)
	}
}

// draw adds one fault, unless what it disturbs is disturbed already. It always draws as
// many numbers.
func (s *Script) draw(rng *rand.Rand, f *fault, at time.Duration, free map[string]time.Duration) {
	length := f.least + time.Duration(rng.Float64()*float64(f.most-f.least)).Truncate(time.Millisecond)
	host, n, flag := rng.IntN(s.Options.Agents), rng.IntN(1000), rng.IntN(2) == 0
	end := at + length
	if !busy(at) || end > restAt(at) {
		return
	}
	keys := []string{}
	if f.host {
		keys = append(keys, fmt.Sprint("host", host))
	}
	if f.alone != "" {
		keys = append(keys, f.alone)
	}
	for _, k := range keys {
		if free[k] > at {
			return
		}
	}
	for _, k := range keys {
		// A while between two faults of the same thing, so that each has its effect.
		free[k] = end + time.Minute
	}
	s.Events = append(s.Events, Event{At: at, Kind: f.begin, Host: host, N: n, For: length, Flag: flag})
	if f.end != "" {
		s.Events = append(s.Events, Event{At: end, Kind: f.end, Host: host, N: n, Flag: flag})
	}
}
