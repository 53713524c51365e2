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
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/lifecycle"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
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
	reasonHome         = "the pod's reserved resources are not offered by their Mesos agent now"
	reasonHomeUnknown  = "it is not known yet where the pod's reserved resources are"
	reasonHomeLost     = "the Mesos agent that has the pod's reserved resources is no node now"
	reasonKept         = "Mesos agent kept for pods that need GPUs"
	reasonLeaving      = "Mesos agent is to go down for maintenance"
	reasonNotAgent     = "not a Mesos agent"
	reasonAmbiguous    = "Mesos agent not unique"
	reasonShortPrefix  = "Mesos offer short of "
	reasonSmallPrefix  = "Mesos agent short of "
	reasonClaimLost    = "the Mesos task that holds the pod's resources ended before the pod was bound"
	reasonOfferGone    = "the Mesos offer was withdrawn before it could be used"
	reasonDisconnected = "the Mesos master was lost while the pod's resources were claimed"
	reasonRejected     = "Mesos refused the pod's placeholder task"
	reasonFailed       = "the Mesos agent did not run the pod's placeholder task"
	reasonTimeout      = "Mesos did not start the pod's placeholder task in time"
	reasonPodGone      = "the pod's claim was given up"
	reasonMasterBusy   = "the pod's earlier Mesos claim is still in use"
)

// notConnected are the reasons told while there is no subscription and waiting does not
// help. For all others it is reasonNotConnected.
var notConnected = map[mesos.Reason]string{
	mesos.ReasonUnauthorized:          "the Mesos master refuses the scheduler's credentials",
	mesos.ReasonForbidden:             "the Mesos master does not permit the scheduler to subscribe",
	mesos.ReasonUntrustedCertificate:  "the Mesos master's certificate is not trusted",
	mesos.ReasonCertificateRefused:    "the Mesos master does not take the scheduler's certificate",
	mesos.ReasonCredentialsUnreadable: "the scheduler's credentials for Mesos cannot be read",
}

// reasons knows the reasons of nodes whose offers, or agents, lack a resource, by its
// name in offers.ShortError. They are few: the resources of pods, with and without what
// they were to be.
type reasons struct {
	table          *resources.Table
	shorts, smalls sync.Map
}

func (r *reasons) short(lacks string) string { return r.text(&r.shorts, reasonShortPrefix, lacks) }

// small is the reason of nodes whose agents could not even hold the pod if nobody else
// used them.
func (r *reasons) small(lacks string) string { return r.text(&r.smalls, reasonSmallPrefix, lacks) }

func (r *reasons) text(known *sync.Map, prefix, lacks string) string {
	if text, ok := known.Load(lacks); ok {
		return text.(string)
	}
	quality, name := "", lacks
	if first, rest, found := strings.Cut(lacks, " "); found {
		quality, name = first+" ", rest
	}
	text := prefix + quality + r.table.KubernetesNameOf(name)
	known.Store(lacks, text)
	return text
}

func (r *reasons) of(v offers.Verdict, lacks string) string {
	switch v {
	case offers.ShortOf:
		return r.short(lacks)
	case offers.Kept:
		return reasonKept
	case offers.Leaving:
		return reasonLeaving
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
func (r *reasons) message(sel *offers.Selection, undersized offers.Undersized, rest lifecycle.Shortage) string {
	var parts []string
	add := func(n int, reason string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, reason))
		}
	}
	add(sel.NoOffer+rest.NoOffer, reasonNoOffer)
	add(sel.InFlight, reasonInFlight)
	add(sel.Kept, reasonKept)
	add(sel.Leaving, reasonLeaving)
	for k, n := range sel.Short {
		if n > 0 {
			add(n, r.short(resources.Kind(k).String()))
		}
	}
	for _, lacks := range slices.Sorted(maps.Keys(sel.Lacks)) {
		add(sel.Lacks[lacks], r.short(lacks))
	}
	for k, n := range undersized {
		if n > 0 {
			add(n, r.small(resources.Kind(k).String()))
		}
	}
	add(rest.NotAgent, reasonNotAgent)
	add(rest.Ambiguous, reasonAmbiguous)
	if len(parts) == 0 {
		return reasonNoOffer
	}
	return strings.Join(parts, ", ")
}
