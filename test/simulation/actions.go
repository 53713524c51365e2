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
	"io"
	"net/http"
	"strings"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// action makes an event happen and says what it did, "" for nothing: what the event is
// about was not there.
type action func(w *World, e Event) (did string, err error)

// onHost makes an action of what the master does to the agent of a machine.
func onHost(f func(m *mesosmaster.Master, host string) error) action {
	return func(w *World, e Event) (string, error) {
		w.observer.touch(host(e.Host))
		if err := f(w.master, host(e.Host)); err != nil {
			return fmt.Sprintf("%s: not possible: %v", host(e.Host), err), nil
		}
		return host(e.Host), nil
	}
}

// simply makes an action of something that always works.
func simply(f func(w *World, e Event)) action {
	return func(w *World, e Event) (string, error) {
		f(w, e)
		return "done", nil
	}
}

// actions are set by init, because some of them start what looks at them.
var actions map[Kind]action

func init() {
	actions = map[Kind]action{
		jobComes: (*World).job, serviceScales: (*World).scale,
		rescindAll:     simply(func(w *World, _ Event) { w.master.RescindAll() }),
		rescindAgent:   simply(func(w *World, e Event) { w.master.RescindOffers(host(e.Host)) }),
		agentRestarts:  onHost((*mesosmaster.Master).RestartAgent),
		agentDies:      onHost((*mesosmaster.Master).KillAgent),
		agentReturns:   onHost((*mesosmaster.Master).ReturnAgent),
		hostDies:       (*World).hostDies,
		hostReturns:    (*World).hostReturns,
		partition:      onHost((*mesosmaster.Master).PartitionAgent),
		partitionEnds:  onHost((*mesosmaster.Master).ReturnAgent),
		agentGone:      (*World).agentGone,
		agentReplaced:  (*World).agentReplaced,
		agentShutDown:  onHost((*mesosmaster.Master).ShutdownAgent),
		deactivate:     onHost((*mesosmaster.Master).DeactivateAgent),
		reactivate:     (*World).reactivate,
		drain:          (*World).drain,
		maintenance:    (*World).maintenance,
		maintenanceEnd: (*World).maintenanceEnds,
		taskLost:       onTask((*mesosmaster.Master).LoseTask),
		manyTasksLost:  (*World).manyTasksLost,
		taskFailed:     onTask((*mesosmaster.Master).FailTask),
		launchDropped:  simply(func(w *World, e Event) { w.master.Faults().DropLaunches(1 + e.N%3) }),
		launchLost:     simply(func(w *World, e Event) { w.master.Faults().LoseLaunches(1 + e.N%3) }),
		launchRefused: simply(func(w *World, _ Event) {
			w.master.Faults().RejectNextLaunchAs(mesos.TASK_DROPPED, mesos.REASON_INVALID_OFFERS, "Task launched with invalid offers")
		}),
		acceptFails: simply(func(w *World, _ Event) {
			w.master.Faults().FailNext("ACCEPT", http.StatusInternalServerError, "broken")
		}),
		updatesDelayed: simply(func(w *World, _ Event) { w.master.Faults().DelayUpdates(3 * time.Second) }),
		updatesFlow:    simply(func(w *World, _ Event) { w.master.Faults().DelayUpdates(0) }),
		updatesTwice:   simply(func(w *World, e Event) { w.master.Faults().DuplicateUpdates(1 + e.N%20) }),
		masterDies:     simply(func(w *World, _ Event) { w.master.Stop() }),
		masterReturns: func(w *World, _ Event) (string, error) {
			return "a new process with the old registry", w.master.StartAgain()
		},
		unavailable: simply(func(w *World, e Event) { w.master.Faults().Unavailable(e.For) }),
		cut:         onStream(func(f *mesosmaster.Faults, e Event) error { return f.CutStream("", e.Flag) }),
		freeze:      onStream(func(f *mesosmaster.Faults, _ Event) error { return f.FreezeStream("") }),
		thaw:        onStream(func(f *mesosmaster.Faults, _ Event) error { return f.ThawStream("") }),
		apiDown: simply(func(w *World, _ Event) {
			w.down = true
			w.api.SetDown(true)
		}),
		apiUp: simply(func(w *World, _ Event) {
			w.down = false
			w.api.SetDown(false)
		}),
		watchesBreak: simply(func(w *World, e Event) { w.api.BreakWatches(e.Flag) }),
		apiFlaky:     simply(func(w *World, _ Event) { w.flaky.set(true) }),
		apiSound:     simply(func(w *World, _ Event) { w.flaky.set(false) }),
		stopOurs:     (*World).stopOurs, crashOurs: (*World).crashOurs, startOurs: (*World).startOurs, usurp: (*World).usurp,
	}
}

func (w *World) job(e Event) (string, error) {
	if w.down {
		return "", nil
	}
	return fmt.Sprintf("%d pods for %v", e.Host, e.For), w.createJob(e.Host, sizes[e.N], e.For)
}

func (w *World) scale(e Event) (string, error) {
	w.services.scale(w.script.Services[e.Host].Name, e.N)
	return fmt.Sprintf("%s to %d", w.script.Services[e.Host].Name, e.N), nil
}

func onStream(f func(*mesosmaster.Faults, Event) error) action {
	return func(w *World, e Event) (string, error) {
		if err := f(w.master.Faults(), e); err != nil {
			return refused("the stream", err)
		}
		return "done", nil
	}
}

// onTask does something to any task of ours.
func onTask(f func(m *mesosmaster.Master, taskID string) error) action {
	return func(w *World, e Event) (string, error) {
		tasks := w.master.Tasks()
		if len(tasks) == 0 {
			return "", nil
		}
		t := tasks[e.N%len(tasks)]
		if err := f(w.master, t.TaskID); err != nil {
			return "", nil //nolint:nilerr // it does not run
		}
		return fmt.Sprintf("%s of pod %s on %s", t.TaskID, t.Name, t.Hostname), nil
	}
}

func (w *World) hostDies(e Event) (string, error) {
	w.observer.touch(host(e.Host))
	w.kubelets.SetDead(host(e.Host), true)
	return host(e.Host), w.master.CrashHost(host(e.Host))
}

func (w *World) hostReturns(e Event) (string, error) {
	w.observer.touch(host(e.Host))
	w.kubelets.SetDead(host(e.Host), false)
	return host(e.Host), w.master.ReturnAgent(host(e.Host))
}

// agentGone is an operator who gives up a machine whose agent does not answer.
func (w *World) agentGone(e Event) (string, error) {
	w.observer.touch(host(e.Host))
	if err := w.master.KillAgent(host(e.Host)); err != nil {
		return "", err
	}
	if err := w.master.MarkGone(host(e.Host)); err != nil {
		return refused("killed, but not marked as gone", err)
	}
	return host(e.Host), nil
}

func (w *World) agentReplaced(e Event) (string, error) {
	w.observer.touch(host(e.Host))
	return host(e.Host), w.master.ReplaceAgent(mesosmaster.AgentConfig{Hostname: host(e.Host), Resources: hostResources})
}

// manyTasksLost takes most tasks of all away at once, as news that may be wrong would.
func (w *World) manyTasksLost(e Event) (string, error) {
	tasks, lost := w.master.Tasks(), 0
	for i := range tasks {
		if (i+e.N)%10 < 8 && w.master.FailTask(tasks[i].TaskID) == nil {
			lost++
		}
	}
	return fmt.Sprintf("%d of %d", lost, len(tasks)), nil
}

// agentID is the id of a machine's agent.
func (w *World) agentID(host string) string {
	for _, a := range w.master.Agents() {
		if a.Hostname == host {
			return a.AgentID
		}
	}
	return ""
}

// operate sends a call to the operator API, as JSON.
func (w *World) operate(call string) error {
	client := &http.Client{Transport: w.master.Transport(), Timeout: 10 * time.Second}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, w.master.URL()+"/api/v1", strings.NewReader(call))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("status %d: %s", resp.StatusCode, body)
	}
	return nil
}

func (w *World) drain(e Event) (string, error) {
	w.observer.touch(host(e.Host))
	err := w.operate(fmt.Sprintf(`{"type":"DRAIN_AGENT","drain_agent":{"agent_id":{"value":%q},"max_grace_period":{"seconds":"60"}}}`, w.agentID(host(e.Host))))
	if err != nil {
		return refused(host(e.Host), err)
	}
	w.observer.planned(host(e.Host), true)
	return host(e.Host), nil
}

func (w *World) reactivate(e Event) (string, error) {
	w.observer.touch(host(e.Host))
	w.observer.planned(host(e.Host), false)
	err := w.operate(fmt.Sprintf(`{"type":"REACTIVATE_AGENT","reactivate_agent":{"agent_id":{"value":%q}}}`, w.agentID(host(e.Host))))
	if err != nil {
		if strings.Contains(err.Error(), "not deactivated") {
			return "", nil // the drain never began
		}
		if strings.Contains(err.Error(), "DRAINING") {
			// A task that got lost on its way to the agent keeps it draining until the
			// agent registers again: the operator restarts it. If it is down, it will.
			_ = w.master.RestartAgent(host(e.Host))
		}
		w.again(e, time.Minute)
		return refused(host(e.Host), err)
	}
	return host(e.Host), nil
}

// refused is an action that is not possible now, as when the master is down: that is no
// mistake.
func refused(what string, err error) (string, error) {
	return what + ": not possible now: " + err.Error(), nil
}

// again repeats what an operator could not do, after a while.
func (w *World) again(e Event, d time.Duration) {
	e.At = w.now() + d
	w.later = append(w.later, e)
}

// maintenance plans a machine's maintenance for after half of the event's time.
func (w *World) maintenance(e Event) (string, error) {
	w.observer.touch(host(e.Host))
	err := w.operate(fmt.Sprintf(`{"type":"UPDATE_MAINTENANCE_SCHEDULE","update_maintenance_schedule":{"schedule":{"windows":[{"machine_ids":[{"hostname":%q}],`+
		`"unavailability":{"start":{"nanoseconds":%d},"duration":{"nanoseconds":%d}}}]}}}`, host(e.Host), time.Now().Add(e.For/2).UnixNano(), (e.For / 2).Nanoseconds()))
	if err != nil {
		return refused(host(e.Host), err)
	}
	w.observer.planned(host(e.Host), true)
	return fmt.Sprintf("%s in %v", host(e.Host), e.For/2), nil
}

func (w *World) maintenanceEnds(e Event) (string, error) {
	w.observer.touch(host(e.Host))
	w.observer.planned(host(e.Host), false)
	if err := w.operate(`{"type":"UPDATE_MAINTENANCE_SCHEDULE","update_maintenance_schedule":{"schedule":{"windows":[]}}}`); err != nil {
		w.again(e, 30*time.Second)
		return refused("the schedule", err)
	}
	return host(e.Host), nil
}

func (w *World) stopOurs(Event) (string, error) {
	if w.ours == nil {
		return "", nil
	}
	s := w.ours
	w.ours = nil
	return "in good order", w.stop(s)
}

func (w *World) crashOurs(Event) (string, error) {
	if w.ours == nil {
		return "", nil
	}
	w.crash(w.ours)
	w.ours = nil
	return "killed", nil
}

func (w *World) startOurs(Event) (string, error) {
	if w.ours != nil {
		return "", nil
	}
	w.begin()
	return "started", nil
}

// usurp starts a second instance while the first still runs, as one that took the lease
// of a leader that has not noticed. The first must find that it does not lead any more.
func (w *World) usurp(Event) (string, error) {
	if w.ours == nil {
		return "", nil
	}
	first := w.ours
	w.begin()
	w.reap.Go(func() {
		select {
		case <-first.Runtime.Fatal(): //nolint:errcheck // that it ends is enough
		case <-time.After(3 * time.Minute):
			w.observer.wrong("I7: the first of two instances still leads after 3 minutes")
		}
		first.Kill()
		w.check(first.Reap())
	})
	return "a second instance", nil
}
