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

package mesos

import (
	"context"
	"errors"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/credentials"
	"github.com/kube-mesos/kube-mesos/plugins/internal/detect"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
	"github.com/kube-mesos/kube-mesos/plugins/internal/terms"
)

// Config says which masters to talk to and as whom.
type Config struct {
	// Masters knows where the masters are. The session runs it, so it must be the
	// session's own.
	Masters detect.Detector
	// Framework is how we present ourselves.
	Framework FrameworkInfo
	// IDs keeps the FrameworkID across restarts.
	IDs IDStore
	// Removed is told that the master removed the framework of this id, and why. If it
	// returns nil, the store does not have the id any more, and the session goes on with
	// what it has instead: nothing, for a new framework. After an error it is told again,
	// and the master is left alone meanwhile. Without it, Run ends.
	Removed func(ctx context.Context, id, why string) error
	// Roles tells, at the moment of each SUBSCRIBE, which roles to have and on which
	// terms. It must be quick. UpdateRoles changes them later. Without any roles there
	// are no offers.
	Roles func() []RoleAsk
	// CallTimeout bounds every call, of SUBSCRIBE the wait for the head of the answer,
	// and every access to IDs; 0 means 10 s.
	CallTimeout time.Duration
	// HeartbeatMisses is how many heartbeat intervals may pass without any record
	// before the stream is given up; 0 means 3.
	HeartbeatMisses int
	// MaxRecordBytes bounds one RecordIO record; 0 means 256 MiB, enough for the
	// offers of 400,000 agents.
	MaxRecordBytes int64
	// BackoffInitial and BackoffMax bound the jittered wait before resubscribing;
	// 0 means 250 ms and 15 s.
	BackoffInitial, BackoffMax time.Duration
	// Credentials are shown to the masters and to where they redirect, and say which
	// https masters to trust. The session runs them, so they must be its own; nil shows
	// nothing and trusts whom the system does.
	Credentials Credentials
	// Observer is told about traffic, for metrics; may be nil.
	Observer Observer
}

// Credentials are what credentials.Credentials are. All methods but Run are called
// concurrently and must be quick.
type Credentials interface {
	// Run keeps them up to date until ctx ends.
	Run(ctx context.Context)
	// Changed gets a value when others have come into use.
	Changed() <-chan struct{}
	// Authorization is the value of the header of that name, "" for none. It is asked for
	// before every request, so that a rotated secret is used at once.
	Authorization() (string, error)
	// DialTLS returns a function that opens TLS connections. serverName knows what the
	// certificate at an address (host:port) must be for.
	DialTLS(dial credentials.Dial, serverName func(address string) string) credentials.Dial
	// Explain says what to do about a failed TLS connection; false if nothing is known.
	Explain(err error) (string, bool)
	// Problem is why they may be out of date, nil if they are not.
	Problem() error
}

// FrameworkInfo is the part of v1 FrameworkInfo that we set beside the roles.
// checkpoint is always true: otherwise a mere agent restart loses every task.
type FrameworkInfo struct {
	Name, User, Principal, Hostname, WebUIURL string
	// FailoverTimeout is how long the master keeps our tasks while we are away.
	FailoverTimeout time.Duration
	// GPUs asks for offers of agents with GPUs (capability GPU_RESOURCES).
	GPUs bool
	// Revocable asks for resources that may be taken back at any time, too
	// (capability REVOCABLE_RESOURCES).
	Revocable bool
}

// IDStore keeps the FrameworkID. Load returns "" when none was ever saved.
type IDStore interface {
	Load(ctx context.Context) (string, error)
	Save(ctx context.Context, id string) error
}

// Handler receives what the master says, in stream order, on one goroutine.
// Methods must return quickly and must not call back into the session
// synchronously; they hand work to others.
type Handler interface {
	// Subscribed starts a subscription: offers of earlier ones are void.
	Subscribed(Subscription)
	// Disconnected ends it: every offer is void from now on. err says why. If it is
	// ErrRolesRefused or ErrTermsRefused, there may have been no subscription: the next
	// one should be for other roles, or for the same roles without terms.
	Disconnected(err error)
	// Offers brings new offers; the slice is the handler's only until it returns.
	Offers(offers []offers.Offer)
	// Rescinded voids one offer, which may be unknown already.
	Rescinded(offerID string)
	// Updated brings a task status. The session acknowledges it after the return, unless
	// hold is true and the state is terminal: then, and for every repetition of the
	// update, not before Session.ReleaseAck. An agent is not DRAINED, and a task id not
	// free, until its end is acknowledged, so that a pod can be ended first. What is held
	// belongs to the subscription: in the next one the agent repeats the update, and this
	// is asked again.
	Updated(claims.TaskStatus) (hold bool)
	// InverseOffers asks for agents back, for maintenance. One that was answered comes
	// again when the refusal given with the answer is over.
	InverseOffers([]InverseOffer)
	// InverseRescinded voids one inverse offer, which may be unknown already. So does
	// the end of the subscription, for all.
	InverseRescinded(id string)
	// Failed says that an agent (executorID == "") or an executor of ours is gone.
	// status is a raw wait(2) status for executors.
	Failed(agentID, executorID string, status int32)
}

// Subscription describes the subscription just made.
type Subscription struct {
	FrameworkID string
	// Master is the address that holds the subscription, Version its version.
	Master, Version   string
	HeartbeatInterval time.Duration
	// Roles are the roles that we subscribed with, as Config.Roles told them.
	Roles []RoleAsk
	// Constraints tells whether the master heeds Terms.Constraints: it does from Mesos
	// 1.11 on. One whose version cannot be read counts as older. An older master makes
	// offers of all agents.
	Constraints bool
}

// RoleAsk is a role to have and on which terms offers for it are wanted.
type RoleAsk struct {
	Name string
	// Suppressed says that no offers are wanted for now.
	Suppressed bool
	// Terms are what offers must be like to be wanted. Masters heed Min from Mesos 1.8
	// on, Constraints as Subscription.Constraints tells.
	Terms terms.Terms
}

// Task is one placeholder to launch.
type Task struct {
	// ID is "<pod UID>.<attempt>"; Name is what Mesos' pages show.
	ID, Name string
	// Parts is what the task asks for, by the exact flavours that the offers hold.
	Parts []resources.Portion
	// Labels go into TaskInfo.labels, in the given order.
	Labels []Label
	// Command is the argv of the placeholder, run without a shell.
	Command []string
}

// Label is one key and value of a task.
type Label struct{ Key, Value string }

// Launch is one ACCEPT: all offers of one agent and one role, reservations to make,
// and one LAUNCH.
type Launch struct {
	OfferIDs []string
	AgentID  string
	Role     string
	// Reserve is reserved before the tasks are launched, so that their Parts may ask
	// for it. A flavour's deciding reservation must be a dynamic one for Role; it
	// gets our principal if it names none. The operations carry no id: the master
	// drops one that it refuses and goes on with the next, and the tasks that
	// counted on it become TASK_ERROR.
	Reserve []resources.Portion
	Tasks   []Task
	// Refuse is Filters.refuse_seconds for what the tasks leave over.
	Refuse time.Duration
}

// UnreserveCall is one ACCEPT that ends dynamic reservations.
type UnreserveCall struct {
	// OfferIDs are offers of the agent and the role that hold the resources.
	OfferIDs []string
	AgentID  string
	Role     string
	// Portions are what to unreserve, by the exact flavours that the offers hold.
	Portions []resources.Portion
	// Refuse is Filters.refuse_seconds for all that the offers hold.
	Refuse time.Duration
}

// TaskRef names a task for RECONCILE and KILL; AgentID may be empty, but answers
// are better with it.
type TaskRef struct{ TaskID, AgentID string }

// Client sends calls over the live subscription. Every method blocks until the
// master answered or the call failed; the error is ErrNotSubscribed, a
// *CallError or the context's.
type Client interface {
	Accept(ctx context.Context, launch Launch) error
	// Unreserve ends dynamic reservations. The operations carry no id: what the master
	// refuses it drops without a word, and offers it again as it was.
	Unreserve(ctx context.Context, call UnreserveCall) error
	Decline(ctx context.Context, offerIDs []string, refuse time.Duration) error
	// AnswerInverse accepts or declines inverse offers. The master only shows the answer
	// to its operators, and makes no new inverse offer of the agents for as long as
	// refuse says, unless their windows change or we REVIVE. Ids that it does not know
	// are ignored by it.
	AnswerInverse(ctx context.Context, accept bool, ids []string, refuse time.Duration) error
	Kill(ctx context.Context, task TaskRef) error
	// UpdateRoles replaces our roles, which of them are suppressed, and their terms, as
	// a whole (UPDATE_FRAMEWORK). If the roles or a Terms.Min change, all agents are
	// told, so change many at once; suppression and constraints are the master's own
	// affair. The offers of roles that go are rescinded, their tasks go on. Held offers
	// that do not meet new terms stay, and no allocation follows at once: see Revive. A
	// refusal leaves all as it was; it is a *CallError with the master's text, and
	// ErrRolesRefused or ErrTermsRefused if that is about the roles or their terms.
	UpdateRoles(ctx context.Context, asks []RoleAsk) error
	// Revive and Suppress concern all our roles if none is given.
	Revive(ctx context.Context, roles ...string) error
	Suppress(ctx context.Context, roles ...string) error
	// Reconcile asks for the state of the tasks; none given asks for all that the
	// master knows of us (implicit reconciliation).
	Reconcile(ctx context.Context, tasks ...TaskRef) error
	// ReleaseAck acknowledges the updates of a task that Handler.Updated held back. It
	// does not block; without such updates it does nothing.
	ReleaseAck(taskID string)
}

// State is where the session stands.
type State string

// The states of a session.
const (
	StateStopped    State = "Stopped"
	StateConnecting State = "Connecting"
	StateSubscribed State = "Subscribed"
	StateBackoff    State = "Backoff"
	StateFailedOver State = "FailedOver"
	StateRemoved    State = "Removed"
)

// States lists all states, for metrics.
var States = []State{StateStopped, StateConnecting, StateSubscribed, StateBackoff, StateFailedOver, StateRemoved}

// Observer is told about the session's traffic. Methods are called concurrently
// and must be cheap.
type Observer interface {
	// CallDone reports one call: its v1 type name, a low-cardinality result
	// ("202", "400", "timeout", "connection", ...), and its duration.
	CallDone(callType, result string, took time.Duration)
	// EventReceived reports one record of the stream by event type name.
	EventReceived(eventType string, bytes int)
	// StateChanged reports a change of state; err is why, nil when all is well.
	StateChanged(state State, err error)
}

// Errors that end or refuse work. Test with errors.Is.
var (
	// ErrNotSubscribed is returned by calls while no subscription is live.
	ErrNotSubscribed = errors.New("not subscribed to a Mesos master")
	// ErrFailedOver ends Run: another instance took over our FrameworkID.
	ErrFailedOver = errors.New("another instance took over this framework")
	// ErrFrameworkRemoved ends Run, unless there is Config.Removed: the master removed our
	// framework for good.
	ErrFrameworkRemoved = errors.New("the Mesos master removed this framework")
	// ErrTermsRefused tells that the master does not take the terms of our roles: offer
	// constraints or offer filters. The same roles without terms may be accepted.
	ErrTermsRefused = errors.New("a Mesos master does not take the terms of our roles")
	// ErrRolesRefused tells that the master does not let us have some role: its name
	// is illegal, it is not on the master's whitelist, or our principal may not use
	// it. The error's text is the master's, which does not always name the role.
	ErrRolesRefused = errors.New("the Mesos master refuses our roles")
)
