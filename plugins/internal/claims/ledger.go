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

package claims

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Config holds the ledger's times.
type Config struct {
	// LaunchTimeout is how long a launch may take from its ACCEPT to STARTING.
	// Then Mesos is asked, and while it says that the task is on its way
	// (STAGING), a launch may take StagingFactor times as long.
	LaunchTimeout time.Duration
	// UnknownGrace is how long a master must keep saying that it knows neither a
	// task nor its agent before we believe it: one that lost its registry says so
	// of every agent that has not registered again yet.
	UnknownGrace time.Duration
	// RetryMin and RetryMax bound the doubling wait between repeated KILLs and
	// between repeated questions about one task.
	RetryMin, RetryMax time.Duration
	// OrphanGrace is how long a task that no claim explains is left alone before
	// its pod is looked up.
	OrphanGrace time.Duration
	// ReconcileEvery is the period of complete reconciliations.
	ReconcileEvery time.Duration
	// ReacquireFor is how long another task is sought for a bound pod whose task ended,
	// by OnLostReacquire, before the pod must go; 0 for ever.
	ReacquireFor time.Duration
	// Tally is told, as it changes, what Mesos counts against quotas; may be nil.
	Tally Tally
}

// DefaultConfig returns the times used in production; the launch timeout comes
// from the plugin's arguments.
func DefaultConfig(launchTimeout time.Duration) Config {
	return Config{
		LaunchTimeout: launchTimeout, UnknownGrace: 30 * time.Second, RetryMin: 2 * time.Second, RetryMax: time.Minute,
		OrphanGrace: 5 * time.Second, ReconcileEvery: 10 * time.Minute, ReacquireFor: 10 * time.Minute,
	}
}

// StagingFactor is how many launch timeouts a task may be staging.
const StagingFactor = 3

// Ledger holds all claims. See the package comment.
type Ledger struct {
	cfg    Config
	byTask map[string]*Claim
	// byPod is the claim a pod lives by: the newest that is not Releasing, or the
	// one its binding names.
	byPod map[string]*Claim
	// extras are the further claims of each pod, the oldest first.
	extras  map[string][]*Claim
	orphans map[string]*orphan
	sums    sums
	effects []Effect
	// attempt makes task ids unique; see newTaskID.
	attempt   int64
	connected bool
	nextFull  time.Time
	// asked is when the last complete reconciliation began.
	asked time.Time
	// answered is when the last one came to its end.
	answered time.Time
	// down is when it was first seen that there is no master, zero while there is one.
	down time.Time
}

// orphan is a task that no claim explains.
type orphan struct {
	podUID string
	// status is the last that came; stale if that was before the subscription.
	status TaskStatus
	stale  bool
	due    time.Time
	tries  int
}

// NewLedger returns an empty ledger.
func NewLedger(cfg Config) *Ledger {
	return &Ledger{
		cfg: cfg, byTask: map[string]*Claim{}, byPod: map[string]*Claim{}, extras: map[string][]*Claim{},
		orphans: map[string]*orphan{}, sums: newSums(cfg.Tally),
	}
}

// Effects returns what has to be done since the last call, in order.
func (l *Ledger) Effects() []Effect {
	out := l.effects
	l.effects = nil
	return out
}

// Open makes a claim in phase Reserved and returns its task id. It fails if the
// pod already has a claim that is not being released, or one its binding names.
func (l *Ledger) Open(pod Pod, node, agentID, role string, need resources.Bundle, now time.Time) (string, error) {
	if old := l.byPod[pod.UID]; old != nil && (old.Phase != Releasing || old.Bound) {
		return "", fmt.Errorf("pod %s/%s has claim %s in phase %s already", pod.Namespace, pod.Name, old.TaskID, old.Phase)
	}
	c := &Claim{
		TaskID: l.newTaskID(pod.UID, now), Pod: pod, Node: node, AgentID: agentID, Role: role,
		Need: need, Phase: Reserved, Since: now,
	}
	l.insert(c)
	return c.TaskID, nil
}

// SetParts notes the exact flavours that the claim's need was split into, once
// they are known. A claim that is gone meanwhile is left alone.
func (l *Ledger) SetParts(taskID string, parts []resources.Portion) {
	c := l.byTask[taskID]
	if c == nil {
		return
	}
	l.sums.sub(c)
	c.Parts = parts
	l.sums.add(c)
	c.Revocable = slices.ContainsFunc(parts, func(p resources.Portion) bool { return p.Flavour.IsRevocable() })
}

// newTaskID never returns an id twice, in this process or in any other: the
// attempt is the time in milliseconds, and later than the last one given out. So
// an instance that knows nothing of its predecessor's attempts cannot repeat
// them, as long as no clock runs backwards by more than a pod's age.
func (l *Ledger) newTaskID(podUID string, now time.Time) string {
	l.attempt = max(l.attempt+1, now.UnixMilli())
	return TaskID(podUID, l.attempt)
}

// used notes an attempt that some run of ours gave out, so that a clock that runs
// behind does not repeat it. A number that no clock can have given is ignored:
// annotations can be forged, and counting must not overflow.
func (l *Ledger) used(attempt int64) {
	if attempt < math.MaxInt64/2 {
		l.attempt = max(l.attempt, attempt)
	}
}

// Launching tells that the ACCEPT with these tasks is about to be sent. Tasks
// that are not Reserved any more (cancelled meanwhile) are left out of the
// returned claims: they must not be launched.
func (l *Ledger) Launching(taskIDs []string, now time.Time) []*Claim {
	launch := make([]*Claim, 0, len(taskIDs))
	for _, id := range taskIDs {
		if c := l.byTask[id]; c != nil && c.Phase == Reserved {
			l.enter(c, Launching, now)
			launch = append(launch, c)
		}
	}
	return launch
}

// Sent tells that the master answered the ACCEPT: it knows the tasks now, or has
// said why not.
func (l *Ledger) Sent(taskIDs []string, now time.Time) {
	for _, id := range taskIDs {
		c := l.byTask[id]
		if c == nil || c.Phase == Reserved {
			continue
		}
		c.sent = true
		if c.Phase == Releasing {
			l.kill(c, now)
		}
	}
}

// SendFailed tells that the ACCEPT failed. If doubtful, the master may have
// processed it all the same: the claims wait for news and are asked about.
// Otherwise the tasks never were. A task that was seen alive is believed rather
// than the failure.
func (l *Ledger) SendFailed(taskIDs []string, doubtful bool, cause Cause, now time.Time) {
	for _, id := range taskIDs {
		c := l.byTask[id]
		switch {
		case c == nil || c.sent:
		case doubtful:
			l.doubt(c, now)
			if c.Phase == Releasing {
				l.kill(c, now)
			} else if c.Phase == Launching {
				l.ask(c, now)
			}
		case c.Phase == Reserved || c.Phase == Launching:
			l.settle(c, Outcome{Cause: cause})
			l.ended(c, now)
		case c.Phase == Releasing:
			l.ended(c, now)
		}
	}
}

// doubt notes that the ACCEPT's answer never came.
func (l *Ledger) doubt(c *Claim, now time.Time) {
	if !c.doubtful {
		c.doubtful, c.doubtAt = true, now
	}
}

// Broken tells that a reservation's offer was rescinded before the ACCEPT.
func (l *Ledger) Broken(taskID string, cause Cause) {
	if c := l.byTask[taskID]; c != nil && c.Phase == Reserved {
		l.settle(c, Outcome{Cause: cause})
		l.remove(c)
	}
}

// ByTask returns a claim by its task id, nil if there is none. The claim must
// not be changed or kept.
func (l *Ledger) ByTask(taskID string) *Claim { return l.byTask[taskID] }

// ByPod returns the claim a pod lives by, nil if there is none. The claim must
// not be changed or kept.
func (l *Ledger) ByPod(podUID string) *Claim { return l.byPod[podUID] }

// Count returns the number of claims in a phase.
func (l *Ledger) Count(p Phase) int { return l.sums.phases[p] }

// Claimed returns the sum of the needs of all claims that Mesos may hold for us.
func (l *Ledger) Claimed() resources.Vector { return l.sums.held }

// ClaimedOf returns the unreserved and not revocable part, which is what Mesos
// counts against the quota of a role, of all claims of the role that are Reserved
// or that Mesos may hold for us. A claim of unknown Parts counts whole.
func (l *Ledger) ClaimedOf(role string) resources.Vector {
	if r := l.sums.roles[role]; r != nil {
		return r.regular
	}
	return resources.Vector{}
}

// Roles returns the roles that have claims in any phase, in ascending order.
// Tasks whose role is not known belong to none.
func (l *Ledger) Roles() []string { return l.sums.roleNames() }

// Orphans returns the number of tasks that no claim explains.
func (l *Ledger) Orphans() int { return len(l.orphans) }

// All calls f for every claim, in no order.
func (l *Ledger) All(f func(*Claim)) {
	for _, c := range l.byTask {
		f(c)
	}
}

func (l *Ledger) insert(c *Claim) {
	l.byTask[c.TaskID] = c
	if c.Extra {
		l.extras[c.Pod.UID] = append(l.extras[c.Pod.UID], c)
	} else {
		l.byPod[c.Pod.UID] = c
	}
	l.sums.add(c)
}

func (l *Ledger) remove(c *Claim) {
	delete(l.byTask, c.TaskID)
	if l.byPod[c.Pod.UID] == c {
		delete(l.byPod, c.Pod.UID)
	}
	if c.Extra {
		l.unlist(c)
	}
	l.sums.sub(c)
}

func (l *Ledger) enter(c *Claim, p Phase, now time.Time) {
	l.sums.sub(c)
	c.Phase, c.Since = p, now
	l.sums.add(c)
	c.kills, c.asks, c.awaiting, c.next, c.probed = 0, 0, false, time.Time{}, false
}

// holds tells whether Mesos may hold resources for a claim in this phase.
func (p Phase) holds() bool {
	switch p {
	case Launching, Held, Recovering, Unreachable, Releasing:
		return true
	}
	return false
}

// ended forgets a claim whose task is no more. If the pod's binding names it
// nevertheless, the pod has nothing left and must go.
func (l *Ledger) ended(c *Claim, now time.Time) {
	switch {
	case c.Extra:
		l.drop(c, c.Bound)
	case !c.Bound:
		l.remove(c)
	default:
		l.enter(c, Lost, now)
		l.lost(c, now)
	}
}

func (l *Ledger) kill(c *Claim, now time.Time) {
	c.next = now.Add(l.backoff(c.kills))
	if !l.connected {
		return
	}
	c.kills++
	l.effects = append(l.effects, Kill{TaskID: c.TaskID, AgentID: c.AgentID})
}

// ask asks Mesos about the claim's task, and again until there is an answer.
func (l *Ledger) ask(c *Claim, now time.Time) {
	l.askLater(c, now)
	if !l.connected {
		return
	}
	c.asks++
	l.effects = append(l.effects, Ask{TaskID: c.TaskID, AgentID: c.AgentID})
}

// askLater asks when the wait since the last question is over.
func (l *Ledger) askLater(c *Claim, now time.Time) {
	c.awaiting = true
	c.next = now.Add(l.backoff(c.asks))
}

func (l *Ledger) settle(c *Claim, o Outcome) {
	l.effects = append(l.effects, Settle{TaskID: c.TaskID, AgentID: c.AgentID, Pod: c.Pod, Outcome: o, Extra: c.Extra})
}

func (l *Ledger) backoff(tries int) time.Duration {
	return min(l.cfg.RetryMin<<min(tries, 16), l.cfg.RetryMax)
}
