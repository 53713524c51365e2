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

package quota

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// PushLabel with the value "true" on a ResourceQuota makes the quota in Mesos follow
// it: the limits of a top-level role become the sum over the namespaces whose first
// role is in its tree and that have such a ResourceQuota. Of several in one
// namespace, the smallest limit of each name counts. requests.cpu, requests.memory,
// requests.ephemeral-storage, their short forms, and requests of extended resources
// are pushed. A name is limited only if every such namespace limits it; namespaces
// without one have no share, and compete for the others'. A ResourceQuota with
// scopes limits but some pods and is not pushed, nor is one that is ours.
//
// A quota that an operator set in Mesos is not overwritten. We set the quota of a
// role only
//   - if it has none (also if somebody took ours away: remove the label to stop us),
//   - or if it is what we set: the same limits and no guarantee.
//
// Anything else is told as an event on the ResourceQuotas, and left as it is. What
// we set is remembered in PushedAnnotation on each of the namespaces, before it is
// set. When the last of the ResourceQuotas goes, a quota that is still what we set
// is reset once. If all the namespaces go too while we do not run, nothing remembers
// and the quota stays. We go by the last reading of the master: a quota that an
// operator sets between that reading and our push is lost.
const PushLabel = "kube-mesos.io/push"

// PushedAnnotation on a namespace holds what was pushed for it, as JSON by top-level
// role: the limits that we set, and those that they replace while that is not
// certain, by Mesos name and in Mesos' units:
//
//	{"eng":{"limits":{"cpus":4,"mem":8192},"before":{"cpus":2}}}
const PushedAnnotation = "kube-mesos.io/pushed-quota"

// record is what PushedAnnotation holds of a role.
type record struct {
	Limits map[string]float64 `json:"limits"`
	Before map[string]float64 `json:"before,omitempty"`
}

func newRecord(limits, before Limits) record {
	return record{Limits: inMesosUnits(limits), Before: inMesosUnits(before)}
}

func (r record) equal(other record) bool {
	return maps.Equal(r.Limits, other.Limits) && maps.Equal(r.Before, other.Before)
}

func inMesosUnits(limits Limits) map[string]float64 {
	if len(limits) == 0 {
		return nil
	}
	m := map[string]float64{}
	for name, milli := range limits {
		m[name] = resources.ToMesosScalar(milli)
	}
	return m
}

func fromMesosUnits(m map[string]float64) Limits {
	limits := Limits{}
	for name, value := range m {
		if milli, ok := resources.FromMesosScalar(value); ok {
			limits[name] = milli
		}
	}
	return limits
}

// recordsOf reads the records of a namespace; what does not parse says nothing.
func recordsOf(ns *v1.Namespace) map[string]record {
	var records map[string]record
	if text, there := ns.Annotations[PushedAnnotation]; there {
		if err := json.Unmarshal([]byte(text), &records); err != nil {
			return nil
		}
	}
	return records
}

// limitsOf returns what a ResourceQuota limits, rounded down.
func (n *Names) limitsOf(q *v1.ResourceQuota) Limits {
	limits := Limits{}
	for _, name := range n.mesos() {
		known, _ := n.kubernetes(name)
		forms := []v1.ResourceName{v1.DefaultResourceRequestsPrefix + known}
		if !strings.Contains(string(known), "/") {
			forms = append(forms, known)
		}
		for _, form := range forms {
			if quantity, ok := q.Spec.Hard[form]; ok {
				limits.lower(name, amountIn(name, quantity))
			}
		}
	}
	return limits
}

// lower limits a name, if it is not limited to less.
func (l Limits) lower(name string, milli int64) {
	if now, ok := l[name]; !ok || milli < now {
		l[name] = milli
	}
}

// String returns the limits as Mesos writes resources, "none" if there are none.
func (l Limits) String() string {
	if len(l) == 0 {
		return "none"
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(l)) {
		parts = append(parts, name+":"+decimal(l[name]))
	}
	return strings.Join(parts, ";")
}

// unusable says why a ResourceQuota cannot be pushed for a role, "" if it can.
func unusable(q *v1.ResourceQuota, limits Limits, role string) string {
	switch {
	case role == "":
		return "Not pushed to Mesos: the namespace has no role"
	case role == "*":
		return "Not pushed to Mesos: the role * has no quota of its own"
	case len(q.Spec.Scopes) > 0 || q.Spec.ScopeSelector != nil:
		return "Not pushed to Mesos: it has scopes, and a quota in Mesos holds for all pods"
	case len(limits) == 0:
		return "Not pushed to Mesos: it limits no requests of cpu, memory, ephemeral-storage or an extended resource that Mesos knows"
	}
	return ""
}

// demand is the quota that ResourceQuotas ask for a top-level role.
type demand struct {
	// shares is what each namespace asks for.
	shares map[string]Limits
	quotas []*v1.ResourceQuota
}

// add takes in a ResourceQuota.
func (d *demand) add(q *v1.ResourceQuota, limits Limits) {
	if d.shares == nil {
		d.shares = map[string]Limits{}
	}
	share, ok := d.shares[q.Namespace]
	if !ok {
		share = Limits{}
		d.shares[q.Namespace] = share
	}
	for name, milli := range limits {
		share.lower(name, milli)
	}
	d.quotas = append(d.quotas, q)
}

// limits returns the sum over the namespaces of what all of them limit.
func (d *demand) limits() Limits {
	var sum Limits
	for _, share := range d.shares {
		if sum == nil {
			sum = maps.Clone(share)
		} else {
			sum = sumOfShared(sum, share)
		}
	}
	for name, milli := range sum {
		sum[name] = min(milli, resources.MaxScalar)
	}
	return sum
}

// step is what is to be done about the quota of a role.
type step int

const (
	// keep what is.
	keep step = iota
	// set the quota to what is asked for, or reset it if nothing is.
	set
	// forget that we set it.
	forget
	// confirm that what we set is what is there.
	confirm
	// refuse to overwrite what somebody else set.
	refuse
)

// present is the quota that a role has in Mesos.
type present struct {
	limits     Limits
	guaranteed bool
}

func (p present) none() bool { return len(p.limits) == 0 && !p.guaranteed }

// next decides, by what is asked for and the sets of limits that we may have set.
func (p present) next(want Limits, ours []Limits) step {
	isOurs := !p.guaranteed && slices.ContainsFunc(ours, func(l Limits) bool { return maps.Equal(l, p.limits) })
	switch {
	case len(want) == 0 && len(ours) == 0:
		return keep
	case len(want) == 0 && (p.none() || !isOurs):
		return forget
	case !p.guaranteed && maps.Equal(p.limits, want):
		if isOurs {
			return confirm
		}
		return keep
	case p.none() || isOurs:
		return set
	}
	return refuse
}

// foreign says for people why a quota is not overwritten.
func (p present) foreign(role string, want Limits) string {
	what := "limits " + p.limits.String()
	if p.guaranteed {
		what += " and guarantees"
	}
	return fmt.Sprintf("Mesos quota of role %s not set to %s: it has %s that were not pushed from here. Reset it in Mesos to let it follow", role, want, what)
}

// quotaOf returns the present quota of a top-level role.
func (b *Book) quotaOf(role string) present {
	t := b.treeOf(role)
	if t == nil {
		return present{}
	}
	return present{limits: t.limits, guaranteed: len(namesIn(&t.role.Guarantee)) > 0}
}
