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
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
)

// queueState is where a pod of the model of a scheduler is.
type queueState string

const (
	queued  queueState = "queued"
	backoff queueState = "backoff"
	parked  queueState = "parked"
	cycling queueState = "cycling"
	binding queueState = "binding"
	bound   queueState = "bound"
	gone    queueState = "gone"
)

// backoffTime is how long a pod waits that was activated during its own cycle.
const backoffTime = 50 * time.Millisecond

// queue is a model of kube-scheduler: one pod's cycle at a time, bindings side by side,
// and pods that failed wait to be activated.
type queue struct {
	w *economy

	mu      sync.Mutex
	changed *sync.Cond
	rng     *rand.Rand
	pods    map[string]*queuedPod
	active  []string
	closed  bool
	binders sync.WaitGroup
	// binds is how many pods were bound.
	binds int
}

type queuedPod struct {
	pod   *v1.Pod
	state queueState
	// activated tells that it was during its own cycle.
	activated bool
	cycles    int
	// added and bound are when it came and was bound.
	added, bound time.Time
}

func newQueue(w *economy, rng *rand.Rand) *queue {
	q := &queue{w: w, rng: rng, pods: map[string]*queuedPod{}}
	q.changed = sync.NewCond(&q.mu)
	return q
}

// run schedules until close.
func (q *queue) run(ctx context.Context) {
	for {
		q.mu.Lock()
		for len(q.active) == 0 && !q.closed {
			q.changed.Wait()
		}
		if q.closed {
			q.mu.Unlock()
			break
		}
		uid := q.active[0]
		q.active = q.active[1:]
		p := q.pods[uid]
		if p == nil || p.state != queued {
			q.mu.Unlock()
			continue
		}
		p.state, p.activated = cycling, false
		p.cycles++
		pod := p.pod
		took := time.Duration(q.rng.IntN(300)) * time.Microsecond
		q.mu.Unlock()
		q.cycle(ctx, pod, took)
	}
	q.binders.Wait()
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.changed.Broadcast()
}

// cycle is a pod's scheduling cycle, as the plugin's PreFilter, PostFilter and Reserve
// and the scheduler's own plugins make it.
func (q *queue) cycle(ctx context.Context, pod *v1.Pod, took time.Duration) {
	w := q.w
	c := w.Begin(pod)
	time.Sleep(took)
	if c.Plan.Problem != "" || !c.Connected {
		w.Park(pod, c.Seen)
		q.failed(pod)
		return
	}
	for i, role := range c.Plan.Roles {
		if i < c.First || i >= c.End {
			continue
		}
		want := w.WantIn(&c.Plan, role)
		sel := w.cache.Role(role).Select(&want, 0, 0, nil)
		if len(sel.Slots) == 0 {
			continue
		}
		want.Predicted = sel.Predicted
		var names []string
		for _, slot := range sel.Slots {
			if name := w.cache.NodeOf(slot); w.suits(pod, name) {
				names = append(names, name)
			}
		}
		if len(names) == 0 {
			if next, ok := q.laterRole(&c, i+1); ok {
				w.NextRole(pod, next)
			} else {
				w.Park(pod, c.Seen)
			}
			q.failed(pod)
			return
		}
		time.Sleep(took)
		task, err := w.Reserve(pod, names[0], role, &want)
		if err != nil {
			w.note("%s cannot reserve on %s: %v", pod.Name, names[0], err)
			q.again(pod)
			q.failed(pod)
			return
		}
		w.note("%s reserves %s on %s, predicted %v", pod.Name, task, names[0], sel.Predicted)
		q.mu.Lock()
		q.setState(pod, binding)
		q.mu.Unlock()
		q.binders.Go(func() { q.bind(ctx, pod, task, names[0]) })
		return
	}
	w.Park(pod, c.Seen)
	q.failed(pod)
}

func (q *queue) laterRole(c *Cycle, from int) (int, bool) {
	for i := from; i < len(c.Plan.Roles); i++ {
		want := q.w.WantIn(&c.Plan, c.Plan.Roles[i])
		if sel := q.w.cache.Role(c.Plan.Roles[i]).Select(&want, 0, 1, nil); len(sel.Slots) > 0 {
			return i, true
		}
	}
	return 0, false
}

func (q *queue) again(pod *v1.Pod) {
	q.w.Retry(pod)
	q.w.Park(pod, q.w.Version())
}

// bind is a pod's binding cycle: PreBind, Bind and PostBind, or Unreserve.
func (q *queue) bind(ctx context.Context, pod *v1.Pod, task, node string) {
	w := q.w
	outcome, err := w.Await(ctx, task)
	if err != nil {
		return // the end
	}
	claim, held := w.Confirmed(task)
	if !outcome.OK || !held {
		w.note("%s: %s failed: %s", pod.Name, task, outcome.Cause)
		if outcome.OK || outcome.Cause.Blameless() {
			q.again(pod)
		} else {
			w.Retry(pod)
		}
		w.Cancel(task)
		q.failed(pod)
		return
	}
	q.mu.Lock()
	p := q.pods[string(pod.UID)]
	if p == nil || p.state == gone {
		q.mu.Unlock()
		w.Cancel(task)
		return
	}
	is := p.pod.DeepCopy()
	is.Spec.NodeName, is.Annotations = node, claim.Annotations()
	p.pod, p.state, p.bound = is, bound, time.Now()
	q.binds++
	q.mu.Unlock()
	w.note("%s bound to %s", pod.Name, node)
	w.Bound(task)
	w.informed(is)
}

// failed puts a pod back that could not be scheduled.
func (q *queue) failed(pod *v1.Pod) {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.pods[string(pod.UID)]
	switch {
	case p == nil || p.state == gone:
	case p.activated:
		p.state = backoff
		time.AfterFunc(backoffTime, func() {
			q.mu.Lock()
			defer q.mu.Unlock()
			if p.state == backoff {
				q.push(p)
			}
		})
	default:
		p.state = parked
		q.w.note("%s waits", pod.Name)
	}
}

func (q *queue) setState(pod *v1.Pod, is queueState) {
	if p := q.pods[string(pod.UID)]; p != nil && p.state != gone {
		p.state = is
	}
}

func (q *queue) push(p *queuedPod) {
	p.state, p.activated = queued, false
	q.active = append(q.active, string(p.pod.UID))
	q.changed.Broadcast()
}

// activate is Handle.Activate.
func (q *queue) activate(pods map[string]*v1.Pod) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, pod := range pods {
		p := q.pods[string(pod.UID)]
		if p != nil {
			q.w.note("%s is activated, was %s", pod.Name, p.state)
		}
		switch {
		case p == nil:
		case p.state == parked || p.state == backoff:
			q.push(p)
		case p.state == cycling || p.state == binding:
			p.activated = true
		}
	}
}

// add takes a new pod in.
func (q *queue) add(pod *v1.Pod) {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := &queuedPod{pod: pod, added: time.Now()}
	q.pods[string(pod.UID)] = p
	q.push(p)
}

// remove ends a pod.
func (q *queue) remove(uid string) *v1.Pod {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.pods[uid]
	if p == nil {
		return nil
	}
	p.state = gone
	delete(q.pods, uid)
	return p.pod
}

// nodeChanged is the queueing hint of a node that came or changed.
func (q *queue) nodeChanged(node string) {
	q.mu.Lock()
	var asleep []*v1.Pod
	for _, p := range q.pods {
		if p.state == parked {
			asleep = append(asleep, p.pod)
		}
	}
	q.mu.Unlock()
	pods := map[string]*v1.Pod{}
	for _, pod := range asleep {
		if q.w.FitsNode(pod, node) {
			pods[pod.Name] = pod
		}
	}
	q.activate(pods)
}

// quiet tells that no pod is to be looked at now.
func (q *queue) quiet() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range q.pods {
		if p.state == queued || p.state == cycling || p.state == backoff {
			return false
		}
	}
	return true
}

// in returns the pods in one of some states, the oldest first.
func (q *queue) in(states ...queueState) (list []queuedPod) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range q.pods {
		if slices.Contains(states, p.state) {
			list = append(list, *p)
		}
	}
	slices.SortFunc(list, func(a, b queuedPod) int {
		if c := a.added.Compare(b.added); c != 0 {
			return c
		}
		return len(a.pod.Name) - len(b.pod.Name)
	})
	return list
}

// picky tells whether other plugins turn the pod away from every node.
func picky(pod *v1.Pod) bool { return pod.Labels["picky"] != "" }

// suits tells whether the scheduler's own plugins let a pod on a node.
func (w *economy) suits(pod *v1.Pod, name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	node := w.nodes[name]
	if node == nil || picky(pod) {
		return false
	}
	for key, value := range pod.Spec.NodeSelector {
		if node.Labels[key] != value {
			return false
		}
	}
	for i := range node.Spec.Taints {
		if t := &node.Spec.Taints[i]; !slices.ContainsFunc(pod.Spec.Tolerations, func(o v1.Toleration) bool { return o.ToleratesTaint(t) }) {
			return false
		}
	}
	return true
}
