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
	"strconv"
	"strings"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Phase is where a claim stands.
type Phase string

// The phases of a claim.
const (
	// Reserved is promised from an offer; nothing was sent to Mesos.
	Reserved Phase = "Reserved"
	// Launching has its ACCEPT sent or on the way, no live status yet.
	Launching Phase = "Launching"
	// Held is confirmed: the task is STARTING, RUNNING or being found so.
	Held Phase = "Held"
	// Recovering belongs to a bound pod whose task Mesos has not yet confirmed to
	// this process.
	Recovering Phase = "Recovering"
	// Unreachable has its agent partitioned from the master, or not known to it
	// (yet); the task may live.
	Unreachable Phase = "Unreachable"
	// Lost has its task ended by Mesos while the pod is bound; see OnLost.
	Lost Phase = "Lost"
	// Releasing has its task being killed, repeated until Mesos says it ended.
	Releasing Phase = "Releasing"
)

// Phases lists all phases, for metrics.
var Phases = []Phase{Reserved, Launching, Held, Recovering, Unreachable, Lost, Releasing}

// Pod names a pod without holding its object.
type Pod struct {
	Namespace, Name, UID string
}

// Claim is what one task holds of one agent for one pod.
type Claim struct {
	TaskID  string
	Pod     Pod
	Node    string
	AgentID string
	Role    string
	Need    resources.Bundle
	// Parts is Need in the exact flavours that the agent offered, nil while they
	// are not known: before SetParts, and after a restart.
	Parts []resources.Portion
	// Revocable tells that Mesos may take back any of Parts at any time.
	Revocable bool
	Phase     Phase
	// Since is when the phase began.
	Since time.Time
	// Status is the last status Mesos sent, zero before the first.
	Status TaskStatus
	// Bound tells that the pod's binding names this task, or the pod's annotation
	// does among its extras.
	Bound bool
	// Extra tells that this is a further claim of a pod that lives by another one.
	Extra bool

	// sent tells that the master knows the task, or has said that it does not:
	// the ACCEPT was answered, or a status shows the task alive. doubtful tells
	// that the answer never came, and doubtAt since when that is known.
	sent, doubtful bool
	doubtAt        time.Time
	// kills counts the KILLs of a Releasing claim, asks the questions about the
	// task since the phase or the last complete reconciliation began; next is when
	// to repeat, zero if nothing is to be repeated.
	kills, asks int
	next        time.Time
	// awaiting is set while an answer about the task is awaited.
	awaiting bool
	// unknownSince is when the master began to say that it knows neither the task
	// nor its agent, zero if its last word was another.
	unknownSince time.Time
	// probed tells that an overdue launch was asked about.
	probed bool
	// heir tells of an extra that the pod's binding names: the pod will live by it
	// once it is Held. wasHeir tells that it ever was.
	heir, wasHeir bool
	// OnLost is what becomes of the pod when the task ends, explicit that the pod itself
	// says so; gaveUp tells that no other task came in its place in time.
	OnLost           OnLost
	explicit, gaveUp bool
	// verifying tells that the master is asked once more about a lost task, replaced that
	// another agent has the place of its own: UNREACHABLE is the last word then.
	verifying, replaced bool
	// barred are the tasks that were to replace this one, or one before it, and got
	// lost: a binding that names them is out of date.
	barred []string
	// lookup is when to look up the pod of an extra that its annotation does not
	// name any more, zero if it does; looks counts the look-ups.
	lookup time.Time
	looks  int
}

// Cause says why a launch did not come to hold its resources.
type Cause string

// The causes of a failed launch.
const (
	// CauseOfferGone is an offer rescinded, expired or spent before the ACCEPT
	// came through (REASON_INVALID_OFFERS and kin): nobody's fault.
	CauseOfferGone Cause = "OfferGone"
	// CauseDisconnected is the loss of the master before the ACCEPT went out.
	CauseDisconnected Cause = "Disconnected"
	// CauseRejected is a task that the master refuses (TASK_ERROR).
	CauseRejected Cause = "Rejected"
	// CauseFailed is a task that the agent dropped or that ended at once.
	CauseFailed Cause = "Failed"
	// CauseTimeout is a task of which nothing was heard in time.
	CauseTimeout Cause = "Timeout"
	// CausePodGone is a pod that vanished meanwhile.
	CausePodGone Cause = "PodGone"
)

// Blameless tells whether the pod should be tried again at once: the cause lies
// neither with the pod nor with the agent, so waiting would help nobody.
func (c Cause) Blameless() bool { return c == CauseOfferGone || c == CauseDisconnected }

// Outcome is how a launch ended.
type Outcome struct {
	// OK tells that the claim is Held.
	OK bool
	// Cause and Status say why not; Status may be zero.
	Cause  Cause
	Status TaskStatus
}

// Effect is something to be done because of what the ledger was told.
type Effect interface{ effect() }

type (
	// Settle ends the wait for a launch.
	Settle struct {
		TaskID  string
		AgentID string
		Pod     Pod
		Outcome Outcome
		// Extra tells that the claim is a further one of its pod.
		Extra bool
		// Reserved tells that nothing was sent and the offers are untouched, so that
		// the caller gives their part back if he has not done so.
		Reserved bool
	}
	// Kill asks for a KILL.
	Kill struct{ TaskID, AgentID string }
	// Ask asks for an explicit reconciliation of one task.
	Ask struct{ TaskID, AgentID string }
	// AskAll asks for an implicit reconciliation: everything Mesos knows of us.
	AskAll struct{}
	// Evict asks for the end of a pod that lost its claim.
	Evict struct {
		AgentID string
		Pod     Pod
		Node    string
		TaskID  string
		Status  TaskStatus
		Meaning Meaning
		// Revoked tells that the agent took revocable resources back.
		Revoked bool
	}
	// ExtraLost tells that a further claim of a pod ended without being released.
	// The pod stays. If its annotations name the task they are to be corrected: the
	// pod lives by ByPod and holds Extras.
	ExtraLost struct {
		AgentID string
		Pod     Pod
		Node    string
		TaskID  string
		Status  TaskStatus
	}
	// Examine asks to look up the pod of a task that no claim explains, or of an
	// extra that its pod seems not to name any more, in the API and not in a cache,
	// and to call PodBound, PodExtra or Disown with the result.
	Examine struct{ TaskID, AgentID, PodUID string }
)

func (Settle) effect()    {}
func (Kill) effect()      {}
func (Ask) effect()       {}
func (AskAll) effect()    {}
func (Evict) effect()     {}
func (ExtraLost) effect() {}
func (Examine) effect()   {}

// TaskID builds the id of a pod's task. Pod UIDs and numbers contain nothing
// that Mesos forbids in ids (no "/", at most 255 bytes).
func TaskID(podUID string, attempt int64) string {
	return podUID + "." + strconv.FormatInt(attempt, 10)
}

// ParseTaskID splits a task id of ours into pod UID and attempt. ok is false for
// ids that we did not make.
func ParseTaskID(id string) (podUID string, attempt int64, ok bool) {
	at := strings.LastIndexByte(id, '.')
	if at <= 0 {
		return "", 0, false
	}
	attempt, err := strconv.ParseInt(id[at+1:], 10, 64)
	// Other spellings of a number ("+1", "-0", "01") are not ours.
	if err != nil || attempt < 0 || strconv.FormatInt(attempt, 10) != id[at+1:] {
		return "", 0, false
	}
	return id[:at], attempt, true
}
