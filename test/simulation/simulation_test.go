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
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"

	"k8s.io/klog/v2"
)

var (
	oneSeed = flag.Uint64("seed", 0, "run this seed alone; 0: as many as -seeds")
	seeds   = flag.Int("seeds", 0, "how many seeds TestDay runs; 0: 20, or 2 with the race detector")
	from    = flag.Uint64("from", 1, "the first seed")
	length  = flag.Duration("length", 0, "virtual time of each run of TestDay, in whole stretches of 6h; 0: a day, or 6h with the race detector")
	soak    = flag.Bool("soak", false, "TestMonth runs a month of 100 machines")
	profile = flag.String("profiles", "", "a directory for profiles of heap and goroutines at the end of each day of TestMonth")
	days    = flag.Int("days", 30, "how many days the month of -soak has, at least 2")
	agents  = flag.Int("agents", 24, "machines in TestDay")
)

func TestMain(m *testing.M) {
	flag.Parse()
	klog.SetLogger(logr.Discard())
	// Much is allocated and little kept.
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// The race detector makes a run ten times as slow.
func daySeeds() int {
	switch {
	case *seeds > 0:
		return *seeds
	case raceDetector:
		return 2
	}
	return 20
}

func dayLength() time.Duration {
	switch {
	case *length > 0:
		return *length
	case raceDetector:
		return stretch
	}
	return 24 * time.Hour
}

func dayOptions() Options {
	return Options{Length: dayLength(), Agents: *agents, Services: 8, JobEvery: 5 * time.Minute, FaultEvery: 8 * time.Minute}
}

// TestDay runs days of faults, one for each seed.
func TestDay(t *testing.T) {
	first, n := *from, daySeeds()
	if *oneSeed != 0 {
		first, n = *oneSeed, 1
	}
	for i := range n {
		seed := first + uint64(i)
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			run(t, "TestDay", NewScript(seed, dayOptions()), nil)
		})
	}
}

func run(t *testing.T, test string, script *Script, daily func(day int, w *World)) {
	dir := t.TempDir()
	began := time.Now()
	var w *World
	synctest.Test(t, func(t *testing.T) {
		var err error
		if w, err = Run(script, dir, daily); err != nil {
			t.Errorf("seed %d: %v", script.Seed, err)
		}
		if report := w.Report(test); report != "" {
			t.Error(report)
		}
	})
	t.Logf("seed %d: %v took %v; %v", script.Seed, script.Options.Length, time.Since(began).Round(time.Millisecond), w.kinds)
}

// TestMonth runs, with -soak, a month of a cluster of 100 machines, and sees that
// memory does not grow.
func TestMonth(t *testing.T) {
	switch {
	case !*soak:
		t.Skip("takes long; make soak runs it")
	case raceDetector:
		t.Skip("the race detector keeps memory of its own; TestDay runs with it")
	}
	o := Options{Length: time.Duration(*days) * 24 * time.Hour, Agents: 100, Services: 40, JobEvery: 2 * time.Minute, FaultEvery: 6 * time.Minute}
	seed := max(*oneSeed, 1)
	var heap []uint64
	began := time.Now()
	run(t, "TestMonth", NewScript(seed, o), func(day int, w *World) {
		heap = append(heap, liveHeap())
		writeProfiles(t, day)
		fmt.Printf("day %d: heap %.1f MiB, %d pods, %d tasks, after %v\n", day, float64(heap[day-1])/(1<<20), len(w.api.Pods()), len(w.master.Tasks()), realTime(began))
	})
	if t.Failed() {
		return
	}
	least, most := slices.Min(heap[1:]), slices.Max(heap[1:])
	t.Logf("heap at the end of each day: %d", heap)
	if float64(most) > 1.1*float64(least) {
		t.Errorf("the heap was between %d and %d bytes at the end of day 2 and later; it must stay within 10 %%: %d", least, most, heap)
	}
}

// realTime is how long something took by the clock outside the bubble.
func realTime(began time.Time) time.Duration {
	var now syscall.Timeval
	if err := syscall.Gettimeofday(&now); err != nil {
		return 0
	}
	return time.Unix(now.Unix()).Sub(began).Round(time.Second)
}

// writeProfiles writes what is in memory at the end of a day, for those who ask.
func writeProfiles(t *testing.T, day int) {
	t.Helper()
	if *profile == "" {
		return
	}
	for _, name := range []string{"heap", "goroutine"} {
		f, err := os.Create(filepath.Join(*profile, fmt.Sprintf("%s-%02d.prof", name, day)))
		if err == nil {
			err = errors.Join(pprof.Lookup(name).WriteTo(f, 0), f.Close())
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// liveHeap is how many bytes are in use after a collection.
func liveHeap() uint64 {
	// What has a finalizer goes with the second.
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A script is a function of the seed and the options.
func TestScript(t *testing.T) {
	a, b := NewScript(7, dayOptions()), NewScript(7, dayOptions())
	if !reflect.DeepEqual(a, b) {
		t.Error("the same seed gave two scripts")
	}
	if c := NewScript(8, dayOptions()); reflect.DeepEqual(a.Events, c.Events) {
		t.Error("two seeds gave the same script")
	}
	for _, e := range a.Events {
		if !busy(e.At) && e.At != restAt(e.At) {
			t.Errorf("%v comes when all should be quiet", e)
		}
	}
}
