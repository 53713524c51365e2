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

package conformance

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// A real master visits the agents in random order in each allocation run, and at
// each agent serves the role, then the framework, of the smallest share; of equal
// ones, that with fewer allocations so far, then the first by name. So the recorded
// offers of a run tell what the order was. The replay guesses it: the first agent
// of each role in the order of the roles' names, then their second agents. Where
// that is wrong, visits names the order, by the line of the run's first recorded
// offers; TestVisits -search finds it.
var visits = map[string]map[int]string{
	"01-subscribe": {37: "node-1 node-2"},
	"17-quota":     {82: "node-2 node-1"},
	"10-roles":     {14: "node-2 node-1 node-3", 63: "node-1 node-3 node-2"},
}

// grant is one recorded offer of a run.
type grant struct {
	role, conn, host string
	nth, line        int // of the role's offers
}

// grantsAt collects the recorded offers of a run, first those of the role that
// comes first by name.
func (r *replay) grantsAt(now time.Time) []grant {
	var grants []grant
	for _, l := range r.lines {
		at := r.moment(l)
		if at.After(now.Add(tolTick)) {
			break
		}
		if at.Before(now.Add(-10*time.Millisecond)) || l.Kind != "event" || l.eventType() != "OFFERS" {
			continue
		}
		for _, o := range offerList(l.event) {
			g := grant{role: memberText(o, "allocation_info", "role"), conn: l.Conn, host: memberText(o, "hostname"), line: l.Number}
			for _, was := range grants {
				if was.role == g.role && was.conn == g.conn {
					g.nth++
				}
			}
			grants = append(grants, g)
		}
	}
	slices.SortStableFunc(grants, func(a, b grant) int {
		return cmp.Or(cmp.Compare(a.nth, b.nth), cmp.Compare(a.role, b.role), cmp.Compare(a.conn, b.conn))
	})
	return grants
}

// shuffle puts host names into the order in which the recorded master visited
// them in the run that happens now.
func (r *replay) shuffle(names []string) {
	grants := r.grantsAt(time.Now())
	rank, first := map[string]int{}, 0
	for i, g := range grants {
		if _, ok := rank[g.host]; !ok {
			rank[g.host] = i - len(grants)
		}
		if first == 0 || g.line < first {
			first = g.line
		}
	}
	if pinned, ok := r.visits[first]; ok {
		for i, host := range strings.Fields(pinned) {
			rank[host] = i - len(r.hosts)
		}
	}
	slices.Sort(names)
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(rank[a], rank[b]) })
}
