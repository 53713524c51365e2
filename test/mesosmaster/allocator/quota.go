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

package allocator

import (
	"math/rand/v2"
	"slices"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// Quota is what a role is promised and what it may not exceed.
type Quota struct {
	Guarantees Quantities
	Limits     Limits
}

// Default tells whether there is neither guarantee nor limit.
func (q *Quota) Default() bool { return len(q.Guarantees) == 0 && len(q.Limits) == 0 }

// countQuota sums up quotas, what is used of them, and the headroom: required is
// guaranteed and not consumed, available is the total without what is held,
// reserved or revocable.
func (r *run) countQuota() {
	for _, top := range r.tree.root.children {
		if !top.quota.Default() {
			r.consumed[top] = top.consumed()
			r.required.grow(top.quota.Guarantees.Minus(r.consumed[top]))
		}
	}
	if len(r.required) == 0 {
		return
	}
	root := r.tree.root
	r.available = r.total.Minus(r.sorter.root.held.sum)
	r.available.shrink(root.reserved.Minus(root.inUse.sum))
	for _, on := range r.order {
		if on.plain {
			continue
		}
		for _, x := range on.available() {
			if x.Flavor.Revocable() && x.Kind == resource.Scalar {
				r.available.sub(x.Name, x.Milli)
			}
		}
	}
}

// lacking tells whether a role has guarantees that are not met.
func (r *run) lacking(role *role) bool {
	return len(role.quota.Guarantees) > 0 && !r.consumed[role].Contains(role.quota.Guarantees)
}

// guaranteed is the first stage: a role whose guarantees are not met gets what it
// lacks, together with its reservations and all that no quota can be set on, and
// more of the rest up to its limits and to what the guarantees of others leave.
// An agent that does not bring it nearer to its guarantees is left to the second
// stage.
func (r *run) guaranteed(role *role, may resource.Resources) cut {
	lacks := role.quota.Guarantees.Minus(r.consumed[role])
	scalars, always := chargeable(may)
	due := chop(scalars, lacks, false, r.rng)
	if len(due) == 0 {
		return cut{}
	}
	always = slices.DeleteFunc(always, func(x resource.Resource) bool {
		return x.Kind == resource.Scalar && !x.Flavor.Revocable() && x.Flavor.Role() != role.path
	})
	more := r.within(role, scalars.Sub(due), r.consumed[role].Plus(Scalars(due)))
	return cut{offer: always.Add(due).Add(more), due: due}
}

// additional is the second stage: reservations and all that no quota can be set
// on, and of the rest what limits and headroom allow.
func (r *run) additional(role *role, may resource.Resources) cut {
	if len(role.quota.Limits) == 0 && len(r.required) == 0 {
		return cut{offer: may}
	}
	if offer, ok := r.withinByName(role, may); ok {
		return cut{offer: offer}
	}
	scalars, always := chargeable(may)
	return cut{offer: always.Add(r.within(role, scalars, r.consumed[role]))}
}

// withinByName is within for the usual case that no name comes twice among the
// resources that count; what counts for nothing stays.
func (r *run) withinByName(role *role, may resource.Resources) (resource.Resources, bool) {
	consumed := r.consumed[role]
	out, whole := may, true
	for i := range may {
		x := &may[i]
		left := x.Milli
		if counts(x) {
			if anyCounts(may[:i], x.Name) {
				return nil, false
			}
			if limit, ok := role.quota.Limits.Of(x.Name); ok {
				left = min(left, max(0, limit-consumed.Of(x.Name)))
			}
			if len(r.required) > 0 {
				left = min(left, max(0, r.available.Of(x.Name)-r.required.Of(x.Name)))
			}
			if left < x.Milli && !x.Flavor.Divisible() {
				left = 0
			}
		}
		cut := counts(x) && left < x.Milli
		if cut && whole {
			out, whole = append(make(resource.Resources, 0, len(may)), may[:i]...), false
		}
		if !whole && (!cut || left > 0) {
			out = append(out, *x)
			out[len(out)-1].Milli = left
		}
	}
	return out, true
}

// anyCounts tells whether a resource of the name counts.
func anyCounts(rs resource.Resources, name string) bool {
	for i := range rs {
		if rs[i].Name == name && counts(&rs[i]) {
			return true
		}
	}
	return false
}

// within cuts scalars down to the limits of a role that has consumed so much,
// and to the headroom that no guarantee needs.
func (r *run) within(role *role, scalars resource.Resources, consumed Quantities) resource.Resources {
	if len(role.quota.Limits) > 0 {
		scalars = chop(scalars, role.quota.Limits.minus(consumed), true, r.rng)
	}
	if len(r.required) > 0 && len(scalars) > 0 {
		scalars = chop(scalars, r.available.Minus(r.required), false, r.rng)
	}
	return scalars
}

// consume books what is to be offered against quota and headroom. A guarantee
// that is being met needs no headroom any more.
func (r *run) consume(role *role, c *cut) {
	top, limited := r.consumed[role]
	if !limited && len(r.required) == 0 {
		return
	}
	scalars, _ := chargeable(c.offer)
	sum := Scalars(scalars)
	r.required.shrink(Scalars(c.due))
	r.available.shrink(sum)
	if limited {
		r.consumed[role] = top.Plus(sum)
	}
}

// counts tells whether quotas apply to a resource: to unreserved scalars that are
// not revocable.
func counts(x *resource.Resource) bool {
	return x.Kind == resource.Scalar && x.Flavor.Role() == "" && !x.Flavor.Revocable()
}

// chargeable parts resources into those quotas apply to and those that are always
// offered.
func chargeable(rs resource.Resources) (scalars, always resource.Resources) {
	both := make(resource.Resources, 0, len(rs))
	for i := range rs {
		if counts(&rs[i]) {
			both = append(both, rs[i])
		}
	}
	n := len(both)
	for i := range rs {
		if !counts(&rs[i]) {
			both = append(both, rs[i])
		}
	}
	return both[:n:n], both[n:]
}

// chop cuts scalar resources down to what bound allows of each name, taking
// entries of one name in random order (Mesos common/resources_utils.cpp
// shrinkResources). Names bound does not know are kept whole, or dropped, as
// unknown says.
func chop(rs resource.Resources, bound []Quantity, unknown bool, rng *rand.Rand) resource.Resources {
	if within(rs, bound, unknown) {
		return rs
	}
	left := slices.Clone(bound)
	entries := slices.Clone(rs)
	rng.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
	var out resource.Resources
	for i := range entries {
		r := entries[i]
		at := slices.IndexFunc(left, func(q Quantity) bool { return q.Name == r.Name })
		if at < 0 {
			if unknown {
				out = append(out, r)
			}
			continue
		}
		if !r.Flavor.Divisible() && r.Milli > left[at].Milli {
			continue
		}
		if r.Milli = min(r.Milli, left[at].Milli); r.Milli > 0 {
			left[at].Milli -= r.Milli
			out = append(out, r)
		}
	}
	return out
}

// within tells whether a bound leaves all of rs.
func within(rs resource.Resources, bound []Quantity, unknown bool) bool {
	for i := range rs {
		at := slices.IndexFunc(bound, func(q Quantity) bool { return q.Name == rs[i].Name })
		if at < 0 {
			if unknown {
				continue
			}
			return false
		}
		sum := rs[i].Milli
		for j := range rs {
			if j != i && rs[j].Name == rs[i].Name {
				sum += rs[j].Milli
			}
		}
		if sum > bound[at].Milli {
			return false
		}
	}
	return true
}
