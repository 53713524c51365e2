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
	"net"
	"strings"
)

// Reason is why a session is not subscribed, for machines: conditions, metrics, events.
type Reason string

// The reasons.
const (
	// ReasonUnauthorized: the master refuses our credentials (401).
	ReasonUnauthorized Reason = "Unauthorized"
	// ReasonForbidden: the master knows us and does not let us subscribe (403).
	ReasonForbidden Reason = "Forbidden"
	// ReasonUntrustedCertificate: the master's certificate is not one that we trust.
	ReasonUntrustedCertificate Reason = "UntrustedCertificate"
	// ReasonCertificateRefused: the master refuses our certificate, or wants one.
	ReasonCertificateRefused Reason = "CertificateRefused"
	// ReasonCredentialsUnreadable: a file with credentials cannot be read.
	ReasonCredentialsUnreadable Reason = "CredentialsUnreadable"
	// ReasonNoMaster: no master can be found or reached, or none leads.
	ReasonNoMaster Reason = "NoMaster"
	// ReasonMasterRecovering: the leading master is not ready yet.
	ReasonMasterRecovering Reason = "MasterRecovering"
	// ReasonMasterSilent: the master takes connections and says nothing.
	ReasonMasterSilent Reason = "MasterSilent"
	// ReasonStreamEnded: the subscription ended, as by the master's end.
	ReasonStreamEnded Reason = "StreamEnded"
	// ReasonFrameworkRemoved: the master removed our framework for good.
	ReasonFrameworkRemoved Reason = "FrameworkRemoved"
	// ReasonFailedOver: another instance took over our FrameworkID.
	ReasonFailedOver Reason = "FailedOver"
	// ReasonRolesRefused and ReasonTermsRefused: the master does not take our roles, or
	// their terms.
	ReasonRolesRefused Reason = "RolesRefused"
	ReasonTermsRefused Reason = "TermsRefused"
	// ReasonIdentityUnavailable: the FrameworkID cannot be loaded or stored.
	ReasonIdentityUnavailable Reason = "IdentityUnavailable"
	// ReasonRefused: the master refuses us for another reason, see the text.
	ReasonRefused Reason = "Refused"
)

// reasonOfError says which errors have which reason, the most telling first: an error
// may be several.
var reasonOfError = []struct {
	err    error
	reason Reason
}{
	{ErrFailedOver, ReasonFailedOver},
	{ErrFrameworkRemoved, ReasonFrameworkRemoved},
	{errCredentials, ReasonCredentialsUnreadable},
	{errUnauthorized, ReasonUnauthorized},
	{errForbidden, ReasonForbidden},
	{errUntrusted, ReasonUntrustedCertificate},
	{errCertificate, ReasonCertificateRefused},
	{ErrRolesRefused, ReasonRolesRefused},
	{ErrTermsRefused, ReasonTermsRefused},
	{errIdentity, ReasonIdentityUnavailable},
	{errRefused, ReasonRefused},
	{errMasterError, ReasonRefused},
	{errRecovering, ReasonMasterRecovering},
	{errLeaderChanged, ReasonStreamEnded},
	{errSilent, ReasonMasterSilent},
	{errNoAnswer, ReasonMasterSilent},
	{errNotReady, ReasonNoMaster},
	{errNotConnecting, ReasonNoMaster},
	{errStreamEnded, ReasonStreamEnded},
	{errStreamCut, ReasonStreamEnded},
	{errCallsRefused, ReasonStreamEnded},
}

// ReasonOf is the reason of an error that ended a subscription or kept one from being
// made: what Handler.Disconnected and Observer.StateChanged are told. It is "" for nil.
func ReasonOf(err error) Reason {
	if err == nil {
		return ""
	}
	for _, r := range reasonOfError {
		if errors.Is(err, r.err) {
			return r.reason
		}
	}
	return ReasonStreamEnded
}

// needsOperator tells whether somebody has to mend credentials or certificates before
// another try can succeed. Of several masters all must have said so.
func needsOperator(err error) bool {
	var round roundError
	if errors.As(err, &round) {
		for _, one := range round {
			if !needsOperator(one) {
				return false
			}
		}
		return len(round) > 0
	}
	switch ReasonOf(err) {
	case ReasonUnauthorized, ReasonForbidden, ReasonUntrustedCertificate, ReasonCertificateRefused, ReasonCredentialsUnreadable:
		return true
	}
	return false
}

// explain adds to a failure what credentials or certificates have to do with it.
func (s *Session) explain(err error) error {
	if text, ok := s.cfg.Credentials.Explain(err); ok {
		kind := errUntrusted
		if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "remote error" {
			kind = errCertificate
		}
		if strings.Contains(err.Error(), text) {
			text = ""
		} else {
			text = "; " + text
		}
		err = fmt.Errorf("%w%s: %w", kind, text, err)
	}
	if problem := s.cfg.Credentials.Problem(); problem != nil && needsOperator(err) {
		err = fmt.Errorf("%w; %w: %w", err, errCredentials, problem)
	}
	return err
}
