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

package core

import (
	"errors"
	"fmt"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// Response is what a call is answered with over HTTP.
type Response struct {
	Status int
	Body   string
	// Reply is the body, in either encoding, of operator calls that ask for
	// something; nil for all others.
	Reply *OperatorReply
}

func badRequest(body string) Response { return Response{Status: 400, Body: body} }

var accepted = Response{Status: 202}

// Request is a decoded call with what HTTP says about it.
type Request struct {
	Call        *scheduler.Call
	HasType     bool // the type field was present
	Stream      string
	HasStream   bool // the Mesos-Stream-Id header was present
	Constraints OfferConstraints
	// Principal is who sent the call; empty where nobody is asked.
	Principal string
	// AcceptsNothing is set if the Accept header allows neither JSON nor protobuf.
	AcceptsNothing bool
}

// notAcceptable is the answer to an Accept header that allows nothing we speak.
var notAcceptable = Response{Status: 406, Body: "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'"}

// CheckSubscribe runs the checks of a SUBSCRIBE that are answered over HTTP, in
// the master's order (Mesos master/http.cpp scheduler). Status 0 means go on.
func (m *Master) CheckSubscribe(r *Request) Response {
	if err := validCall(r); err != nil {
		return badRequest("Failed to validate scheduler::Call: " + err.Error())
	}
	if err := r.checkPrincipal(); err != nil {
		return badRequest("Failed to validate scheduler::Call: " + err.Error())
	}
	if r.AcceptsNothing {
		return notAcceptable
	}
	if r.HasStream {
		return badRequest("Subscribe calls should not include the 'Mesos-Stream-Id' header")
	}
	return Response{}
}

// checkPrincipal compares who subscribes with what the FrameworkInfo says, and
// completes it where it says nothing.
func (r *Request) checkPrincipal() error {
	info := r.Call.Subscribe.FrameworkInfo
	switch {
	case r.Principal == "":
		return nil
	case info.Principal == nil:
		info.Principal = &r.Principal
	case *info.Principal != r.Principal:
		return errors.New(wrongPrincipal(r.Principal, *info.Principal))
	}
	return nil
}

func wrongPrincipal(authenticated, named string) string {
	return fmt.Sprintf("Authenticated principal '%s' does not match principal '%s' set in `FrameworkInfo`", authenticated, named)
}

// Call handles every call but SUBSCRIBE. A call of type UNKNOWN from a
// subscribed framework crashes the master as it crashes a real one: Crashed is
// set and the caller must break all connections.
func (m *Master) Call(now time.Time, r *Request) Response {
	m.enter(now)
	if err := validCall(r); err != nil {
		return badRequest("Failed to validate scheduler::Call: " + err.Error())
	}
	call := r.Call
	if call.Type == scheduler.Call_RECONCILE_OPERATIONS && r.AcceptsNothing {
		return notAcceptable
	}
	f := m.frameworks[call.GetFrameworkID().GetValue()]
	switch {
	case f == nil:
		return badRequest("Framework cannot be found")
	case r.Principal != "" && r.Principal != f.info.GetPrincipal():
		return badRequest(wrongPrincipal(r.Principal, f.info.GetPrincipal()))
	case !f.connected:
		return Response{Status: 403, Body: "Framework is not subscribed"}
	case !r.HasStream:
		return badRequest("All non-subscribe calls should include the 'Mesos-Stream-Id' header")
	case r.Stream != f.stream:
		return badRequest(fmt.Sprintf("The stream ID '%s' included in this request didn't match the stream ID currently associated with framework ID %s", r.Stream, f.id))
	case call.Type == scheduler.Call_UNKNOWN:
		m.Crashed = "Check failed: call_types.contains(callType)"
		return Response{}
	}
	f.stats.calls[call.Type.String()]++
	return m.dispatch(f, r)
}

// dispatch hands a valid call of a subscribed framework to whoever handles it.
func (m *Master) dispatch(f *framework, r *Request) Response { //nolint:gocyclo // a table: one line per type of call
	call := r.Call
	switch call.Type {
	case scheduler.Call_TEARDOWN:
		m.removeFramework(f)
	case scheduler.Call_ACCEPT:
		m.accept(f, call.Accept)
	case scheduler.Call_DECLINE:
		m.decline(f, call.Decline)
	case scheduler.Call_REVIVE:
		m.revive(f, call.GetRevive().GetRoles())
	case scheduler.Call_SUPPRESS:
		m.suppress(f, call.GetSuppress().GetRoles())
	case scheduler.Call_KILL:
		m.kill(f, call.Kill)
	case scheduler.Call_ACKNOWLEDGE:
		m.acknowledge(f, call.Acknowledge)
	case scheduler.Call_MESSAGE:
		if a := m.agents[call.Message.AgentID.Value]; a != nil {
			a.host.FrameworkMessage(f.id, call.Message.ExecutorID.Value, call.Message.Data)
		}
	case scheduler.Call_RECONCILE:
		m.reconcile(f, call.Reconcile.Tasks)
	case scheduler.Call_RECONCILE_OPERATIONS:
		m.reconcileOperations(f, call.ReconcileOperations)
	case scheduler.Call_SHUTDOWN:
		m.shutdownExecutor(f, call.Shutdown)
	case scheduler.Call_ACCEPT_INVERSE_OFFERS:
		m.answerInverse(f, call.AcceptInverseOffers.InverseOfferIDs, call.AcceptInverseOffers.Filters, true)
	case scheduler.Call_DECLINE_INVERSE_OFFERS:
		m.answerInverse(f, call.DeclineInverseOffers.InverseOfferIDs, call.DeclineInverseOffers.Filters, false)
	case scheduler.Call_ACKNOWLEDGE_OPERATION_STATUS:
		m.acknowledgeOperation(f, call.AcknowledgeOperationStatus)
	case scheduler.Call_UPDATE_FRAMEWORK:
		return m.updateFramework(f, call.UpdateFramework, r.Constraints)
	}
	// REQUEST changes nothing: the built-in allocator of Mesos ignores it.
	return accepted
}

// decline takes each id on its own; unknown ones are ignored, owners are not
// checked (Mesos master.cpp decline).
func (m *Master) decline(f *framework, d *scheduler.Call_Decline) {
	refuse := refuseFor(d.Filters)
	for _, id := range d.OfferIDs {
		if o := m.offers[id.Value]; o != nil {
			m.forgetOffer(o)
			f.stats.declined++
			m.recoverRes(o.fw, o.agent, o.role, o.res, refuse)
		}
	}
}

// rolesMeant are the roles of a REVIVE or SUPPRESS: all if none is named, and
// nothing at all if one is not subscribed.
func (f *framework) rolesMeant(named []string) []string {
	if len(named) == 0 {
		return sortedKeys(f.roles)
	}
	for _, r := range named {
		if !f.roles[r] {
			return nil
		}
	}
	return named
}

// revive clears decline filters and suppression of roles and allocates at once.
func (m *Master) revive(f *framework, named []string) {
	roles := f.rolesMeant(named)
	if len(roles) == 0 {
		return
	}
	for _, r := range roles {
		delete(f.suppressed, r)
	}
	m.alloc.Revive(f.id, roles)
}

// suppress stops new offers for roles; offers in hand stay valid.
func (m *Master) suppress(f *framework, named []string) {
	roles := f.rolesMeant(named)
	for _, r := range roles {
		f.suppressed[r] = true
	}
	m.alloc.Suppress(f.id, roles)
}

// kill handles KILL; one of an unknown task is answered as reconciliation
// (Mesos master.cpp kill).
func (m *Master) kill(f *framework, k *scheduler.Call_Kill) {
	t := f.tasks[k.TaskID.Value]
	if t == nil {
		m.reconcile(f, []scheduler.Call_Reconcile_Task{{TaskID: k.TaskID, AgentID: k.AgentID}})
		return
	}
	if k.AgentID != nil && k.AgentID.Value != t.agentID {
		return
	}
	a := m.agents[t.agentID]
	if a == nil {
		return
	}
	key := taskKey{f.id, t.id}
	if !a.connected {
		a.kills[key] = k.KillPolicy
		return
	}
	a.host.Kill(f.id, t.id, k.KillPolicy)
}

// shutdownExecutor handles SHUTDOWN: the executor ends with status 0.
func (m *Master) shutdownExecutor(f *framework, s *scheduler.Call_Shutdown) {
	a := m.agents[s.AgentID.Value]
	if a != nil {
		a.host.ShutdownExecutor(f.id, s.ExecutorID.Value)
	}
}
