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
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// sight is what a look sees.
type sight struct {
	tasks  []mesosmaster.TaskSnapshot
	agents map[string]mesosmaster.AgentSnapshot
	ours   *mesosmaster.FrameworkSnapshot
	pods   map[string]*v1.Pod
	// byPod are the live tasks of each pod.
	byPod map[string][]*mesosmaster.TaskSnapshot
	// waiting counts the pods that are not bound, lost the bound ones without a task.
	waiting, lost int
	// bad are the states that must not last.
	bad map[string]state
}

// state is something that must not last.
type state struct {
	what  string
	limit time.Duration
}

// look judges the world as it is.
func (o *observer) look() {
	o.readCalls()
	o.looks++
	if o.looks%10 == 0 {
		if err := o.w.master.CheckInvariants(); err != nil {
			o.wrong("over-commitment: %v", err)
		}
	}
	s := o.see()
	if s.ours == nil && o.healthy() && o.lasts("framework", time.Minute) {
		o.wrong("the master knows no framework of ours")
	} else if s.ours != nil {
		o.last("framework")
	}
	if !o.healthy() || s.ours == nil {
		o.mu.Lock()
		clear(o.since)
		o.mu.Unlock()
		return
	}
	o.judge(s)
	for key, b := range s.bad {
		if o.lasts(key, b.limit) {
			o.wrong("%s, for more than %v", b.what, b.limit)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for key := range o.since {
		if _, is := s.bad[key]; !is {
			delete(o.since, key)
		}
	}
}

// healthy tells whether nothing keeps us from our duties.
func (o *observer) healthy() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.ours != nil && !o.w.down && o.w.now() >= o.until
}

// quietFor tells whether no pod came or was bound for a time.
func (o *observer) quietFor(d time.Duration) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.now()-o.demand > d
}

// lasts tells whether a state has lasted longer than it may.
func (o *observer) lasts(key string, limit time.Duration) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	at, is := o.since[key]
	if !is {
		o.since[key] = o.w.now()
	}
	return is && o.w.now()-at > limit
}

func (o *observer) last(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.since, key)
}

func (o *observer) see() *sight {
	s := &sight{
		tasks: o.w.master.Tasks(), agents: o.agents(), pods: map[string]*v1.Pod{},
		byPod: map[string][]*mesosmaster.TaskSnapshot{}, bad: map[string]state{},
	}
	frameworks := o.w.master.Frameworks()
	for i := range frameworks {
		if frameworks[i].Name == frameworkName {
			if s.ours != nil {
				o.wrong("I7: we are two frameworks: %s and %s", s.ours.ID, frameworks[i].ID)
			}
			s.ours = &frameworks[i]
		}
	}
	for _, pod := range o.w.api.Pods() {
		s.pods[string(pod.UID)] = pod
	}
	for i := range s.tasks {
		if t := &s.tasks[i]; alive(t) && t.State != "TASK_UNREACHABLE" {
			s.byPod[t.Labels[podUIDLabel]] = append(s.byPod[t.Labels[podUIDLabel]], t)
		}
	}
	return s
}

// on lists the tasks of a machine, for people.
func (s *sight) on(host string) string {
	var tasks []string
	for i := range s.tasks {
		if t := &s.tasks[i]; t.Hostname == host {
			tasks = append(tasks, fmt.Sprintf("%s %s of pod %s on agent %s", t.TaskID, t.State, t.Name, t.AgentID))
		}
	}
	return fmt.Sprintf("tasks %q", tasks)
}

// ended tells that a pod needs no resources any more.
func ended(pod *v1.Pod) bool {
	return pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed
}

// judge finds what must not last.
func (o *observer) judge(s *sight) {
	for _, tasks := range s.byPod {
		for _, t := range tasks {
			o.judgeTask(s, t)
		}
	}
	for _, pod := range s.pods {
		if pod.Spec.NodeName != "" && !ended(pod) && pod.DeletionTimestamp == nil && o.without(s, pod) {
			s.lost++
		}
	}
	// The breaker lets pods go one after the other: the last waits for all before it.
	if o.most = max(o.most, s.lost); s.lost == 0 {
		o.most = 0
	}
	for _, pod := range s.pods {
		o.judgePod(s, pod)
	}
	if s.waiting == 0 && o.quietFor(idling) && (s.ours.Offers > 0 || len(s.ours.SuppressedRoles) < len(s.ours.Roles)) {
		s.bad["idle"] = state{fmt.Sprintf("I5: no pod waits, but we hold %d offers, and of the roles %v are suppressed %v", s.ours.Offers, s.ours.Roles, s.ours.SuppressedRoles), lookEvery}
	}
}

func (o *observer) judgeTask(s *sight, t *mesosmaster.TaskSnapshot) {
	if s.agents[t.Hostname].State == "disconnected" || o.killed(t.TaskID) {
		return
	}
	pod := s.pods[t.Labels[podUIDLabel]]
	key := "task " + t.TaskID
	switch {
	case pod == nil:
		s.bad[key] = state{fmt.Sprintf("I2: task %s (%s) on %s has no pod", t.TaskID, t.State, t.Hostname), release}
	case ended(pod):
		s.bad[key] = state{fmt.Sprintf("I2: task %s (%s) on %s is of pod %s, which is %s", t.TaskID, t.State, t.Hostname, pod.Name, pod.Status.Phase), release}
	case pod.Spec.NodeName == "":
		s.bad[key] = state{fmt.Sprintf("I2: task %s (%s) on %s is of pod %s, which is not bound", t.TaskID, t.State, t.Hostname, pod.Name), adopting}
	case pod.Spec.NodeName != t.Hostname:
		s.bad[key] = state{fmt.Sprintf("I2: task %s (%s) on %s is of pod %s on %s", t.TaskID, t.State, t.Hostname, pod.Name, pod.Spec.NodeName), release}
	case pod.Annotations[taskAnnotation] != t.TaskID:
		s.bad[key] = state{fmt.Sprintf("I2: task %s (%s) on %s is of pod %s, which lives by task %s", t.TaskID, t.State, t.Hostname, pod.Name, pod.Annotations[taskAnnotation]), adopting}
	}
}

// without tells whether a bound pod has no task, for certain.
func (o *observer) without(s *sight, pod *v1.Pod) bool {
	switch s.agents[pod.Spec.NodeName].State {
	case "unreachable", "disconnected", "recovered":
		return false
	}
	for _, t := range s.byPod[string(pod.UID)] {
		if t.Hostname == pod.Spec.NodeName && covers(t, pod) {
			return false
		}
	}
	return true
}

func (o *observer) judgePod(s *sight, pod *v1.Pod) {
	if ended(pod) || pod.DeletionTimestamp != nil {
		return
	}
	if pod.Spec.NodeName == "" {
		s.waiting++
		s.bad["waiting "+string(pod.UID)] = state{fmt.Sprintf("pod %s is not bound", pod.Name), placing + o.patience(string(pod.UID))}
		return
	}
	if !o.without(s, pod) {
		return
	}
	limit, late := release+believe+time.Duration(o.most)*time.Minute/perMinute, reregister+2*time.Minute
	name := pod.Labels[serviceLabel]
	if name != "" && o.w.services.protected(name) {
		limit += pdbDeadline
		late += pdbDeadline
	}
	if o.failedOver(late) {
		// A new master waits for the agents of the old one, and says nothing of what ran
		// on one that does not come, even if another agent took its place.
		limit += reregister
	}
	var tasks []string
	for _, t := range s.tasks {
		if t.Labels[podUIDLabel] == string(pod.UID) {
			tasks = append(tasks, t.TaskID+" "+t.State+" on "+t.Hostname)
		}
	}
	s.bad["without "+string(pod.UID)] = state{
		fmt.Sprintf("I2: pod %s on %s (agent %s) lives by task %s, but has none there; its tasks: %s",
			pod.Name, pod.Spec.NodeName, s.agents[pod.Spec.NodeName].State, pod.Annotations[taskAnnotation], strings.Join(tasks, ", ")), limit,
	}
}

// podsAtRest judges the pods after a quiet time.
func (o *observer) podsAtRest(s *sight) {
	for _, pod := range s.pods {
		switch {
		case ended(pod):
			continue
		case pod.Spec.NodeName == "":
			o.wrong("at rest, pod %s waits", pod.Name)
		case pod.DeletionTimestamp != nil:
			o.wrong("at rest, pod %s is still going", pod.Name)
		case o.without(s, pod):
			o.wrong("at rest, pod %s on %s has no task", pod.Name, pod.Spec.NodeName)
		}
	}
}

// atRest judges the world after a quiet time.
func (o *observer) atRest() {
	if o.failed() || !o.healthy() {
		if !o.failed() {
			o.wrong("the script leaves no quiet time")
		}
		return
	}
	s := o.see()
	o.podsAtRest(s)
	for i := range s.tasks {
		t := &s.tasks[i]
		// A task that got lost between master and agent stays in the master's books until
		// the agent registers again. All we can do is to go on asking for its end.
		pod := s.pods[t.Labels[podUIDLabel]]
		if t.State != "TASK_UNREACHABLE" && (pod == nil || ended(pod)) && !o.killed(t.TaskID) {
			o.wrong("at rest, there is task %s (%s) on %s of pod %s", t.TaskID, t.State, t.Hostname, t.Name)
		}
	}
	if s.ours == nil || s.ours.Offers > 0 || len(s.ours.SuppressedRoles) < len(s.ours.Roles) {
		o.wrong("I5: at rest, our framework is %+v", s.ours)
	}
	for name, a := range s.agents {
		if a.State != "registered" {
			o.wrong("at rest, agent %s is %s, with %s", name, a.State, s.on(name))
		}
	}
}
