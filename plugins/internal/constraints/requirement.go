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
	"encoding/json"
	mathbits "math/bits"
	"slices"

	v1 "k8s.io/api/core/v1"
	corev1 "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/kube-mesos/kube-mesos/plugins/internal/terms"
)

// requirement is what some pods require of their node, ready to be judged by.
type requirement struct {
	key         string
	tolerations []v1.Toleration
	// units are alternatives.
	units []*unit
	// used is when it was last used, as the compiler counts uses.
	used uint64
}

// unit is one alternative of a requirement: the node selector with one term of the
// required node affinity.
type unit struct {
	of       *requirement
	affinity nodeaffinity.RequiredNodeAffinity
	// groups are what the unit asks of agents' attributes; nil if nothing.
	groups []terms.Group
	// judged are the nodes, by slot, of which it is known whether they match, match
	// those that do.
	judged, match bits
}

// newRequirement makes a requirement of its key.
func newRequirement(key string) *requirement {
	var s spec
	if key != "" && json.Unmarshal([]byte(key), &s) != nil {
		// No key of ours: whoever has it shall not miss anything.
		s = spec{Tolerations: []v1.Toleration{{Operator: v1.TolerationOpExists}}}
	}
	r := &requirement{key: key, tolerations: slices.Concat(defaultTolerations, s.Tolerations)}
	for _, pod := range s.pods() {
		r.units = append(r.units, &unit{of: r, affinity: nodeaffinity.GetRequiredNodeAffinity(pod), groups: attributeGroups(pod)})
	}
	return r
}

// requirement returns the requirement with a key, and keeps it ready.
func (c *Compiler) requirement(key string) *requirement {
	r := c.requirements[key]
	if r == nil {
		r = newRequirement(key)
		c.keep(r)
	}
	c.uses++
	r.used = c.uses
	return r
}

// keep keeps a new requirement, and forgets those not used for longest if there are
// too many.
func (c *Compiler) keep(r *requirement) {
	if len(c.requirements) >= c.cfg.MaxKeys {
		uses := make([]uint64, 0, len(c.requirements))
		for _, other := range c.requirements {
			uses = append(uses, other.used)
		}
		slices.Sort(uses)
		for key, other := range c.requirements {
			if other.used <= uses[len(uses)/2] {
				delete(c.requirements, key)
			}
		}
	}
	c.requirements[r.key] = r
}

// forget makes a node be judged anew.
func (c *Compiler) forget(slot int) {
	for _, r := range c.requirements {
		for _, u := range r.units {
			u.judged.clear(slot)
			u.match.clear(slot)
		}
	}
}

func (r *requirement) matches(n *node) bool {
	for _, u := range r.units {
		if u.matches(n) {
			return true
		}
	}
	return false
}

// judgeAll judges all nodes that were not yet, and returns those that match.
func (u *unit) judgeAll(live bits, slots []*node) bits {
	for w, word := range live {
		if w < len(u.judged) {
			word &^= u.judged[w]
		}
		for ; word != 0; word &= word - 1 {
			u.matches(slots[w<<6+mathbits.TrailingZeros64(word)])
		}
	}
	return u.match
}

// matches judges a node, once until it changes.
func (u *unit) matches(n *node) bool {
	if u.judged.has(n.slot) {
		return u.match.has(n.slot)
	}
	u.judged.set(n.slot)
	if !u.judge(n.object) {
		return false
	}
	u.match.set(n.slot)
	return true
}

func (u *unit) judge(object *v1.Node) bool {
	for i := range object.Spec.Taints {
		if !corev1.TolerationsTolerateTaint(u.of.tolerations, &object.Spec.Taints[i]) {
			return false
		}
	}
	// A term that does not parse matches nothing; the scheduler sees it so as well.
	match, _ := u.affinity.Match(object)
	return match
}

// bits is a set of small numbers.
type bits []uint64

func (b bits) has(i int) bool { return i>>6 < len(b) && b[i>>6]&(1<<(i&63)) != 0 }

func (b *bits) set(i int) {
	for i>>6 >= len(*b) {
		*b = append(*b, 0)
	}
	(*b)[i>>6] |= 1 << (i & 63)
}

// add adds another set.
func (b *bits) add(other bits) {
	for len(*b) < len(other) {
		*b = append(*b, 0)
	}
	for w, word := range other {
		(*b)[w] |= word
	}
}

func (b bits) count() (count int) {
	for _, word := range b {
		count += mathbits.OnesCount64(word)
	}
	return count
}

func (b bits) clear(i int) {
	if i>>6 < len(b) {
		b[i>>6] &^= 1 << (i & 63)
	}
}
