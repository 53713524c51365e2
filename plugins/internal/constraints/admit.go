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

package constraints

import (
	"slices"

	"github.com/kube-mesos/kube-mesos/plugins/internal/terms"
)

// None are constraints that no agent meets: each has a host name.
func None() terms.Constraints {
	return terms.Constraints{{{Op: terms.NotExists}}}
}

// admits tells whether an agent meets one of the groups.
func admits(set terms.Constraints, a *Agent) bool {
	return len(set) == 0 || slices.ContainsFunc(set, func(g terms.Group) bool { return a.meets(g) })
}

// meets tells whether an agent meets a whole group.
func (a *Agent) meets(g terms.Group) bool {
	for i := range g {
		if !a.meetsOne(&g[i]) {
			return false
		}
	}
	return true
}

func (a *Agent) meetsOne(c *terms.Constraint) bool {
	value, there, text := a.Hostname, true, true
	if c.Attribute != "" {
		value, there = a.Text[c.Attribute]
		if !there && slices.Contains(a.NotText, c.Attribute) {
			there, text = true, false
		}
	}
	switch c.Op {
	case terms.Exists:
		return there
	case terms.NotExists:
		return !there
	case terms.Equals:
		return there && (!text || value == c.Value)
	case terms.NotEquals:
		return !there || !text || value != c.Value
	}
	return true
}
