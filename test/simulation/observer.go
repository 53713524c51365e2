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
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// How the world is looked at.
const (
	// lookEvery is the time between two looks at states; bindings, evictions and calls
	// are seen all.
	lookEvery = 20 * time.Second
	// callsKept is more calls than come between two looks.
	callsKept = 512
	// wrongKept is how many violations are told.
	wrongKept = 5
)

// What the world is judged by, after a disturbance of us is over.
const (
	// release is how long a task without live pod may last, and a live pod without
	// task: 30 s, and what a look may be late.
	release = 30*time.Second + lookEvery
	// believe is how long we wait before we believe a master that knows nothing of a
	// task or its agent.
	believe = 30 * time.Second
	// pdbDeadline is how long a PodDisruptionBudget may keep a pod.
	pdbDeadline = 5 * time.Minute
	// reregister is how long a new master waits for the agents of the old one.
	reregister = 10 * time.Minute
	// placing is how long a pod that fits may wait, idling how long we may hold offers
	// when none waits.
	placing = 3 * time.Minute
	idling  = time.Minute
	// adopting is how long a pod that waits may have a task already.
	adopting = 2 * time.Minute
)

// podUIDLabel is the label of tasks that says whose they are.
const podUIDLabel = "kube-mesos.io/pod-uid"

// taskAnnotation is the annotation of bound pods that names their task.
const taskAnnotation = "kube-mesos.io/task-id"

// observer sees what the master, its agents and the API server hold, and judges us by
// it. It knows nothing of our own books.
type observer struct {
	w *World

	mu   sync.Mutex
	told []string
	// until is when the latest disturbance of us is over, touched when a machine was
	// last disturbed, event when anything last happened.
	until   time.Duration
	touched map[string]time.Duration
	event   time.Duration
	// demand is when a pod last came or was bound.
	demand time.Duration
	// failover is when a master last took over, zero for never.
	failover time.Duration
	// planned are machines in a drain or with planned maintenance.
	plans map[string]bool
	// going are the pods that others than us delete.
	going map[types.UID]bool
	// since is how long a state that must not last has lasted.
	since map[string]time.Duration
	ledger
	looks int
	// most is the largest number of pods without a task since there last was none.
	most int
}

func newObserver(w *World) *observer {
	o := &observer{
		w: w, touched: map[string]time.Duration{}, plans: map[string]bool{}, going: map[types.UID]bool{}, since: map[string]time.Duration{},
		ledger: newLedger(),
	}
	w.api.OnPod(o.podChanged)
	return o
}

// wrong notes a violation.
func (o *observer) wrong(format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	o.w.note("WRONG %s", text)
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.told) < wrongKept {
		o.told = append(o.told, clock(o.w.now())+" "+text)
	}
}

func (o *observer) violations() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.told)
}

func (o *observer) failed() bool { return len(o.violations()) > 0 }

// disturbed notes an event.
func (o *observer) disturbed(e Event, did string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if did == "" {
		return
	}
	o.event = o.w.now()
	if e.Kind == masterReturns {
		o.failover = o.w.now()
	}
	if d := disturbs(e.Kind); d > 0 {
		o.until = max(o.until, o.w.now()+e.For+d)
	}
}

// failedOver tells whether a master took over within a time.
func (o *observer) failedOver(within time.Duration) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failover > 0 && o.w.now()-o.failover < within
}

// touch notes that a machine is disturbed.
func (o *observer) touch(host string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.touched[host] = o.w.now()
}

// planned notes that a machine's pods have to go, or not any more.
func (o *observer) planned(host string, on bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.plans[host] = on
}

// willGo notes that others delete a pod.
func (o *observer) willGo(pod *v1.Pod) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.going[pod.UID] = true
}

// began notes a new process of ours.
func (o *observer) began() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.until = max(o.until, o.w.now()+disturbs(startOurs))
	o.evictions = nil
}

// podChanged sees each change of a pod. The API's lock is held.
func (o *observer) podChanged(was, is *v1.Pod) {
	if was == nil || is != nil && was.Spec.NodeName != is.Spec.NodeName {
		o.mu.Lock()
		o.demand = o.w.now()
		o.mu.Unlock()
	}
	switch {
	case is == nil:
		o.mu.Lock()
		delete(o.going, was.UID)
		o.forget(string(was.UID))
		o.mu.Unlock()
	case is.Spec.NodeName != "" && (was == nil || was.Spec.NodeName == ""):
		if why := o.unclaimed(is); why != "" {
			o.wrong("I1: pod %s was bound to %s with task %s: %s", is.Name, is.Spec.NodeName, is.Annotations[taskAnnotation], why)
		}
	}
}

// unclaimed tells why a pod that is being bound has no claim, "" if it has one or
// nobody can tell.
func (o *observer) unclaimed(pod *v1.Pod) string {
	agent := o.agents()[pod.Spec.NodeName]
	o.mu.Lock()
	recent := o.w.now()-o.event < time.Second || agent.State == "unreachable" && o.w.now()-o.touched[pod.Spec.NodeName] < 80*time.Second
	o.mu.Unlock()
	switch agent.State {
	case "registered", "deactivated", "unreachable", "gone":
	default:
		return "" // the master does not know what runs there
	}
	var seen []string
	for _, t := range o.w.master.Tasks() {
		if t.Labels[podUIDLabel] != string(pod.UID) {
			continue
		}
		if t.Hostname == pod.Spec.NodeName && (t.State == "TASK_RUNNING" || t.State == "TASK_STARTING") && covers(&t, pod) {
			return ""
		}
		seen = append(seen, fmt.Sprintf("%s %s on %s with %s", t.TaskID, t.State, t.Hostname, t.Resources))
	}
	if recent {
		return "" // the task may have ended in this very moment
	}
	return fmt.Sprintf("agent %s; its tasks: %v", agent.State, seen)
}

// covers tells whether a task holds what a pod requests.
func covers(t *mesosmaster.TaskSnapshot, pod *v1.Pod) bool {
	cpu, mem := 0.0, 0.0
	for i := range pod.Spec.Containers {
		r := pod.Spec.Containers[i].Resources.Requests
		cpu += float64(r.Cpu().MilliValue()) / 1000
		mem += float64(r.Memory().Value()) / (1 << 20)
	}
	return t.CPUs > cpu-0.0005 && t.MemMB > mem-0.0005
}

// agents returns the machines by host name.
func (o *observer) agents() map[string]mesosmaster.AgentSnapshot {
	all := map[string]mesosmaster.AgentSnapshot{}
	for _, a := range o.w.master.Agents() {
		all[a.Hostname] = a
	}
	return all
}

// watch sees the pods that we delete on the way to the API server.
func (o *observer) watch(api http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		name, deletes := deletion(r)
		var pod *v1.Pod
		if deletes {
			pod = o.w.api.Pod(name)
		}
		resp, err := api.RoundTrip(r)
		if err == nil && resp.StatusCode < 300 && pod != nil && pod.DeletionTimestamp == nil {
			o.evicted(pod)
		}
		return resp, err
	})
}

// deletion returns the name of the pod that a request deletes or evicts.
func deletion(r *http.Request) (name string, ok bool) {
	_, rest, ok := strings.Cut(r.URL.Path, "/pods/")
	name, sub, _ := strings.Cut(rest, "/")
	return name, ok && (r.Method == http.MethodDelete && sub == "" || r.Method == http.MethodPost && sub == "eviction")
}

// evicted judges the end of a pod that is our doing.
func (o *observer) evicted(pod *v1.Pod) {
	o.mu.Lock()
	plan, fresh := o.plans[pod.Spec.NodeName], o.w.now()-o.event < time.Second
	o.mu.Unlock()
	if plan {
		return
	}
	if t := o.claimOf(pod); t != nil && !fresh {
		o.wrong("I3: pod %s on %s was evicted although task %s is %s", pod.Name, pod.Spec.NodeName, t.TaskID, t.State)
	}
	o.w.note("we evicted pod %s on %s", pod.Name, pod.Spec.NodeName)
	o.mu.Lock()
	o.evictions = append(o.evictions, o.w.now())
	if n := len(o.evictions); n > 10*burst {
		o.evictions = o.evictions[n-10*burst:]
	}
	many := ""
	for _, window := range []time.Duration{10 * time.Second, time.Minute, 5 * time.Minute} {
		n := 0
		for _, at := range o.evictions {
			if o.w.now()-at < window {
				n++
			}
		}
		if most := burst + 1 + int(perMinute*window.Minutes()); n > most {
			many = fmt.Sprintf("%d evictions within %v, the most allowed are %d", n, window, most)
		}
	}
	o.mu.Unlock()
	if many != "" {
		o.wrong("I6: %s", many)
	}
}

// claimOf returns the task that holds a bound pod's resources, or may: one that is out
// of the master's sight.
func (o *observer) claimOf(pod *v1.Pod) *mesosmaster.TaskSnapshot {
	agent := o.agents()[pod.Spec.NodeName]
	for _, t := range o.w.master.Tasks() {
		if t.Labels[podUIDLabel] != string(pod.UID) || t.Hostname != pod.Spec.NodeName || !alive(&t) || !covers(&t, pod) {
			continue
		}
		// The master remembers as unreachable what an agent came back without.
		if t.State != "TASK_UNREACHABLE" || agent.State == "unreachable" && agent.AgentID == t.AgentID {
			return &t
		}
	}
	return nil
}

// alive tells whether a task holds its resources, for all the master knows.
func alive(t *mesosmaster.TaskSnapshot) bool {
	switch t.State {
	case "TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING", "TASK_UNREACHABLE":
		return true
	}
	return false
}
