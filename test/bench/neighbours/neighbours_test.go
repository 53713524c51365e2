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
	"encoding/json"
	"flag"
	"math"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

var (
	compare = flag.Bool("compare", false, "run the whole comparison and print its table")
	scale   = flag.Float64("scale", 0.25, "size of the cluster and of the load; 1 is that of Mesos' benchmark")
	seed    = flag.Int64("seed", 1, "seed of the workload of the first run")
	runs    = flag.Int("runs", 3, "runs of each variant, with a seed each, whose waits are pooled")
	length  = flag.Duration("length", 10*time.Minute, "how long tasks arrive, in virtual time; the first fifth is not measured")
	raw     = flag.String("raw", "", "file for the raw results, as JSON")
	only    = flag.String("variant", "", "run this variant alone")
)

// TestComparison is make bench-neighbours.
func TestComparison(t *testing.T) {
	if !*compare {
		t.Skip("the comparison takes minutes; run make bench-neighbours")
	}
	worlds := make([]World, *runs)
	for i := range worlds {
		worlds[i] = NewWorld(*seed+int64(i), *scale, *length/5, *length)
	}
	var results []*Result
	for _, variant := range Variants {
		if *only != "" && *only != string(variant) {
			continue
		}
		began := time.Now()
		list := make([]*Result, *runs)
		for i := range list {
			if list[i] = inBubble(t, worlds[i], variant); t.Failed() {
				return
			}
		}
		results = append(results, Pool(list))
		t.Logf("%s: took %v", variant, time.Since(began).Round(time.Millisecond))
	}
	if err := Report(os.Stdout, &worlds[0], *runs, results); err != nil {
		t.Error(err)
	}
	if *raw == "" {
		return
	}
	text, err := json.Marshal(results)
	if err == nil {
		err = os.WriteFile(*raw, text, 0o644)
	}
	if err != nil {
		t.Error(err)
	}
}

func inBubble(t *testing.T, world World, variant Variant) (result *Result) {
	t.Helper()
	dir := t.TempDir()
	t.Run(string(variant), func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var err error
			if result, err = Run(t.Context(), world, variant, dir); err != nil {
				t.Error(err)
			}
		})
	})
	return result
}

// All tasks of a small world run, whoever places our pods, and we hold nothing in
// the end.
func TestSmallWorld(t *testing.T) {
	world := NewWorld(1, 0.1, 10*time.Second, time.Minute)
	count := func(k *Kind) (n int) {
		for i := range k.Frameworks {
			for _, task := range world.Tasks(k, i) {
				if task.Measured {
					n++
				}
			}
		}
		return n
	}
	neighbours, pods := 0, count(&world.Pods)
	for i := range world.Kinds {
		neighbours += count(&world.Kinds[i])
	}
	for _, variant := range Variants {
		result := inBubble(t, world, variant)
		if t.Failed() {
			return
		}
		t.Logf("%s: neighbours %+v, pods %+v, %+v", variant, result.Neighbours, result.Pods, result.Use)
		want := pods
		if variant == Without {
			want = 0
		}
		if result.Neighbours.Tasks != neighbours || result.Pods.Tasks != want {
			t.Errorf("%s: %d tasks of neighbours and %d pods were placed, want %d and %d", variant, result.Neighbours.Tasks, result.Pods.Tasks, neighbours, want)
		}
		for kind, waits := range result.Waits {
			if least := waits[0]; least < launchDelay.Seconds() {
				t.Errorf("%s: a task of %s ran %v s after it arrived, starting takes %v", variant, kind, least, launchDelay)
			}
		}
		if used := result.Use.UsedCPUSeconds; used > result.Use.CPUSeconds || variant == Hoarder && used == 0 || variant == Oracle && result.Use.OfferSeconds > 0 {
			t.Errorf("%s: use of offers %+v", variant, result.Use)
		}
	}
}

func TestFigures(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(i + 1)
	}
	if got, want := summarize(hundred), (Summary{Tasks: 100, Mean: 50.5, P50: 50, P90: 90, P99: 99, Max: 100}); math.Abs(got.Mean-want.Mean) > 1e-9 || got.P50 != want.P50 || got.P90 != want.P90 || got.P99 != want.P99 || got.Max != want.Max {
		t.Errorf("100 waits: %+v, want %+v", got, want)
	}
	if got := summarize([]float64{3}); got.P50 != 3 || got.P99 != 3 {
		t.Errorf("one wait: %+v", got)
	}
	for _, tc := range []struct {
		x    []float64
		want float64
	}{{[]float64{2, 2, 2}, 1}, {[]float64{1, 0, 0, 0}, 0.25}, {nil, 1}} {
		if got := jain(tc.x); math.Abs(got-tc.want) > 1e-9 {
			t.Errorf("jain of %v: %v, want %v", tc.x, got, tc.want)
		}
	}
}

// The workload is a function of the seed, and as large as it says.
func TestTasks(t *testing.T) {
	world := NewWorld(7, 1, 0, 10*time.Minute)
	for _, k := range append(world.Kinds, world.Pods) {
		tasks := world.Tasks(&k, 0)
		if again := world.Tasks(&k, 0); !slices.Equal(tasks, again) {
			t.Errorf("%s: the same seed gave other tasks", k.Name)
		}
		var runs, n float64
		for i := range k.Frameworks {
			for _, task := range world.Tasks(&k, i) {
				if task.At > 0 || !k.Running {
					runs, n = runs+task.Runs.Seconds(), n+1
				}
			}
		}
		concurrent := runs / world.Length.Seconds() / float64(k.Frameworks)
		if math.Abs(concurrent/k.Concurrent-1) > 0.05 {
			t.Errorf("%s: %.0f tasks bring %.1f running at a time, want %.1f", k.Name, n, concurrent, k.Concurrent)
		}
	}
}
