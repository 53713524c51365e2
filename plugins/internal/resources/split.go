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

package resources

// Split divides what a pod needs into portions of the pools, which are given in the
// order in which they are to be used. Of each resource name it takes as much as the
// first pool has, then the rest from the second, and so on, so that a name may come
// from several: Mesos lets one task mix reservations and unreserved resources.
//
// The parts are in the order of the pools, one at most of each, none of nothing. No
// part is more than its pool has, and together they are exactly the need. What a
// pool has less than nothing of, it has nothing of; what is needed less than nothing
// of is not needed. Revocable pools are passed over, because a task must not use
// revocable and regular resources of one name: see SplitRiding.
//
// If the pools have too little, there are no parts, and short is the name, as
// Bundle.FirstShort gives it, of the first resource that is. It is "" otherwise.
func Split(pools []Portion, need Bundle) (parts []Portion, short string) {
	rest := need
	for i := range pools {
		if pools[i].Flavour.IsRevocable() {
			continue
		}
		if rest.IsZero() {
			break
		}
		taken := rest.upTo(&pools[i].Bundle)
		if taken.IsZero() {
			continue
		}
		parts = append(parts, Portion{Flavour: pools[i].Flavour, Bundle: taken})
		rest = rest.Sub(taken)
	}
	if short = rest.FirstShort(&Bundle{}); short != "" {
		return nil, short
	}
	return parts, ""
}

// SplitRiding is Split for a pod that rides on revocable resources. Its cpus are
// revocable ones only; every other resource is revocable if there is enough of it,
// and else all of it comes from the regular pools. So no name is of both kinds, which
// Mesos refuses ("Cannot use both revocable and non-revocable 'mem' at the same
// time"; Mesos source, master/validation.cpp, validateRevocableAndNonRevocableResources).
// The revocable part, of RevocableFlavour, is the first of the parts.
func SplitRiding(revocable Bundle, regular []Portion, need Bundle) (parts []Portion, short string) {
	need = need.positive()
	if need.Vector[CPU] > max(revocable.Vector[CPU], 0) {
		return nil, CPU.String()
	}
	var riding Bundle
	for k := range need.Vector {
		if need.Vector[k] <= revocable.Vector[k] {
			riding.Vector[k] = need.Vector[k]
		}
	}
	if revocable.Ports.Contains(need.Ports) {
		riding.Ports = need.Ports
	}
	for _, s := range need.Scalars {
		if s.Milli <= revocable.Scalars.Of(s.Name) {
			riding.Scalars = append(riding.Scalars, s)
		}
	}
	parts, short = Split(regular, need.Sub(riding))
	if short != "" {
		return nil, short
	}
	if riding.IsZero() {
		return parts, ""
	}
	return append([]Portion{{Flavour: RevocableFlavour, Bundle: riding}}, parts...), ""
}

// positive returns b without what is less than nothing.
func (b Bundle) positive() Bundle {
	if !b.AnyNegative() {
		return b
	}
	b.Vector = b.Vector.Max(Vector{})
	var scalars Scalars
	for _, s := range b.Scalars {
		if s.Milli > 0 {
			scalars = append(scalars, s)
		}
	}
	b.Scalars = scalars
	return b
}

// upTo returns as much of b as a pool has, nothing where either has less than that.
func (b *Bundle) upTo(pool *Bundle) Bundle {
	taken := Bundle{
		Vector: b.Vector.Min(pool.Vector).Max(Vector{}),
		Ports:  b.Ports.Intersect(pool.Ports),
	}
	for _, s := range b.Scalars {
		if milli := min(s.Milli, pool.Scalars.Of(s.Name)); milli > 0 {
			taken.Scalars = append(taken.Scalars, Scalar{s.Name, milli})
		}
	}
	return taken
}
