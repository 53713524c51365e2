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

package crash

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"

	"k8s.io/klog/v2"

	"github.com/kube-mesos/kube-mesos/test/faults"
)

// The watchers of an API server that is down say so, at length.
func init() { klog.SetLogger(logr.Discard()) }

// disturbance is what happens at a point, and what became of the call there.
type disturbance struct {
	name string
	do   func(w *world) []faults.Action
}

func kill(w *world) faults.Action     { return faults.Action{Kind: faults.Invoke, Func: w.kill} }
func failOver(w *world) faults.Action { return faults.Action{Kind: faults.Invoke, Func: w.failOver} }

func actions(kinds ...faults.Kind) func(*world) []faults.Action {
	var do []faults.Action
	for _, k := range kinds {
		do = append(do, faults.Action{Kind: k})
	}
	return func(*world) []faults.Action { return do }
}

const (
	drop, swallow, cut = faults.Drop, faults.Swallow, faults.Cut
	cutInside, freeze  = faults.CutInside, faults.Freeze
)

const twice = "it is delivered twice"

// A call to the master never happens, or happens and its answer is lost, while we die,
// the call alone fails, or the master dies.
var atCalls = []disturbance{
	{"we die, it never happens", func(w *world) []faults.Action { return []faults.Action{kill(w), {Kind: drop}} }},
	{"we die, it happens", func(w *world) []faults.Action { return []faults.Action{{Kind: swallow}, kill(w)} }},
	{"it fails, and never happens", actions(cut)},
	{"it fails, and happens", actions(swallow, cut)},
	{"it times out, and never happens", actions(drop)},
	{"it times out, and happens", actions(swallow)},
	{twice, actions(faults.Twice)},
	{"the master dies, it never happens", func(w *world) []faults.Action { return []faults.Action{failOver(w), {Kind: cut}} }},
	{"the master dies, it happens", func(w *world) []faults.Action { return []faults.Action{{Kind: swallow}, failOver(w), {Kind: cut}} }},
}

var atWrites = []disturbance{
	{"we die, it never happens", func(w *world) []faults.Action { return []faults.Action{kill(w), {Kind: drop}} }},
	{"we die, it happens", func(w *world) []faults.Action {
		return []faults.Action{{Kind: faults.DelayAnswer, For: time.Millisecond}, kill(w)}
	}},
	{"it fails, and never happens", actions(cut)},
	{"it fails, and happens", func(*world) []faults.Action {
		return []faults.Action{{Kind: faults.DelayAnswer, For: time.Millisecond}, {Kind: cut}}
	}},
	{"it times out at the API server, and happens", func(*world) []faults.Action {
		return []faults.Action{{Kind: faults.DelayAnswer, For: time.Second}, {Kind: faults.Answer, Status: http.StatusGatewayTimeout, Text: "Timeout"}}
	}},
	{"it is slow, and the API server then unreachable for a minute", func(*world) []faults.Action {
		return []faults.Action{{Kind: faults.DelayAnswer, For: 20 * time.Second}, {Kind: faults.Down, For: time.Minute}}
	}},
	{"the API server dies for a minute, it never happens", func(*world) []faults.Action { return []faults.Action{{Kind: faults.Down, For: time.Minute}} }},
	{"it conflicts", func(*world) []faults.Action {
		return []faults.Action{{Kind: faults.Answer, Status: http.StatusConflict, Text: "Conflict"}}
	}},
	{"the master dies before it", func(w *world) []faults.Action { return []faults.Action{failOver(w)} }},
	{"the master dies behind it", func(w *world) []faults.Action {
		return []faults.Action{{Kind: faults.DelayAnswer, For: time.Millisecond}, failOver(w)}
	}},
}

var atEvents = []disturbance{
	{"we die in front of it", func(w *world) []faults.Action { return []faults.Action{kill(w), {Kind: cut}} }},
	{"the stream breaks in front of it", actions(cut)},
	{"the stream breaks inside it", actions(cutInside)},
	{"the stream is half-open in front of it", actions(freeze)},
	{"the master dies in front of it", func(w *world) []faults.Action { return []faults.Action{failOver(w), {Kind: cut}} }},
}

// point is an interaction with the world outside that can be disturbed.
type point struct {
	on   string
	nth  int
	kube bool
}

func (p point) String() string { return fmt.Sprintf("%s %d", p.on, p.nth) }

func (p point) disturbances() []disturbance {
	switch {
	case p.on == "SUBSCRIBE":
		return slices.DeleteFunc(slices.Clone(atCalls), func(d disturbance) bool { return d.name == twice })
	case p.kube:
		return atWrites
	case strings.HasPrefix(p.on, "event "):
		return atEvents
	}
	return atCalls
}

// reads is how many of the reads of one name are points: they go on for ever.
const reads = 2

// points are all interactions of an undisturbed run of a scenario, from where it is
// one of its own, in order.
func points(w *world) []point {
	var out []point
	for _, i := range w.mesos.Log() {
		if i.On != "event HEARTBEAT" && !i.Time.Before(w.begun) && (!strings.HasPrefix(i.On, "GET ") || i.Nth <= reads) {
			out = append(out, point{on: i.On, nth: i.Nth})
		}
	}
	for _, i := range w.kube.Log() {
		verb, _, _ := strings.Cut(i.On, " ")
		if i.Time.Before(w.begun) {
			continue
		}
		if slices.Contains([]string{"create", "update", "patch", "delete"}, verb) || verb == "get" && i.Nth <= reads {
			out = append(out, point{on: i.On, nth: i.Nth, kube: true})
		}
	}
	return out
}

// sparse is of how many cases one is run under the race detector, which makes them some
// ten times slower.
const sparse = 5

// attempts is how often a run is begun again in which the point did not come up: which
// of two calls of the same instant goes first is for the Go scheduler to say.
const attempts = 5

// Whatever is interrupted, at any interaction of a pod's life with the world outside,
// and whatever became of the call: afterwards all is in order.
func TestEverywhere(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			var found []point
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, dir, s)
				w.run(s)
				found = points(w)
			})
			if len(found) < 15 {
				t.Fatalf("only %d points: %v", len(found), found)
			}
			var missed atomic.Int64
			cases := 0
			t.Run("at", func(t *testing.T) {
				for _, p := range found {
					for _, d := range p.disturbances() {
						cases++
						if raceDetector && cases%sparse != 0 {
							continue
						}
						t.Run(p.String()+": "+d.name, func(t *testing.T) {
							t.Parallel()
							if !disturbed(t, s, p, d) {
								missed.Add(1)
							}
						})
					}
				}
			})
			t.Logf("%d points, %d cases, of which %d did not come up", len(found), cases, missed.Load())
			if missed.Load() > int64(cases/20) {
				t.Errorf("%d of %d cases did not come up: the runs differ too much to be compared", missed.Load(), cases)
			}
		})
	}
}

// disturbed runs a scenario with one disturbance; false if its point did not come up.
func disturbed(t *testing.T, s *scenario, p point, d disturbance) bool {
	for range attempts {
		hit := false
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, dir, s)
			rule := faults.Rule{On: p.on, Nth: p.nth, Do: d.do(w)}
			add, unhit := w.mesos.Add, w.mesos.Unhit
			w.judge.doubled = d.name == twice
			if p.kube {
				add, unhit = w.kube.Add, w.kube.Unhit
			}
			if err := add(rule); err != nil {
				t.Error(err)
			}
			w.run(s)
			hit = len(unhit()) == 0
			if t.Failed() {
				w.tell()
			}
		})
		if hit || t.Failed() {
			return true
		}
	}
	return false
}

// tell logs what was said to whom, for a run that went wrong.
func (w *world) tell() {
	for _, i := range append(w.mesos.Log(), w.kube.Log()...) {
		if on, _, _ := strings.Cut(i.On, " "); on != "list" && on != "watch" && on != "GET" && i.On != "event HEARTBEAT" {
			w.t.Log(i.Time.Format("15:04:05.000"), i.On, i.Nth, i.About)
		}
	}
}
