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

package terms

import (
	"slices"
	"strings"
	"time"
)

// Subscribed says that there is a subscription from now on, and what the SUBSCRIBE
// told of each role. heeded is false for a master too old for constraints: it is told
// none.
func (b *Book) Subscribed(told map[string]Terms, heeded bool, now time.Time) {
	b.connected, b.heeded, b.sent = true, heeded, nil
	for name, t := range told {
		if r := b.role(name); !heeded {
			t.Constraints = nil
			r.told = t
		} else {
			r.told = t
		}
	}
	for name, r := range b.roles {
		if _, ok := told[name]; !ok {
			r.told = Terms{}
		}
		r.by, r.unsure, r.retry = b.serial, kinds{}, time.Time{}
		b.follow(r, now)
	}
}

// Disconnected says that there is no subscription any more: nothing is due, and what
// was sent does not matter.
func (b *Book) Disconnected() { b.connected, b.sent = false, nil }

// Accepted says that the master took an update.
func (b *Book) Accepted(c *Change, now time.Time) {
	if !b.settle(c) {
		return
	}
	for name, t := range c.Terms {
		r := b.roles[name]
		if r == nil || r.by > c.serial {
			continue
		}
		r.told, r.by, r.unsure = t, c.serial, kinds{}
		if t.Constraints.Equal(b.current(r, now).Constraints) {
			r.urgent = false
		}
		b.follow(r, now)
	}
}

// Failed says that it is not known whether the master took an update. It is told again
// after a while.
func (b *Book) Failed(c *Change, now time.Time) {
	if !b.settle(c) {
		return
	}
	for name, changed := range c.changed {
		r := b.roles[name]
		if r == nil || r.by > c.serial {
			continue
		}
		for k := range changed {
			if changed[k] {
				r.unsure[k], r.retry = true, now.Add(b.cfg.RetryAfter)
			}
		}
	}
}

// Refused says that the master refused an update, or with nil a SUBSCRIBE, and with
// which text: it has what it had. The kind of terms that it names is left out for a
// while, for the role that it names; where it names none, for all.
func (b *Book) Refused(c *Change, text string, now time.Time) {
	if c != nil && !b.settle(c) {
		return
	}
	kinds := refusedKinds(text)
	names := b.named(text)
	for name, r := range b.roles {
		if len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		for k := range kinds {
			if kinds[k] {
				r.refused[k] = now.Add(b.cfg.RefusedFor)
			}
		}
		b.follow(r, now)
	}
}

// settle takes an update from those whose outcome is awaited, and tells whether it
// still matters.
func (b *Book) settle(c *Change) bool {
	i := slices.Index(b.sent, c)
	if i < 0 {
		return false
	}
	b.sent = slices.Delete(b.sent, i, i+1)
	return true
}

// refusedKinds returns which kind of terms a refusal is about; both if it does not
// say.
func refusedKinds(text string) kinds {
	lower := strings.ToLower(text)
	k := kinds{
		constraints: strings.Contains(lower, "constraint"),
		minimum:     strings.Contains(lower, "filter") || strings.Contains(lower, "quantit") || strings.Contains(lower, "allocatable"),
	}
	if k == (kinds{}) {
		return kinds{constraints: true, minimum: true}
	}
	return k
}

// named returns the roles that a text names, as words of their own.
func (b *Book) named(text string) (names []string) {
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" '\"`,;:()[]", r) })
	for name := range b.roles {
		if slices.Contains(words, name) || slices.Contains(words, name+".") {
			names = append(names, name)
		}
	}
	return names
}
