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
	"os"
	"testing"
	"testing/synctest"
	"time"
)

var (
	compare = flag.Bool("compare", false, "run the whole comparison and print its table")
	scale   = flag.Float64("scale", 0.25, "size of the cluster and of the load; 1 is that of Mesos' benchmark")
	seed    = flag.Int64("seed", 1, "seed of the workload")
	length  = flag.Duration("length", 10*time.Minute, "how long tasks arrive, in virtual time; the first fifth is not measured")
	raw     = flag.String("raw", "", "file for the raw results, as JSON")
	only    = flag.String("variant", "", "run this variant alone")
)

// TestComparison is make bench-neighbours.
func TestComparison(t *testing.T) {
	if !*compare {
		t.Skip("the comparison takes minutes; run make bench-neighbours")
	}
	world := NewWorld(*seed, *scale, *length/5, *length)
	var results []*Result
	for _, variant := range Variants {
		if *only != "" && *only != string(variant) {
			continue
		}
		began := time.Now()
		results = append(results, inBubble(t, world, variant))
		t.Logf("%s: took %v", variant, time.Since(began).Round(time.Millisecond))
	}
	if err := Report(os.Stdout, &world, results); err != nil {
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
	world := NewWorld(1, 0.05, 10*time.Second, time.Minute)
	for _, variant := range Variants {
		began := time.Now()
		result := inBubble(t, world, variant)
		if t.Failed() {
			return
		}
		t.Logf("%s: %+v, pods %+v, took %v", variant, result.Neighbours, result.Pods, time.Since(began))
	}
}
