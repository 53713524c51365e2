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
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Role is what the master says of a role (HTTP /roles, member quota).
type Role struct {
	Name string
	// Limit, Guarantee and Consumed are amounts of Mesos scalars; ports have no
	// quota. Consumed counts the whole subtree of the role, and what is offered but
	// not accepted is not in it.
	Limit, Guarantee, Consumed resources.Bundle
	// Limited holds the Mesos names ("cpus", "mem", ...) of which the role has a
	// limit: one of 0 is a limit too.
	Limited map[string]bool
}

// hasQuota reports whether anything is limited or guaranteed.
func (r *Role) hasQuota() bool {
	return len(r.Limited) > 0 || !r.Guarantee.Vector.IsZero() || len(r.Guarantee.Scalars) > 0
}

// Limits is limits of a role in 1/1000 of the unit, by Mesos name. A name that is
// not there has no limit.
type Limits map[string]int64

// limits returns the role's limits.
func (r *Role) limits() Limits {
	limits := Limits{}
	for name, limited := range r.Limited {
		if limited {
			limits[name] = amountOf(&r.Limit, name)
		}
	}
	return limits
}

// amountOf returns the amount of a Mesos name in 1/1000 of its unit.
func amountOf(b *resources.Bundle, name string) int64 {
	if kind, ok := resources.KindOfMesos(name); ok {
		return b.Vector[kind]
	}
	return b.Scalars.Of(name)
}

// Top returns the top-level role of a role: the one whose quota holds for it.
func Top(role string) string {
	top, _, _ := strings.Cut(role, "/")
	return top
}

// Book holds the quotas of the last reading. The zero Book knows of none. Any
// number may read while one sets: readers take no lock and, while no role has a
// quota, do no more than load a pointer.
type Book struct{ last atomic.Pointer[reading] }

// reading is what the master said at a time. It is never changed.
type reading struct {
	at    time.Time
	trees map[string]*tree
}

// tree is a top-level role that has a quota.
type tree struct {
	role   Role
	limits Limits
	// limited tells the limited kinds, scalars the other limited names, ascending.
	limited [resources.NumKinds]bool
	scalars []string
	// others is what is consumed by whom we do not count. room is what the limits
	// leave of it, less than nothing if they are exceeded; it says nothing of what
	// has no limit.
	others, room resources.Bundle
}

// Set takes in a reading that the master was asked for at a time. ours is what we
// held then, by role, at best what was held both when the master was asked and when
// it answered; see Least. A claim that the master counted and ours does not makes
// the quota look fuller than it is until the next reading; one in ours that the
// master did not know of yet makes it look emptier.
//
// It returns the top-level roles that have more room than before, or no quota any
// more, ascending: pods that were refused may try again.
func (b *Book) Set(list []Role, ours map[string]resources.Bundle, at time.Time) (roomier []string) {
	sums := map[string]resources.Bundle{}
	for role, held := range ours {
		sums[Top(role)] = sums[Top(role)].Add(scalarsOf(held))
	}
	next := &reading{at: at, trees: map[string]*tree{}}
	for i := range list {
		// Roles below others have no quota in Mesos.
		if r := &list[i]; r.hasQuota() && Top(r.Name) == r.Name {
			next.trees[r.Name] = newTree(r, sums[r.Name])
		}
	}
	last := b.last.Swap(next)
	if last == nil {
		return nil
	}
	for name, was := range last.trees {
		if is := next.trees[name]; is == nil || is.roomierThan(was) {
			roomier = append(roomier, name)
		}
	}
	slices.Sort(roomier)
	return roomier
}

func newTree(r *Role, ours resources.Bundle) *tree {
	t := &tree{role: *r, limits: r.limits()}
	t.role.Limited = maps.Clone(r.Limited)
	for _, name := range slices.Sorted(maps.Keys(t.limits)) {
		if kind, ok := resources.KindOfMesos(name); ok {
			t.limited[kind] = true
		} else {
			t.scalars = append(t.scalars, name)
		}
	}
	consumed := scalarsOf(r.Consumed)
	t.others = atLeastNothing(consumed.Sub(ours))
	t.room = scalarsOf(r.Limit).Sub(t.others)
	return t
}

// scalarsOf leaves away the ports.
func scalarsOf(b resources.Bundle) resources.Bundle {
	b.Ports = nil
	return b
}

// atLeastNothing replaces negative amounts by nothing.
func atLeastNothing(b resources.Bundle) resources.Bundle {
	b.Vector = b.Vector.Max(resources.Vector{})
	var scalars resources.Scalars
	for _, s := range b.Scalars {
		if s.Milli > 0 {
			scalars = append(scalars, s)
		}
	}
	b.Scalars = scalars
	return b
}

// roomierThan reports whether some resource that was limited has more room now.
func (t *tree) roomierThan(was *tree) bool {
	for name := range was.limits {
		if _, limited := t.limits[name]; !limited || amountOf(&t.room, name) > amountOf(&was.room, name) {
			return true
		}
	}
	return false
}

// lack returns the first resource, named as Bundle.FirstShort names it, of which
// need is more than ours leaves of the limits, "" if there is none.
func (t *tree) lack(need, ours *resources.Bundle) string {
	left := t.room.Vector.Sub(ours.Vector)
	for k, limited := range t.limited {
		if limited && need.Vector[k] > 0 && need.Vector[k] > left[k] {
			return resources.Kind(k).String()
		}
	}
	for _, name := range t.scalars {
		if milli := need.Scalars.Of(name); milli > 0 && milli > t.left(name, ours) {
			return name
		}
	}
	return ""
}

// left returns what ours leaves of the limit of a name, perhaps less than nothing.
func (t *tree) left(name string, ours *resources.Bundle) int64 {
	left := t.room.Sub(*ours)
	return amountOf(&left, name)
}

// treeOf returns the tree of a role, nil if it has no quota.
func (b *Book) treeOf(role string) *tree {
	last := b.last.Load()
	if last == nil || len(last.trees) == 0 {
		return nil
	}
	return last.trees[Top(role)]
}

// Any reports whether any role has a quota.
func (b *Book) Any() bool {
	last := b.last.Load()
	return last != nil && len(last.trees) > 0
}

// ReadAt returns when the master was asked for the reading, zero before the first.
func (b *Book) ReadAt() time.Time {
	if last := b.last.Load(); last != nil {
		return last.at
	}
	return time.Time{}
}

// Check reports whether the quota of a role's tree has room for need, the
// unreserved, non-revocable part of what a pod needs, besides what we hold already.
// lack names the first resource that is short, as users of Kubernetes name it or as
// Mesos does. What is not needed never stands in the way, even above its limit.
func (b *Book) Check(role string, need *resources.Bundle, ours *Usage) (lack string, ok bool) {
	t := b.treeOf(role)
	if t == nil {
		return "", true
	}
	held := ours.OfTree(role)
	lack = t.lack(need, &held)
	return lack, lack == ""
}

// Reserve is Check, and adds need to ours at once if there is room: of two that ask
// for the last of a quota at one time, one gets it. Without a quota it adds too. The
// caller gives back by Usage.Sub.
func (b *Book) Reserve(role string, need *resources.Bundle, ours *Usage) (lack string, ok bool) {
	ours.mu.Lock()
	defer ours.mu.Unlock()
	if t := b.treeOf(role); t != nil {
		held := ours.held(role)
		if lack = t.lack(need, &held); lack != "" {
			return lack, false
		}
	}
	ours.add(role, need)
	return "", true
}

// Left returns what the quota of a role's tree leaves besides what we hold, never
// less than nothing, by the names that are limited. It is nil if nothing is.
func (b *Book) Left(role string, ours *Usage) Limits {
	t := b.treeOf(role)
	if t == nil || len(t.limits) == 0 {
		return nil
	}
	held := ours.OfTree(role)
	left := make(Limits, len(t.limits))
	for name := range t.limits {
		left[name] = max(t.left(name, &held), 0)
	}
	return left
}

// Explain says for people why a role's quota has no room for need, as in "Mesos
// quota of role eng: cpus 3 of 4 used, needs 2". If it has room, all that is limited
// and needed is told. It is "" if nothing is.
func (b *Book) Explain(role string, need *resources.Bundle, ours *Usage) string {
	t := b.treeOf(role)
	if t == nil {
		return ""
	}
	held := ours.OfTree(role)
	var short, all []string
	for _, name := range t.names() {
		milli := amountOf(need, name)
		if milli <= 0 {
			continue
		}
		used := t.others.Add(held)
		text := fmt.Sprintf("%s %s of %s used, needs %s", name, decimal(amountOf(&used, name)), decimal(t.limits[name]), decimal(milli))
		all = append(all, text)
		if milli > t.left(name, &held) {
			short = append(short, text)
		}
	}
	if len(short) == 0 {
		short = all
	}
	if len(short) == 0 {
		return ""
	}
	whose := t.role.Name
	if role != whose {
		whose += ", which holds for " + role + " too"
	}
	return "Mesos quota of role " + whose + ": " + strings.Join(short, "; ")
}

// names returns the limited names: the kinds in their order, then the others.
func (t *tree) names() []string {
	names := make([]string, 0, len(t.limits))
	for k, limited := range t.limited {
		if limited {
			names = append(names, resources.Kind(k).MesosName())
		}
	}
	return append(names, t.scalars...)
}
