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
	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
)

// needsPeople are the reasons for which trying again does not help: somebody has to mend
// credentials or certificates.
var needsPeople = map[mesos.Reason]bool{
	mesos.ReasonUnauthorized: true, mesos.ReasonForbidden: true, mesos.ReasonUntrustedCertificate: true,
	mesos.ReasonCertificateRefused: true, mesos.ReasonCredentialsUnreadable: true,
}

// SessionState takes in a change of the session's state, and why it is not better. What
// people have to mend it proclaims, once for each reason until there is a subscription
// again.
func (m *Manager) SessionState(state mesos.State, reason mesos.Reason, why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if state == mesos.StateSubscribed {
		m.refusedFor = ""
		return
	}
	if !needsPeople[reason] || m.refusedFor == reason {
		return
	}
	m.refusedFor = reason
	m.proclaim(v1.EventTypeWarning, EventMasterRefuses, actionConnect, "No pod can be placed: "+why)
}
