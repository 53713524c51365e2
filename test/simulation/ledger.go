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
	"strings"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// ledger is what the observer keeps of calls and evictions.
type ledger struct {
	// seen counts the calls read.
	seen int
	// launched are the task ids of each pod that were in an ACCEPT, until the pod is
	// gone; its UID never comes again.
	launched map[string]map[string]bool
	// kills are when a KILL of a task last came.
	kills map[string]time.Duration
	// evictions are when we evicted pods, in this process' life.
	evictions []time.Duration
}

func newLedger() ledger {
	return ledger{launched: map[string]map[string]bool{}, kills: map[string]time.Duration{}}
}

// forget drops a pod that is gone. The lock is held.
func (l *ledger) forget(podUID string) { delete(l.launched, podUID) }

// patience is how much longer a pod may wait whose launches got lost: each costs three
// launch timeouts until it is given up.
func (o *observer) patience(podUID string) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return time.Duration(min(len(o.launched[podUID]), 4)) * 100 * time.Second
}

// killed tells whether we asked for the end of a task lately.
func (o *observer) killed(taskID string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	at, ok := o.kills[taskID]
	return ok && o.w.now()-at < 90*time.Second
}

// readCalls reads the calls that came since it was last called.
func (o *observer) readCalls() {
	total := o.w.master.CallCount("")
	fresh := total - o.seen
	if fresh == 0 {
		return
	}
	calls := o.w.master.Calls()
	if fresh > len(calls) {
		o.wrong("the observer missed %d calls of %d: a storm of calls", fresh-len(calls), fresh)
		fresh = len(calls)
	}
	o.seen = total
	for _, c := range calls[len(calls)-fresh:] {
		if c.Call == nil || c.Status >= 300 {
			continue
		}
		switch c.Call.Type {
		case scheduler.Call_KILL:
			o.judgeKill(c.Call.Kill.TaskID.Value)
		case scheduler.Call_ACCEPT:
			for _, op := range c.Call.Accept.Operations {
				if op.Launch == nil {
					continue
				}
				for i := range op.Launch.TaskInfos {
					o.judgeLaunch(op.Launch.TaskInfos[i].TaskID.Value)
				}
			}
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, at := range o.kills {
		if o.w.now()-at > 10*time.Minute {
			delete(o.kills, id)
		}
	}
}

// judgeLaunch sees a launch; a task id must not come twice.
func (o *observer) judgeLaunch(taskID string) {
	uid, _, _ := strings.Cut(taskID, ".")
	exists := o.w.api.PodByUID(uid) != nil
	o.mu.Lock()
	twice := o.launched[uid][taskID]
	if o.launched[uid] == nil && exists {
		o.launched[uid] = map[string]bool{}
	}
	if o.launched[uid] != nil {
		o.launched[uid][taskID] = true
	}
	o.mu.Unlock()
	if twice {
		o.wrong("I4: task id %s was used twice", taskID)
	}
}

// judgeKill sees a KILL; the task of a pod that lives by it must not be killed.
func (o *observer) judgeKill(taskID string) {
	uid, _, _ := strings.Cut(taskID, ".")
	o.mu.Lock()
	o.kills[taskID] = o.w.now()
	o.mu.Unlock()
	pod := o.w.api.PodByUID(uid)
	if pod != nil && pod.Spec.NodeName != "" && !ended(pod) && pod.DeletionTimestamp == nil && pod.Annotations[taskAnnotation] == taskID {
		o.wrong("I3: we killed task %s, by which pod %s on %s lives", taskID, pod.Name, pod.Spec.NodeName)
	}
}
