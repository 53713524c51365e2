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
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	annotationTask   = "kube-mesos.io/task-id"
	annotationExtras = "kube-mesos.io/extra-tasks"
)

// judge looks at what the API server and the master really have, never at our books.
type judge struct {
	w *world

	mu    sync.Mutex
	may   map[string]bool // pods that may go
	bound map[types.UID]int
	// doubled tells that a call was delivered twice.
	doubled bool
	wrong   []string
}

func newJudge(w *world) *judge {
	j := &judge{w: w, may: map[string]bool{}, bound: map[types.UID]int{}}
	w.api.OnPod(j.changed)
	return j
}

// mayGo takes note that a pod is to go.
func (j *judge) mayGo(pod string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.may[pod] = true
}

func (j *judge) complain(format string, args ...any) {
	j.wrong = append(j.wrong, fmt.Sprintf("%s: ", time.Now().Format("15:04:05.000"))+fmt.Sprintf(format, args...))
}

// changed sees every change of a pod. The API's lock is held.
func (j *judge) changed(was, is *v1.Pod) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case was != nil && (is == nil || is.DeletionTimestamp != nil) && !j.may[was.Name]:
		j.complain("pod %s is ended although nobody wanted that", was.Name)
	case is == nil:
	case (was == nil || was.Spec.NodeName == "") && is.Spec.NodeName != "":
		j.bound[is.UID]++
		j.confirmed(is)
	}
}

// confirmed finds whether the claim of a pod that has just been bound was confirmed to
// us, and is one of its node's (I1).
func (j *judge) confirmed(pod *v1.Pod) {
	id := pod.Annotations[annotationTask]
	if id == "" {
		j.complain("I1: pod %s is bound without a task", pod.Name)
		return
	}
	told := false
	for _, i := range j.w.mesos.Log() {
		told = told || i.On == "event UPDATE" && (i.About == id+" TASK_STARTING" || i.About == id+" TASK_RUNNING")
	}
	if !told {
		j.complain("I1: pod %s is bound by task %s, of which no one said that it runs", pod.Name, id)
	}
	for _, task := range j.w.master.Tasks() {
		requested := pod.Spec.Containers[0].Resources.Requests.Cpu().AsApproximateFloat64()
		if task.TaskID == id && (task.Hostname != pod.Spec.NodeName || task.CPUs < requested) {
			j.complain("I1: pod %s is bound to %s by a task of %v cores on %s", pod.Name, pod.Spec.NodeName, task.CPUs, task.Hostname)
		}
	}
}

// held says what is missing to a pod that runs and is held by tasks of so many cores.
func (j *judge) held(name string, cpus float64) string {
	pod := j.w.pod(name)
	switch {
	case pod == nil:
		return "there is none"
	case pod.Status.Phase != v1.PodRunning:
		return fmt.Sprintf("it is %s on %q", pod.Status.Phase, pod.Spec.NodeName)
	}
	sum, ids := 0.0, []string{}
	for _, task := range j.w.tasksOf(pod) {
		if task.State != "TASK_RUNNING" || task.Hostname != pod.Spec.NodeName {
			return fmt.Sprintf("task %s is %s on %s", task.TaskID, task.State, task.Hostname)
		}
		sum += task.CPUs
		ids = append(ids, task.TaskID)
	}
	named, err := tasksNamed(pod)
	slices.Sort(ids)
	switch {
	case err != nil:
		return err.Error()
	case !slices.Equal(named, ids):
		return fmt.Sprintf("it names the tasks %q, and has %q", named, ids)
	case sum != cpus:
		return fmt.Sprintf("its tasks %q have %v cores", ids, sum)
	}
	return ""
}

// tasksNamed are the tasks that the pod's annotations name.
func tasksNamed(pod *v1.Pod) ([]string, error) {
	names := []string{pod.Annotations[annotationTask]}
	if text := pod.Annotations[annotationExtras]; text != "" {
		extras := map[string]string{} // resources by task id
		if err := json.Unmarshal([]byte(text), &extras); err != nil {
			return nil, fmt.Errorf("annotation %s: %w", annotationExtras, err)
		}
		names = slices.AppendSeq(names, maps.Keys(extras))
	}
	slices.Sort(names)
	return names, nil
}

// idle says what is missing to rest (I2, I5): without pods there are no tasks, no
// offers, and nobody who wants any.
func (j *judge) idle() string {
	if tasks := j.w.live(); len(tasks) > 0 {
		return fmt.Sprintf("tasks are left: %+v", tasks)
	}
	if offers := j.w.master.OutstandingOffers(); len(offers) > 0 {
		return fmt.Sprintf("offers are held: %+v", offers)
	}
	frameworks := j.w.master.Frameworks()
	if len(frameworks) == 0 {
		return "nobody has subscribed"
	}
	for _, f := range frameworks {
		if !f.Connected || len(f.SuppressedRoles) != len(f.Roles) {
			return fmt.Sprintf("framework %s is connected: %v, suppressed in %v of %v", f.ID, f.Connected, f.SuppressedRoles, f.Roles)
		}
	}
	return ""
}

// final judges the run at its end.
func (j *judge) final() {
	t := j.w.t
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.wrong {
		t.Error(s)
	}
	for uid, n := range j.bound {
		if n != 1 {
			t.Errorf("pod %s was bound %d times", uid, n)
		}
	}
	if why := j.idle(); why != "" {
		t.Errorf("I5: not idle at the end: %s", why)
	}
	launched := map[string]int{}
	for _, record := range j.w.master.Calls() {
		for _, op := range record.Call.GetAccept().GetOperations() {
			for _, task := range op.GetLaunch().GetTaskInfos() {
				launched[task.TaskID.Value]++
			}
		}
	}
	for id, n := range launched {
		// A call that the network doubles is used once.
		if n > 1 && !j.doubled {
			t.Errorf("I4: task id %s was used %d times", id, n)
		}
	}
	// I7: one framework leads, under the id that it stored.
	if frameworks := j.w.master.Frameworks(); len(frameworks) != 1 {
		t.Errorf("%d frameworks are left: %+v", len(frameworks), frameworks)
	}
	if err := j.w.master.CheckInvariants(); err != nil {
		t.Error(err)
	}
	if crash := j.w.master.Crashed(); crash != "" {
		t.Errorf("the master died of us: %s", crash)
	}
}

// still complains if a pod is not held any more as it was.
func (j *judge) still(name string, cpus float64) {
	j.w.t.Helper()
	if why := j.held(name, cpus); why != "" {
		j.w.t.Errorf("pod %s was in order, and is not any more: %s", name, why)
	}
}
