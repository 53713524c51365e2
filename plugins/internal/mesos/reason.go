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
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
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
	{errUnauthorized, ReasonUnauthorized},
	{errForbidden, ReasonForbidden},
	{errCredentials, ReasonCredentialsUnreadable},
	{errUntrusted, ReasonUntrustedCertificate},
	{errCertificate, ReasonCertificateRefused},
	{ErrRolesRefused, ReasonRolesRefused},
	{ErrTermsRefused, ReasonTermsRefused},
	{errIdentity, ReasonIdentityUnavailable},
	{errRefused, ReasonRefused},
	{errMasterError, ReasonRefused},
	{errRecovering, ReasonMasterRecovering},
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

// explainTLS puts words to the failures of a TLS handshake that an operator has to mend.
func explainTLS(err error) error {
	var (
		untrusted   *tls.CertificateVerificationError
		unknown     x509.UnknownAuthorityError
		wrongName   x509.HostnameError
		invalid     x509.CertificateInvalidError
		alert       tls.AlertError
		notTLS      tls.RecordHeaderError
		description string
	)
	switch {
	case errors.As(err, &wrongName):
		description = "its name is not in the certificate; set the server name or get a certificate that has it"
	case errors.As(err, &invalid):
		description = "the certificate has expired or may not be used so"
	case errors.As(err, &unknown), errors.As(err, &untrusted):
		description = "no authority that we trust signed it; check the CA file"
	case errors.As(err, &alert), strings.Contains(err.Error(), "remote error: tls: "):
		return fmt.Errorf("%w; check our certificate and key: %w", errCertificate, err)
	case errors.As(err, &notTLS), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("%w; it answers without TLS: %w", errUntrusted, err)
	default:
		return err
	}
	return fmt.Errorf("%w; %s: %w", errUntrusted, description, err)
}
