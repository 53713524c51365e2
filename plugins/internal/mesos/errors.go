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
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// maxErrorBody is how much of an error answer is kept, in bytes.
const maxErrorBody = 4 << 10

// CallError is a call that the master refused or did not answer.
type CallError struct {
	// Type is the v1 name of the call, for example "ACCEPT".
	Type string
	// Status is the HTTP status, 0 if there was no answer.
	Status int
	// Body is the master's text, cut at 4 KiB.
	Body string
	// Sent tells whether the request may have reached the master.
	Sent bool
	// Err is why there was no answer or what makes the status mean more; may be nil.
	Err error
}

// Error says which call failed, how, and whether it may have taken effect.
func (e *CallError) Error() string {
	switch {
	case e.Status != 0 && e.Err != nil:
		return fmt.Sprintf("Mesos call %s: the master answered %d %q: %v", e.Type, e.Status, e.Body, e.Err)
	case e.Status != 0:
		return fmt.Sprintf("Mesos call %s: the master answered %d %q", e.Type, e.Status, e.Body)
	case e.OutcomeUnknown():
		return fmt.Sprintf("Mesos call %s: no answer, it may or may not have taken effect: %v", e.Type, e.Err)
	default:
		return fmt.Sprintf("Mesos call %s: not sent: %v", e.Type, e.Err)
	}
}

// Unwrap returns why there was no answer, nil for a mere refusal.
func (e *CallError) Unwrap() error { return e.Err }

// OutcomeUnknown tells whether the master may have processed the call: it was
// sent and no answer of the master came back. The caller must then find out
// (RECONCILE) or undo (KILL), never assume. Refusals by the master itself (4xx,
// 503) happen before anything is applied (Mesos Master::Http::scheduler).
func (e *CallError) OutcomeUnknown() bool {
	switch e.Status {
	case 0:
		return e.Sent
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// refusesAsks tells whether the owner should ask for other roles or without terms, of
// which it must know before it is asked again.
func refusesAsks(err error) bool {
	return errors.Is(err, ErrRolesRefused) || errors.Is(err, ErrTermsRefused)
}

// Reasons for which a subscription ends, beyond what the master says. They reach
// Handler.Disconnected and the session's status.
var (
	errSilent        = errors.New("the master sent nothing for several heartbeat intervals")
	errNoAnswer      = errors.New("the master did not answer SUBSCRIBE in time")
	errStreamEnded   = errors.New("the master ended the event stream")
	errStreamCut     = errors.New("the connection of the event stream broke; did the master die?")
	errClosed        = errors.New("the session was closed")
	errCallTimeout   = errors.New("the master did not answer in time")
	errProtocol      = errors.New("the master broke the protocol")
	errCallsRefused  = errors.New("the master refuses calls of this subscription")
	errNotConnecting = errors.New("no connection to the master")
	errMasterError   = errors.New("the master reported an error")
	errRefused       = errors.New("the master refused the subscription")
	errNotReady      = errors.New("no master is ready to take a subscription")
	errLeaderChanged = errors.New("another master leads now")
	errRecovering    = errors.New("the master is recovering")
	errUnauthorized  = errors.New("our credentials are wrong or missing; check the principal and its secret, or the token")
	errForbidden     = errors.New("our credentials are known but may not do this; check them and the master's ACLs")
	errUntrusted     = errors.New("the master's certificate is not trusted")
	errCertificate   = errors.New("the master refuses our certificate")
	errCredentials   = errors.New("cannot read the credentials")
	errIdentity      = errors.New("the FrameworkID is not available")
)

// roundError is why no master took a subscription: what each of them said.
type roundError []error

// Error joins what the masters said.
func (r roundError) Error() string {
	texts := make([]string, len(r))
	for i, err := range r {
		texts[i] = err.Error()
	}
	return errNotReady.Error() + ": " + strings.Join(texts, "; ")
}

// Unwrap returns all of it.
func (r roundError) Unwrap() []error { return append([]error{errNotReady}, r...) }
