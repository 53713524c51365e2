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
	"maps"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	st "k8s.io/kubernetes/pkg/scheduler/testing"

	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
)

// The bounds of what TestEconomy allows to last.
const (
	// A pod sleeps beside an offer that fits it only while others are looked at.
	asleepAtMost = look
	// Without demand offers are given back and roles suppressed; the call may have to be
	// repeated once or twice.
	heldIdleAtMost = 2500 * time.Millisecond
	openIdleAtMost = 5 * time.Second
	// lateAtMost is how late offers may be given back.
	lateAtMost, lateIfFlaky = time.Second, 4 * time.Second
	// An agent that a pod needs is admitted at the next update.
	excludedAtMost = 2 * time.Second
	// Minimums are lowered every 10 s.
	tooSmallAtMost = 11 * time.Second
	// An agent that is free is used within some allocations.
	unusedAtMost = 5 * time.Second
)

// watch looks for what must not be, or must not last.
type watch struct {
	w *economy
	// since is since when something lasts, next what does at the present look.
	since, next map[string]time.Time
	now         time.Time
	// calm tells that only the framework uses resources.
	calm bool
}

func newWatch(w *economy) *watch { return &watch{w: w, since: map[string]time.Time{}} }

// lasts notes something that must not last longer than limit.
func (c *watch) lasts(limit time.Duration, format string, args ...any) {
	key := fmt.Sprintf(format, args...)
	since, known := c.since[key]
	if !known {
		since = c.now
	}
	c.next[key] = since
	if took := c.now.Sub(since); took > limit {
		c.w.violated("for %s: %s", took, key)
	}
}

// look looks at everything, while nothing moves.
func (c *watch) look() {
	c.now, c.next = time.Now(), map[string]time.Time{}
	c.w.Manager.mu.Lock()
	defer c.w.Manager.mu.Unlock()
	k := c.w.market
	k.mu.Lock()
	defer k.mu.Unlock()
	// What is held in vain, as an offer that ended, is no offer of the master's.
	if held, _ := c.w.cache.Totals(); held > len(k.offers) {
		c.lasts(2*look, "more offers are held than the master made")
	}
	if k.connected && c.w.subscribed {
		waiting := c.w.queue.in(queued, backoff, parked, cycling)
		c.idleRoles(len(waiting)+len(c.w.queue.in(binding)) == 0)
		c.oldOffers()
		c.sleepers()
		for i := range waiting {
			c.excluded(waiting[i].pod)
			if p := c.w.pods[string(waiting[i].pod.UID)]; p != nil && p.asked > 0 && p.asked < len(p.plan.Roles) && c.now.Sub(p.since) > c.w.cfg.FallbackAfter+time.Second {
				c.w.violated("pod %s waits in its first %d roles only", waiting[i].pod.Name, p.asked)
			}
		}
		if c.calm {
			c.unused(waiting)
		}
	}
	c.since = c.next
}

// idleRoles: what no pod waits for is not held, and not asked for.
func (c *watch) idleRoles(idle bool) {
	slack := time.Duration(0)
	if c.w.market.flaky > 0 {
		slack = 3 * time.Second
	}
	for name, r := range c.w.market.roles {
		d := c.w.demands[name]
		if !r.suppressed && (idle || d == nil || !d.Wanted()) {
			c.lasts(openIdleAtMost+slack, "role %s is not suppressed although nobody wants offers", name)
		}
	}
	for _, o := range c.w.market.offers {
		if d := c.w.demands[o.role]; idle || d == nil || !d.Wanted() {
			c.lasts(heldIdleAtMost+slack, "offer %s of role %s is held although nobody wants it", o.id, o.role)
		}
	}
}

// oldOffers: no offer is held for longer than MaxHold.
func (c *watch) oldOffers() {
	limit := c.w.cfg.Demand.MaxHold + lateAtMost
	if c.w.market.flaky > 0 {
		limit = c.w.cfg.Demand.MaxHold + lateIfFlaky
	}
	for _, o := range c.w.market.offers {
		if age := c.now.Sub(o.at); age > limit {
			c.w.violated("offer %s is held for %s", o.id, age)
		}
	}
}

// sleepers: no pod sleeps while an offer is held that it could use.
func (c *watch) sleepers() {
	if !c.w.queue.quiet() {
		return
	}
	for _, q := range c.w.queue.in(parked) {
		p := c.w.pods[string(q.pod.UID)]
		if p == nil {
			continue
		}
		for _, role := range p.askedRoles() {
			r := c.w.cache.Role(role)
			for _, slot := range r.Offered() {
				verdict, _ := r.Fits(slot, &p.plan.Want)
				if node := c.w.cache.NodeOf(slot); verdict == offers.Fitting && c.w.suits(q.pod, node) {
					c.lasts(c.asleepAtMost(), "pod %s sleeps although an offer of node %s to role %s fits it", q.pod.Name, node, role)
				}
			}
		}
	}
}

// anyPicky tells whether pods wait that are woken in vain, and for which offers are held
// in vain for as long as offers are held at most.
func (c *watch) anyPicky() bool {
	return slices.ContainsFunc(c.w.queue.in(parked, queued, backoff, cycling), func(p queuedPod) bool { return picky(p.pod) })
}

// asleepAtMost is longer where others are woken in vain: all are shown the offers in hand
// only twice in their life.
func (c *watch) asleepAtMost() time.Duration {
	if c.anyPicky() {
		return c.w.cfg.Demand.MaxHold
	}
	return asleepAtMost
}

// excluded: the terms that the master has admit all agents that pods may use.
func (c *watch) excluded(pod *v1.Pod) {
	p := c.w.pods[string(pod.UID)]
	if p == nil {
		return
	}
	slack := time.Duration(0)
	if c.w.market.flaky > 0 {
		slack = 3 * time.Second
	}
	need := needOf(pod)
	for _, role := range p.askedRoles() {
		r := c.w.market.roles[role]
		if r == nil {
			continue
		}
		if r.terms.Min != nil && !r.terms.Min.Fits(need) {
			c.lasts(tooSmallAtMost+slack, "pod %s needs less than the least that role %s is offered, %v", pod.Name, role, *r.terms.Min)
		}
		if !c.w.market.heeds {
			continue
		}
		for id, a := range c.w.market.agents {
			if need.Fits(a.total) && c.w.suits(pod, a.host) && !a.meets(r.terms.Constraints) {
				c.lasts(excludedAtMost+slack, "pod %s may use agent %s, which role %s is not offered", pod.Name, id, role)
			}
		}
	}
}

// unused: an agent that nobody uses and that a waiting pod could use is used soon.
func (c *watch) unused(waiting []queuedPod) {
	limit := unusedAtMost
	if c.anyPicky() {
		limit += 2 * c.w.cfg.Demand.MaxHold
	}
	used := map[string]bool{}
	for _, t := range c.w.market.tasks {
		used[t.agent] = true
	}
	for id, a := range c.w.market.agents {
		if used[id] || len(a.busy) > 0 {
			continue
		}
		for i := range waiting {
			if c.placeable(waiting[i].pod, a) && c.mayBeServed(waiting[i].pod) {
				c.lasts(limit, "agent %s is not used although pods wait that it fits", id)
				break
			}
		}
	}
}

// mayBeServed tells whether nothing that is limited by design keeps offers from a pod:
// one of its roles is offered as little as it needs, and may be revived.
func (c *watch) mayBeServed(pod *v1.Pod) bool {
	p := c.w.pods[string(pod.UID)]
	return p != nil && slices.ContainsFunc(p.askedRoles(), func(role string) bool {
		r := c.w.market.roles[role]
		return r != nil && (r.terms.Min == nil || r.terms.Min.Fits(needOf(pod))) && c.w.demandOf(role).Status(c.now).Tokens >= 1
	})
}

func (c *watch) placeable(pod *v1.Pod, a *marketAgent) bool {
	return needOf(pod).Fits(a.total) && c.w.suits(pod, a.host)
}

// calm ends all trouble: every host has a node and an agent, nobody else wants
// anything, pods end soon. All that can be placed must be, in the end.
func (w *economy) calm() {
	w.note("calm")
	w.market.subscribe()
	for name, node := range w.nodes {
		if len(node.Spec.Taints) > 0 {
			node = node.DeepCopy()
			node.Spec.Taints = nil
			w.setNode(node)
		}
		w.agentComes(name)
	}
	w.market.mu.Lock()
	w.market.greed, w.market.flaky = 0, 0
	for _, a := range w.market.agents {
		for i := range a.busy {
			a.busy[i].until = time.Now()
		}
	}
	w.market.mu.Unlock()
	w.pass(2 * time.Second)
	w.watch.calm = true
	for range 600 {
		for _, p := range w.queue.in(bound) {
			if time.Since(p.bound) > 300*time.Millisecond {
				w.deletePod(p.pod)
			}
		}
		w.pass(look)
		if !w.anyPlaceable() && len(w.queue.in(bound, binding)) == 0 {
			return
		}
	}
	if len(w.wrong) == 0 {
		w.violated("pods that could be placed still wait after a minute")
	}
}

func (w *economy) anyPlaceable() bool {
	w.market.mu.Lock()
	defer w.market.mu.Unlock()
	agents := slices.Collect(maps.Values(w.market.agents))
	return slices.ContainsFunc(w.queue.in(queued, backoff, parked, cycling), func(p queuedPod) bool {
		return slices.ContainsFunc(agents, func(a *marketAgent) bool { return w.watch.placeable(p.pod, a) })
	})
}

// still lets a minute pass in which nothing changes, with pods waiting that fit no
// agent: nearly nothing is to be sent, and nobody is to be tried for long.
func (w *economy) still() {
	for _, pod := range []*v1.Pod{
		st.MakePod().Name("large").Req(map[v1.ResourceName]string{v1.ResourceCPU: "64"}).Obj(),
		st.MakePod().Name("nowhere").Req(map[v1.ResourceName]string{v1.ResourceCPU: "1"}).NodeSelector(map[string]string{"rack": "none"}).Obj(),
	} {
		pod.Namespace, pod.UID = "web", types.UID("uid-"+pod.Name)
		w.queue.add(pod)
		w.informed(pod)
	}
	w.passIn(40*time.Second, 5*look)
	before, cycles := w.sent(), w.cycles()
	w.note("nothing changes for a minute")
	w.passIn(time.Minute, 5*look)
	after, roles := w.sent(), len(w.market.roles)
	for call, limit := range map[string]int{"UPDATE_FRAMEWORK": 0, "SUPPRESS": 0, "REVIVE": 3 * roles, "ACCEPT": 0, "DECLINE": 12 * roles} {
		if n := after[call] - before[call]; n > limit && !w.rolesChanged(call) {
			w.violated("%d calls %s in a minute in which nothing changed", n, call)
		}
	}
	for name, n := range w.cycles() {
		limit := 12
		if w.watch.anyPicky() {
			limit = 60
		}
		if n -= cycles[name]; n > limit {
			w.violated("pod %s was tried %d times in a minute in which nothing changed", name, n)
		}
	}
}

// sent returns how many calls of each type were sent.
func (w *economy) sent() map[string]int {
	w.market.mu.Lock()
	defer w.market.mu.Unlock()
	sent := map[string]int{}
	for call, list := range w.market.sent {
		sent[call] = len(list)
	}
	return sent
}

// rolesChanged tells whether the call may be because of roles that are not used any
// more.
func (w *economy) rolesChanged(call string) bool {
	w.market.mu.Lock()
	defer w.market.mu.Unlock()
	list := w.market.sent[call]
	return len(list) > 0 && list[len(list)-1].anew
}

func (w *economy) cycles() map[string]int {
	cycles := map[string]int{}
	for _, p := range w.queue.in(queued, backoff, parked, cycling, binding) {
		cycles[p.pod.Name] = p.cycles
	}
	return cycles
}

// idle ends all pods: everything is given back, and then there is nothing to say.
func (w *economy) idle() {
	w.note("all pods go")
	for _, p := range w.queue.in(queued, backoff, parked, cycling, binding, bound) {
		w.deletePod(p.pod)
	}
	w.pass(5 * time.Second)
	w.market.mu.Lock()
	for name, r := range w.market.roles {
		if !r.suppressed {
			w.violated("role %s is not suppressed 5 s after the last pod", name)
		}
	}
	if n := len(w.market.offers); n > 0 {
		w.violated("%d offers are held 5 s after the last pod", n)
	}
	w.market.mu.Unlock()
	before := w.sent()
	w.passIn(20*time.Second, 5*look)
	for call, n := range w.sent() {
		if n > before[call] && call != "RECONCILE" && !w.rolesChanged(call) {
			w.violated("%d calls %s without any pod", n-before[call], call)
		}
	}
}

// first lets the first pod come: it is placed within an allocation interval.
func (w *economy) first() {
	for host := range w.nodes {
		w.agentComes(host)
	}
	w.pass(2 * time.Second)
	pod := st.MakePod().Namespace("web").Name("first").UID("uid-first").
		Req(map[v1.ResourceName]string{v1.ResourceCPU: "1", v1.ResourceMemory: "128Mi"}).Obj()
	w.queue.add(pod)
	w.informed(pod)
	w.pass(allocationInterval)
	if len(w.queue.in(bound)) == 0 {
		w.violated("the first pod is not placed within an allocation interval")
	}
}

// calls looks at how often calls were made.
func (c *watch) calls() {
	k := c.w.market
	k.mu.Lock()
	defer k.mu.Unlock()
	var last time.Time
	for _, call := range k.sent["UPDATE_FRAMEWORK"] {
		if !call.anew && call.at.Sub(last) < 900*time.Millisecond {
			c.w.violated("UPDATE_FRAMEWORK at %s, %s after the last one", call.at.Sub(c.w.begun), call.at.Sub(last))
		}
		last = call.at
	}
	byRole := map[string][]time.Time{}
	for _, call := range k.sent["REVIVE"] {
		for _, role := range call.roles {
			byRole[role] = append(byRole[role], call.at)
		}
	}
	for role, at := range byRole {
		for i := range at {
			// In ten seconds a full bucket and what runs into it; a subscription fills it.
			var n int
			for n = 0; i+n < len(at) && at[i+n].Sub(at[i]) < 10*time.Second; n++ {
			}
			if n > 60 {
				c.w.violated("%d REVIVE of %s in the 10 s from %s on", n, role, at[i].Sub(c.w.begun))
				return
			}
		}
	}
}
