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
	"fmt"
	"net/http"
	"strings"
)

// answer is what an HTTP answer to SUBSCRIBE means for us.
type answer int

const (
	// answerStream: the stream follows.
	answerStream answer = iota
	// answerRedirect: another master leads; see Location.
	answerRedirect
	// answerNotReady: this master cannot serve now, another may.
	answerNotReady
	// answerRefused: the same request would be refused again.
	answerRefused
)

// classifySubscribe judges the answer to SUBSCRIBE. 404 is what a starting master
// says before its routes exist (a recorded master did so for 25 ms), 503 "No
// leader elected" or "Master has not finished recovery".
func classifySubscribe(status int, header http.Header, body string) (answer, error) {
	switch status {
	case http.StatusOK:
		if got := header.Get("Content-Type"); got != mediaTypeProtobuf {
			return answerRefused, fmt.Errorf("%w: Content-Type %q, want %q; is this a Mesos master?", errRefused, got, mediaTypeProtobuf)
		}
		if header.Get(headerStreamID) == "" {
			return answerRefused, fmt.Errorf("%w: the answer has no %s; is this a Mesos master?", errRefused, headerStreamID)
		}
		return answerStream, nil
	case http.StatusTemporaryRedirect:
		return answerRedirect, nil
	case http.StatusServiceUnavailable, http.StatusNotFound,
		http.StatusBadGateway, http.StatusGatewayTimeout, http.StatusTooManyRequests:
		if strings.Contains(body, textRecovering) {
			return answerNotReady, fmt.Errorf("%w: %d %q", errRecovering, status, body)
		}
		return answerNotReady, fmt.Errorf("%w: %d %q", errNotReady, status, body)
	case http.StatusUnauthorized:
		return answerRefused, fmt.Errorf("%w: 401 %q: %w", errRefused, body, errUnauthorized)
	case http.StatusForbidden:
		return answerRefused, fmt.Errorf("%w: 403 %q: %w", errRefused, body, errForbidden)
	}
	return answerRefused, fmt.Errorf("%w: %d %q", errRefused, status, body)
}

// textRecovering is the 503 of a leader that is not ready yet.
const textRecovering = "Master has not finished recovery"

// Texts of a master's 400 that mean our subscription is not the live one (Mesos
// Master::Http::scheduler, confirmed by a recorded master). Other 400 concern the
// call alone.
const (
	// textOtherStream: another subscription of our framework is the live one.
	textOtherStream = "The stream ID '"
	textNotFound    = "Framework cannot be found"
	textNoStream    = "All non-subscribe calls should include"
)

// callSucceeded tells whether the status is success. Calls answer 202, only
// UPDATE_FRAMEWORK answers 200.
func callSucceeded(status int) bool {
	return status == http.StatusAccepted || status == http.StatusOK
}

// subscriptionLost returns why a refused call shows that the subscription is not
// live any more on the master that we talk to, nil if it does not: 403 "Framework
// is not subscribed", 400 with a text about the framework or the stream id, 307 and
// 503 of a master that leads no more, 404 of one that has just started.
//
// A master that knows our framework by another stream id has been subscribed to by
// somebody else, and says so on our stream, too. That may be read later than the
// answer to a call, by a process that was stopped for a while: to subscribe again
// would then push the new instance out.
func subscriptionLost(status int, body string) error {
	switch status {
	case http.StatusForbidden, http.StatusTemporaryRedirect, http.StatusServiceUnavailable, http.StatusNotFound:
		return errCallsRefused
	case http.StatusBadRequest:
		switch {
		case strings.Contains(body, textOtherStream):
			return ErrFailedOver
		case strings.Contains(body, textNotFound), strings.Contains(body, textNoStream):
			return errCallsRefused
		}
	}
	return nil
}

// textNotSubscribed is a 403 of the subscription, not of the call (Mesos
// Master::Http::scheduler).
const textNotSubscribed = "Framework is not subscribed"

// updateRefused tells whether an answer to UPDATE_FRAMEWORK concerns that call
// alone: a principal that may not do what it asks for gets a 403, too.
func updateRefused(status int, body string) bool {
	if status == http.StatusForbidden {
		return !strings.Contains(body, textNotSubscribed)
	}
	return status == http.StatusBadRequest && subscriptionLost(status, body) == nil
}

// refusedRoles returns ErrRolesRefused for a refusal that fewer or other roles may
// turn into an acceptance: names that are illegal (Mesos roles::validate) or not on
// the master's whitelist, and roles that the principal may not use; else nil.
// Authorizers judge all roles at once, and their texts are their own.
func refusedRoles(status int, text string) error {
	if status == http.StatusForbidden || strings.HasPrefix(text, "Not authorized to ") ||
		strings.Contains(text, "'FrameworkInfo.roles' contains ") ||
		strings.Contains(text, "are not present in the master's --roles") {
		return ErrRolesRefused
	}
	return nil
}

// refusedTerms returns ErrTermsRefused for a refusal that is about offer constraints
// (Mesos OfferConstraintsFilter::create, validateOfferConstraintsRoles) or offer
// filters (validateOfferFilters), else nil. The texts are those of a recorded master,
// which puts different words before them in UPDATE_FRAMEWORK and SUBSCRIBE.
func refusedTerms(text string) error {
	for _, part := range []string{
		"Offer constraints are not valid: ", "Offer constraints specify ",
		"Resource quantities must contain at least one quantity", "Invalid resource quantity for '",
	} {
		if strings.Contains(text, part) {
			return ErrTermsRefused
		}
	}
	return nil
}

// refusedFramework returns what a refusal of SUBSCRIBE or UPDATE_FRAMEWORK is about:
// the roles, their terms, or nil for anything else.
func refusedFramework(status int, text string) error {
	if err := refusedRoles(status, text); err != nil {
		return err
	}
	return refusedTerms(text)
}

// Texts of the ERROR event after which we must not subscribe again.
const (
	textFailedOver = "Framework failed over"
	textRemoved    = "Framework has been removed"
)

// classifyErrorEvent turns the text of an ERROR event into the error that ends
// the subscription: ErrFailedOver and ErrFrameworkRemoved end the session too.
func classifyErrorEvent(text string) error {
	switch strings.TrimSpace(text) {
	case textFailedOver:
		return fmt.Errorf("%w: the master says %q", ErrFailedOver, text)
	case textRemoved:
		return fmt.Errorf("%w: the master says %q; all its tasks are gone", ErrFrameworkRemoved, text)
	}
	if refused := refusedFramework(0, text); refused != nil {
		return fmt.Errorf("%w: %q", refused, text)
	}
	return fmt.Errorf("%w: %q", errMasterError, text)
}
