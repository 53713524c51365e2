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

package mesosoffers

import (
	"fmt"
	"strings"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/lifecycle"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Reasons told to users. Each is a constant: the scheduler counts nodes by
// reason, as in "0/20 nodes are available: 3 no Mesos offer, 12 Mesos offer short
// of cpu, 5 not a Mesos agent".
const (
	reasonNotConnected = "the Mesos master is not connected"
	reasonNoOffer      = "no Mesos offer"
	reasonInFlight     = "Mesos offer just spent on other pods"
	reasonNotAgent     = "not a Mesos agent"
	reasonAmbiguous    = "Mesos agent not unique"
	reasonShortPrefix  = "Mesos offer short of "
	reasonClaimLost    = "the Mesos task that holds the pod's resources ended before the pod was bound"
	reasonOfferGone    = "the Mesos offer was withdrawn before it could be used"
	reasonDisconnected = "the Mesos master was lost while the pod's resources were claimed"
	reasonRejected     = "Mesos refused the pod's placeholder task"
	reasonFailed       = "the Mesos agent did not run the pod's placeholder task"
	reasonTimeout      = "Mesos did not start the pod's placeholder task in time"
	reasonPodGone      = "the pod's claim was given up"
	reasonMasterBusy   = "the pod's earlier Mesos claim is still in use"
)

// reasonShort is the reason of a node whose offers lack a resource.
var reasonShort = func() (r [resources.NumKinds]string) {
	for k := range r {
		r[k] = reasonShortPrefix + resources.Kind(k).String()
	}
	return r
}()

func reasonOf(v offers.Verdict, kind resources.Kind) string {
	switch v {
	case offers.ShortOf:
		return reasonShort[kind]
	case offers.NoOffer:
		return reasonNoOffer
	case offers.InFlight:
		return reasonInFlight
	}
	return reasonNotAgent
}

func reasonOfCause(c claims.Cause) string {
	switch c {
	case claims.CauseOfferGone:
		return reasonOfferGone
	case claims.CauseDisconnected:
		return reasonDisconnected
	case claims.CauseRejected:
		return reasonRejected
	case claims.CauseFailed:
		return reasonFailed
	case claims.CauseTimeout:
		return reasonTimeout
	}
	return reasonPodGone
}

// shortageMessage says of a whole cluster what FitError says of judged nodes.
func shortageMessage(sel *offers.Selection, rest lifecycle.Shortage) string {
	var parts []string
	add := func(n int, reason string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, reason))
		}
	}
	noOffer := sel.NoOffer + rest.NoOffer
	for _, n := range rest.Short {
		noOffer -= n
	}
	add(noOffer, reasonNoOffer)
	add(sel.InFlight, reasonInFlight)
	for k, n := range sel.Short {
		add(n+rest.Short[k], reasonShort[k])
	}
	add(rest.NotAgent, reasonNotAgent)
	add(rest.Ambiguous, reasonAmbiguous)
	if len(parts) == 0 {
		return reasonNoOffer
	}
	return strings.Join(parts, ", ")
}
