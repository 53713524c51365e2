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

package lifecycle

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kube-mesos/kube-mesos/plugins/internal/breaker"
	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
)

// fleet is n running pods, p0 and so on, on n1.
func fleet(n int) (pods []runtime.Object) {
	for i := range n {
		name := fmt.Sprint("p", i)
		pods = append(pods, boundPod(name, "n1", claims.TaskID("uid-"+name, 7), "a-n1"))
	}
	return pods
}

func (r *rig) says(i int, state claims.TaskState, reason string) {
	r.Updated(claims.TaskStatus{TaskID: claims.TaskID(fmt.Sprint("uid-p", i), 7), AgentID: "a-n1", State: state, Reason: reason, Source: "SOURCE_MASTER"})
}

// count returns how many of the pods exist.
func (r *rig) count(from, to int) (n int) {
	for i := from; i < to; i++ {
		if r.exists(fmt.Sprint("p", i)) {
			n++
		}
	}
	return n
}

// Most of a fleet is said to be lost. Nothing goes until the master, asked again, says so
// once more; what turns out to live stays.
func TestMassLoss(t *testing.T) {
	const pods, lost = 40, 30
	objects := fleet(pods)
	inBubble(t, func(r *rig) {
		r.onEviction(func(int) error { return nil })
		for i, pod := range objects {
			r.podChanged(podFrom(pod))
			r.says(i, claims.TaskRunning, "")
		}
		r.pass(time.Second)
		r.master.take()
		evictions := defaultEvictions
		evictions.Settle = evictionSettle
		r.mu.Lock()
		r.breaker = breaker.New(evictions)
		r.mu.Unlock()
		for i := range lost {
			r.says(i, claims.TaskLost, "REASON_AGENT_REMOVED")
		}
		r.wantEvents(EventEvictionsHalted)
		r.pass(10 * time.Minute)
		if n := r.count(0, pods); n != pods {
			t.Fatalf("%d of %d pods are left, and no loss is confirmed", n, pods)
		}
		for i := range lost {
			if i < 20 {
				r.says(i, claims.TaskRunning, "REASON_RECONCILIATION")
			} else {
				r.says(i, claims.TaskGone, "REASON_RECONCILIATION")
			}
		}
		r.pass(time.Minute)
		if n := r.count(0, 20); n != 20 {
			t.Errorf("%d of 20 pods are left whose tasks live", n)
		}
		if n := r.count(20, lost); n != 0 {
			t.Errorf("%d pods are left whose loss is confirmed", n)
		}
		if n := r.count(lost, pods); n != pods-lost {
			t.Errorf("%d of the others are left", n)
		}
		r.wantEvents(EventEvictionsResumed)
	}, objects...)
}

// wantEvents drains the events and wants one among them.
func (r *rig) wantEvents(want string) {
	r.t.Helper()
	r.pass(0)
	r.wantEvent(want)
}

// Few losses of many pods go as fast as the rate allows.
func TestEvictionRate(t *testing.T) {
	const pods = 200
	objects := fleet(pods)
	inBubble(t, func(r *rig) {
		r.onEviction(func(int) error { return nil })
		for i, pod := range objects {
			r.podChanged(podFrom(pod))
			r.says(i, claims.TaskRunning, "")
		}
		r.pass(time.Second)
		for i := range 35 {
			r.says(i, claims.TaskLost, "REASON_AGENT_REMOVED")
		}
		r.pass(time.Second)
		if n := 35 - r.count(0, 35); n < defaultEvictions.Burst || n > defaultEvictions.Burst+2 {
			t.Errorf("%d pods went at once, want %d", n, defaultEvictions.Burst)
		}
		r.pass(2 * time.Minute)
		if n := r.count(0, 35); n != 0 {
			t.Errorf("%d pods are left after two minutes", n)
		}
	}, objects...)
}
