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

package claims

import (
	"maps"
	"slices"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// sums are what is counted of all claims, kept up to date so that reading them
// costs nothing.
type sums struct {
	phases map[Phase]int
	// held is the needs of the claims that Mesos may hold for us.
	held  resources.Vector
	roles map[string]*roleSum
	// tally may be nil.
	tally Tally
}

type roleSum struct {
	claims  int
	regular resources.Vector
}

func newSums(tally Tally) sums {
	return sums{phases: map[Phase]int{}, roles: map[string]*roleSum{}, tally: tally}
}

// Tally is told what Mesos counts against the quotas of roles; see
// Ledger.ClaimedOf.
type Tally interface {
	Add(role string, regular *resources.Bundle)
	Sub(role string, regular *resources.Bundle)
}

// add counts the claim as it is. It must be taken out by sub before anything that
// is counted of it changes.
func (s *sums) add(c *Claim) {
	s.phases[c.Phase]++
	if c.Phase.holds() {
		s.held = s.held.Add(c.Need.Vector)
	}
	r := s.roles[c.Role]
	if r == nil {
		r = &roleSum{}
		s.roles[c.Role] = r
	}
	r.claims++
	if regular := c.regular(); !regular.IsZero() {
		r.regular = r.regular.Add(regular.Vector)
		if s.tally != nil {
			s.tally.Add(c.Role, regular)
		}
	}
}

func (s *sums) sub(c *Claim) {
	s.phases[c.Phase]--
	if c.Phase.holds() {
		s.held = s.held.Sub(c.Need.Vector)
	}
	r := s.roles[c.Role]
	r.claims--
	if regular := c.regular(); !regular.IsZero() {
		r.regular = r.regular.Sub(regular.Vector)
		if s.tally != nil {
			s.tally.Sub(c.Role, regular)
		}
	}
	if r.claims == 0 {
		delete(s.roles, c.Role)
	}
}

func (s *sums) roleNames() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(s.roles)), func(role string) bool { return role == "" })
}

// regular is what the claim takes, or is promised, of unreserved and not
// revocable resources. It must not be changed.
func (c *Claim) regular() *resources.Bundle {
	switch {
	case !c.Phase.holds() && c.Phase != Reserved:
		return &nothing
	case c.Parts == nil:
		return &c.Need
	}
	var sum resources.Bundle
	for _, p := range c.Parts {
		if !p.Flavour.IsRevocable() && p.Flavour.Reserved() == nil {
			sum = sum.Add(p.Bundle)
		}
	}
	return &sum
}

var nothing resources.Bundle
