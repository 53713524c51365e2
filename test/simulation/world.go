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
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
	"github.com/kube-mesos/kube-mesos/test/stage"
)

const (
	frameworkName = "kube-mesos"
	role          = "kubernetes"
	// hostResources is what each machine has.
	hostResources = "cpus:16;mem:65536"
	// perMinute and burst bound the evictions for Mesos' news.
	perMinute, burst = 30, 20
)

// args of the plugin. The quotas are read seldom, because nobody changes them.
const args = `
      quota: {pollPeriod: 10m}
      claims: {evictionsPerMinute: 30, evictionBurst: 20}
`

// World is one run of a script. It lives in one synctest bubble.
type World struct {
	script   *Script
	dir      string
	start    time.Time
	master   *mesosmaster.Master
	api      *stage.API
	kubelets *stage.Kubelets
	flaky    *flaky
	services *services
	observer *observer
	// ours is the scheduler that runs, nil if none does.
	ours *stage.Scheduler
	reap sync.WaitGroup
	jobs int
	// down tells that the API server cannot be reached.
	down bool
	// later is what has to be tried again.
	later []Event
	// kinds counts the events that had an effect.
	kinds map[Kind]int

	mu  sync.Mutex
	log []string
	// errs are mistakes of the simulation itself.
	errs []error
}

// recent is how many lines of the log are kept.
const recent = 60

// Run runs a script to its end, or to the first thing that is wrong. It must be called
// in a synctest bubble; dir is for temporary files. At each virtual day's end it calls
// daily, if given, when all is at rest.
func Run(script *Script, dir string, daily func(day int, w *World)) (*World, error) {
	w := &World{script: script, dir: dir, start: time.Now(), kinds: map[Kind]int{}}
	config := mesosmaster.Config{Seed: int64(script.Seed), CallLog: callsKept, LaunchDelay: 50 * time.Millisecond, KillDelay: time.Second}
	// What masters and agents remember of the past fills up over weeks.
	config.MaxCompletedTasks, config.MaxUnreachableTasks, config.MaxCompletedExecutors = 5, 20, 1
	var hosts []string
	for i := range script.Options.Agents {
		hosts = append(hosts, host(i))
		config.Agents = append(config.Agents, mesosmaster.AgentConfig{Hostname: host(i), Resources: hostResources})
	}
	w.master = mesosmaster.New(config)
	defer w.master.Close()
	w.api = stage.NewAPI(hosts)
	w.kubelets = w.api.StartKubelets(stage.KubeletOptions{Start: 2 * time.Second, Stop: 3 * time.Second, Collect: 2 * time.Minute})
	defer w.kubelets.Stop()
	w.flaky = newFlaky(script.Seed)
	w.observer = newObserver(w)
	w.services = newServices(w)
	defer w.services.stop()
	w.begin()
	w.play(daily)
	w.end()
	return w, errors.Join(w.errs...)
}

// play lets the script happen.
func (w *World) play(daily func(day int, w *World)) {
	events := w.script.Events
	for rest := stretch; rest <= w.script.Options.Length && !w.observer.failed(); rest += stretch {
		for len(events) > 0 && events[0].At < rest && !w.observer.failed() {
			w.pass(events[0].At)
			w.happen(events[0])
			events = events[1:]
		}
		w.pass(rest - time.Second)
		w.observer.atRest()
		if rest%(24*time.Hour) == 0 && daily != nil && !w.observer.failed() {
			daily(int(rest/(24*time.Hour)), w)
		}
	}
}

// now is the time since the start.
func (w *World) now() time.Duration { return time.Since(w.start) }

// pass lets time pass until a time since the start, and looks at the invariants.
func (w *World) pass(until time.Duration) {
	for w.now() < until && !w.observer.failed() {
		next := min(until, w.now()+lookEvery)
		if len(w.later) > 0 {
			next = max(min(next, w.later[0].At), w.now())
		}
		time.Sleep(next - w.now())
		synctest.Wait()
		w.observer.look()
		if len(w.later) > 0 && w.later[0].At <= w.now() {
			e := w.later[0]
			w.later = w.later[1:]
			w.happen(e)
		}
	}
}

// happen makes an event happen.
func (w *World) happen(e Event) {
	if w.observer.failed() {
		return
	}
	did, err := actions[e.Kind](w, e)
	w.observer.disturbed(e, did)
	switch {
	case err != nil:
		w.fail(fmt.Errorf("%s: %w", e, err))
	case did != "":
		w.kinds[e.Kind]++
		w.note("%s: %s", e.Kind, did)
	}
	synctest.Wait()
}

// note logs what happens.
func (w *World) note(format string, a ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, clock(w.now())+" "+fmt.Sprintf(format, a...))
	if len(w.log) > 2*recent {
		w.log = slices.Clone(w.log[len(w.log)-recent:])
	}
}

// fail notes a mistake of the simulation.
func (w *World) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.errs = append(w.errs, err)
}

// Report tells what is wrong, "" if nothing is, and how to see it again.
func (w *World) Report(test string) string {
	wrong := w.observer.violations()
	if len(wrong) == 0 {
		return ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	log := w.log[max(0, len(w.log)-recent):]
	return fmt.Sprintf("seed %d, virtual time %s:\n  %s\n\nwhat happened last:\n  %s\n\nto see it again:\n  go test ./test/simulation -run '^%s$' -seed %d\n",
		w.script.Seed, clock(w.now()), strings.Join(wrong, "\n  "), strings.Join(log, "\n  "), test, w.script.Seed)
}

// begin starts our scheduler.
func (w *World) begin() {
	s, err := stage.BeginScheduler(w.api, stage.SchedulerOptions{
		Name: frameworkName, Role: role, Args: args, Dir: w.dir,
		Dial:    func(_ context.Context, _, address string) (net.Conn, error) { return w.master.Dial(address) },
		WrapAPI: func(api http.RoundTripper) http.RoundTripper { return w.flaky.wrap(w.observer.watch(api)) },
	})
	if err != nil {
		w.fail(err)
		return
	}
	w.ours = s
	w.observer.began()
}

// end stops our scheduler and waits for those that were killed.
func (w *World) end() {
	if w.ours != nil {
		w.check(w.stop(w.ours))
		w.ours = nil
	}
	w.reap.Wait()
}

func (w *World) check(err error) {
	if err != nil {
		w.fail(err)
	}
}

func (w *World) stop(s *stage.Scheduler) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil && !w.down && !errors.Is(err, context.DeadlineExceeded) {
		w.note("stop: %v", err) // what it could not give back is Mesos' to take
	}
	return nil
}

// crash kills our scheduler; nobody waits for its remains.
func (w *World) crash(s *stage.Scheduler) {
	s.Kill()
	w.reap.Go(func() { w.check(s.Reap()) })
}
