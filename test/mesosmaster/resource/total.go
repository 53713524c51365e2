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

package resource

import "slices"

// Total is a running sum that is changed in place: what Add and Sub do to
// Resources without making a new list each time. The zero Total is empty.
type Total struct{ sum Resources }

// Add adds resources; ranges and items that are there already count once.
func (t *Total) Add(more Resources) {
	for i := range more {
		m := &more[i]
		if m.Empty() {
			continue
		}
		at := t.sum.Find(m)
		switch {
		case at < 0:
			t.sum = append(t.sum, *m)
		case m.Kind == Scalar:
			t.sum[at].Milli += m.Milli
		case m.Kind == RangeSet:
			if !t.sum[at].Ranges.Contains(m.Ranges) {
				t.sum[at].Ranges = t.sum[at].Ranges.Union(m.Ranges)
			}
		default:
			t.sum[at].Items = unionItems(t.sum[at].Items, m.Items)
		}
	}
}

// Sub takes resources away; what is not there is ignored.
func (t *Total) Sub(less Resources) {
	for i := range less {
		l := &less[i]
		at := t.sum.Find(l)
		if at < 0 || l.Empty() {
			continue
		}
		if l.Kind == Scalar && t.sum[at].Milli > l.Milli {
			t.sum[at].Milli -= l.Milli
			continue
		}
		rest := t.sum[at : at+1].Sub(less[i : i+1])
		if len(rest) == 0 {
			t.sum = slices.Delete(t.sum, at, at+1)
			continue
		}
		t.sum[at] = rest[0]
	}
}

// Resources is the sum at this moment.
func (t *Total) Resources() Resources { return t.sum.Clone() }
