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
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// Result is what one run measured.
type Result struct {
	Variant Variant `json:"variant"`
	// Waits are, by kind, how long tasks waited from their arrival until they ran, in
	// seconds, sorted; for pods until they were bound.
	Waits map[string][]float64 `json:"waits"`
	// Neighbours and Pods sum them up.
	Neighbours Summary            `json:"neighbours"`
	Kinds      map[string]Summary `json:"kinds"`
	Pods       Summary            `json:"pods"`
	// Jain is the fairness index over the neighbours' mean service.
	Jain float64 `json:"jain"`
	// Use is what our framework had of offers.
	Use mesosmaster.OfferUse `json:"use"`
	// Wasted is the part of the CPU time offered to us that was not launched on.
	Wasted float64 `json:"wasted"`

	service map[string]*service
}

// service is how much of the time of its tasks a framework had them run.
type service struct{ sum, n float64 }

// Summary sums up waits, in seconds.
type Summary struct {
	Tasks int     `json:"tasks"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

const podsKind = "pods"

// add notes that a task waited and then runs for a time.
func (r *Result) add(kind, framework string, waited, runs time.Duration) {
	if r.Waits == nil {
		r.Waits, r.service = map[string][]float64{}, map[string]*service{}
	}
	r.Waits[kind] = append(r.Waits[kind], waited.Seconds())
	if kind == podsKind {
		return
	}
	s := r.service[framework]
	if s == nil {
		s = &service{}
		r.service[framework] = s
	}
	s.sum += runs.Seconds() / (runs + waited).Seconds()
	s.n++
}

// Pool makes one result of those of a variant with several seeds: of all their waits,
// frameworks and offers.
func Pool(results []*Result) *Result {
	pooled := &Result{Variant: results[0].Variant, Waits: map[string][]float64{}, service: map[string]*service{}}
	for i, r := range results {
		for kind, waits := range r.Waits {
			pooled.Waits[kind] = append(pooled.Waits[kind], waits...)
		}
		for name, s := range r.service {
			pooled.service[fmt.Sprintf("%d/%s", i, name)] = s
		}
		pooled.Use.OfferSeconds += r.Use.OfferSeconds
		pooled.Use.CPUSeconds += r.Use.CPUSeconds
		pooled.Use.MemMBSeconds += r.Use.MemMBSeconds
		pooled.Use.UsedCPUSeconds += r.Use.UsedCPUSeconds
		pooled.Use.UsedMemMBSeconds += r.Use.UsedMemMBSeconds
	}
	pooled.finish()
	return pooled
}

// finish computes the figures.
func (r *Result) finish() {
	var all []float64
	r.Kinds = map[string]Summary{}
	for _, kind := range slices.Sorted(maps.Keys(r.Waits)) {
		slices.Sort(r.Waits[kind])
		s := summarize(r.Waits[kind])
		if kind == podsKind {
			r.Pods = s
			continue
		}
		r.Kinds[kind] = s
		all = append(all, r.Waits[kind]...)
	}
	slices.Sort(all)
	r.Neighbours = summarize(all)
	var means []float64
	for _, s := range r.service {
		means = append(means, s.sum/s.n)
	}
	r.Jain = jain(means)
	if r.Use.CPUSeconds > 0 {
		r.Wasted = 1 - r.Use.UsedCPUSeconds/r.Use.CPUSeconds
	}
}

// summarize sums up sorted waits.
func summarize(waits []float64) (s Summary) {
	s.Tasks = len(waits)
	if s.Tasks == 0 {
		return s
	}
	for _, w := range waits {
		s.Mean += w / float64(len(waits))
	}
	s.P50, s.P90, s.P99, s.Max = quantile(waits, 0.5), quantile(waits, 0.9), quantile(waits, 0.99), waits[len(waits)-1]
	return s
}

// quantile is the smallest value that at least the part q of them does not exceed.
func quantile(sorted []float64, q float64) float64 {
	i := int(q * float64(len(sorted)))
	if float64(i) == q*float64(len(sorted)) {
		i--
	}
	return sorted[min(max(i, 0), len(sorted)-1)]
}

// jain is Jain's fairness index: 1 if all are equal, 1/n if one has everything.
func jain(x []float64) float64 {
	var sum, squares float64
	for _, v := range x {
		sum += v
		squares += v * v
	}
	if squares == 0 {
		return 1
	}
	return sum * sum / (float64(len(x)) * squares)
}

// Report writes the table.
func Report(out io.Writer, world *World, runs int, results []*Result) error {
	fmt.Fprintf(out, "%d agents of %d cpus, %d MB;", world.Agents, agentCPUs, agentMemMB)
	for i := range world.Kinds {
		k := &world.Kinds[i]
		fmt.Fprintf(out, " %d x %s with %.0f tasks;", k.Frameworks, k.Name, k.Concurrent)
	}
	fmt.Fprintf(out, " %.0f pods. %d runs from seed %d, each %v of which %v are warm-up.\n", world.Pods.Concurrent, runs, world.Seed, world.Length, world.Warmup)
	fmt.Fprintln(out, "Waits in ms from a task's arrival until it runs, of a pod until it is bound: p50 / p99.")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "\tneighbours\tmean\t")
	for i := range world.Kinds {
		fmt.Fprintf(w, "%s\t", world.Kinds[i].Name)
	}
	fmt.Fprintln(w, "Jain\tour pods\tmean\toffers held\tcpus held\twasted\t")
	for _, r := range results {
		fmt.Fprintf(w, "%s\t%s\t%.0f\t", r.Variant, cell(r.Neighbours), 1000*r.Neighbours.Mean)
		for i := range world.Kinds {
			fmt.Fprintf(w, "%s\t", cell(r.Kinds[world.Kinds[i].Name]))
		}
		fmt.Fprintf(w, "%.6f\t%s\t%.0f\t%.0f s\t%.0f s\t%.3f\t\n", r.Jain, cell(r.Pods), 1000*r.Pods.Mean, r.Use.OfferSeconds, r.Use.CPUSeconds, r.Wasted)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return reportAgainst(out, world, results)
}

// reportAgainst writes how far the waits of the neighbours with us, and with those in
// our place, are from those with nobody there, and from those with the oracle.
func reportAgainst(out io.Writer, world *World, results []*Result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, base := range results {
		if base.Variant != Without && base.Variant != Oracle {
			continue
		}
		fmt.Fprintf(w, "\nneighbours' waits against %q\tall\tmean\t", base.Variant)
		for i := range world.Kinds {
			fmt.Fprintf(w, "%s\t", world.Kinds[i].Name)
		}
		fmt.Fprintln(w)
		for _, r := range results {
			if r.Variant == Without || r == base {
				continue
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t", r.Variant, against(r.Neighbours, base.Neighbours), percent(r.Neighbours.Mean, base.Neighbours.Mean))
			for i := range world.Kinds {
				fmt.Fprintf(w, "%s\t", against(r.Kinds[world.Kinds[i].Name], base.Kinds[world.Kinds[i].Name]))
			}
			fmt.Fprintln(w)
		}
	}
	return w.Flush()
}

func against(s, base Summary) string {
	return percent(s.P50, base.P50) + " / " + percent(s.P99, base.P99)
}

func percent(x, base float64) string {
	if base == 0 {
		return "-"
	}
	return fmt.Sprintf("%+.1f %%", 100*(x/base-1))
}

func cell(s Summary) string {
	if s.Tasks == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f / %.0f", 1000*s.P50, 1000*s.P99)
}
