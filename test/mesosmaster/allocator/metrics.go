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

// Metrics adds what the allocator tells of itself, by the names of Mesos
// (allocator/mesos/metrics.cpp, sorter/drf/metrics.cpp).
func (a *Allocator) Metrics(out map[string]float64) {
	const prefix = "allocator/mesos/"
	out[prefix+"allocation_runs"] = float64(a.runs)
	out[prefix+"event_queue_dispatches"], out["allocator/event_queue_dispatches"] = 0, 0 // nothing waits
	var held Quantities
	for _, on := range a.order {
		held.grow(Scalars(on.taken))
	}
	for _, name := range []string{"cpus", "mem", "disk"} {
		out[prefix+"resources/"+name+"/total"] = units(a.total.Of(name))
		out[prefix+"resources/"+name+"/offered_or_allocated"] = units(held.Of(name))
	}
	for path, r := range a.tree.roles {
		out[prefix+"offer_filters/roles/"+path+"/active"] = float64(a.Filters(path))
		a.quotaMetrics(out, prefix+"quota/roles/"+path+"/resources/", r)
	}
	for path, n := range a.sorter.clients {
		out[prefix+"roles/"+path+"/shares/dominant"] = a.sorter.shareOf(n)
	}
}

func (a *Allocator) quotaMetrics(out map[string]float64, prefix string, r *role) {
	var holds Quantities
	if n := a.sorter.clients[r.path]; n != nil {
		holds = n.held.sum
	}
	for _, q := range r.quota.Guarantees {
		out[prefix+q.Name+"/guarantee"] = units(q.Milli)
		out[prefix+q.Name+"/offered_or_allocated"] = units(holds.Of(q.Name))
	}
	for _, q := range r.quota.Limits {
		out[prefix+q.Name+"/limit"] = units(q.Milli)
		out[prefix+q.Name+"/offered_or_allocated"] = units(holds.Of(q.Name))
	}
}

func units(milli int64) float64 { return float64(milli) / 1000 }
