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

package roles

import (
	"maps"
	"slices"
)

// search finds the roles that the master minds among those it refused together.
//
// A refusal of several roles says only that one of them at least is a culprit. A
// refused change costs nothing, an accepted one a broadcast, so each attempt is the
// largest that may well be accepted: all fresh roles, together with one part of a
// group under search. If the master refuses the two together, the fresh roles are
// tried without the part, so that a culprit holds up the innocent as little as it
// can, and then the part alone. Every answer narrows the search down.
type search struct {
	// groups are searched from the first on.
	groups []*group
	step   step
	// union is the last refused attempt that had both fresh roles and a part.
	union *attempt
}

// group is roles that are tried apart from fresh ones.
type group struct {
	roles []string
	// guilty is whether one of them at least is known to be a culprit.
	guilty bool
	// retry is whether all of them were refused before; such a group comes last.
	retry bool
	// blame is the refusal that put them here.
	blame blame
}

// blame is what the master said.
type blame struct {
	text string
	// permanent is whether waiting will hardly help.
	permanent bool
}

// step is what the next attempt consists of.
type step int

const (
	both step = iota
	freshAlone
	partAlone
)

// attempt is one change and what it is to find out.
type attempt struct {
	roles, removed []string
	// fresh and part are what it adds; part belongs to group.
	fresh, part []string
	group       *group
	// blame is the refusal, if it is refused.
	blame blame
}

func (a *attempt) change() *Change {
	added := slices.Concat(a.fresh, a.part)
	slices.Sort(added)
	return &Change{Roles: slices.Clone(a.roles), Added: added, Removed: slices.Clone(a.removed)}
}

// next returns what to add next: of the fresh roles, of the groups or of both.
func (s *search) next(fresh map[string]bool) *attempt {
	a := &attempt{}
	if len(s.groups) > 0 {
		a.group = s.groups[0]
		a.part = a.group.part()
	}
	if s.union != nil && s.union.group != a.group {
		s.restart()
	}
	if s.step == freshAlone && len(fresh) == 0 {
		s.step = partAlone
	}
	if s.step != partAlone || a.group == nil {
		a.fresh = slices.Sorted(maps.Keys(fresh))
	}
	if s.step == freshAlone {
		a.part, a.group = nil, nil
	}
	return a
}

// restart begins with an attempt of all again.
func (s *search) restart() {
	s.step, s.union = both, nil
}

// part is what to try of a group: half of it if the whole cannot succeed.
func (g *group) part() []string {
	if !g.guilty {
		return slices.Clone(g.roles)
	}
	return slices.Clone(g.roles[:(len(g.roles)+1)/2])
}

// push makes a group the last one, but before those that are tried once more.
func (s *search) push(g *group) {
	i := len(s.groups)
	for !g.retry && i > 0 && s.groups[i-1].retry {
		i--
	}
	s.groups = slices.Insert(s.groups, i, g)
}

// split leaves in a guilty group only the part that is known to be guilty. The rest
// may well be innocent and comes before it; it is returned.
func (s *search) split(g *group, part []string) *group {
	// A part is the first roles of its group.
	rest := &group{roles: slices.Clone(g.roles[len(part):]), retry: g.retry, blame: g.blame}
	g.roles = slices.Clone(part)
	s.groups = slices.Insert(s.groups, slices.Index(s.groups, g), rest)
	return rest
}

// forget takes a role out of a group for reasons of its own: whether the others are
// guilty is not known any more.
func (s *search) forget(g *group, role string) {
	g.guilty = false
	s.keep(func(r string) bool { return r != role })
	s.restart()
}

// keep leaves only the roles in the groups that pass.
func (s *search) keep(pass func(role string) bool) {
	for _, g := range s.groups {
		g.roles = slices.DeleteFunc(g.roles, func(role string) bool { return !pass(role) })
	}
	s.groups = slices.DeleteFunc(s.groups, func(g *group) bool { return len(g.roles) == 0 })
}
