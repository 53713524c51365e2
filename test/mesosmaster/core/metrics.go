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

package core

import (
	"net/url"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// Metrics is the body of GET /metrics/snapshot: the flat map of numbers whose
// names Mesos documents (docs/monitoring.md), as far as they mean something here.
func (m *Master) Metrics() map[string]float64 {
	out := map[string]float64{
		"master/elected": 1, "master/uptime_secs": m.now.Sub(m.begun).Seconds(), "master/outstanding_offers": float64(len(m.offers)),
		"master/operator_event_stream_subscribers": float64(len(m.watchers)),
		"registrar/log/recovered":                  1,
	}
	m.alloc.Metrics(out)
	for role, h := range m.knownRoles() {
		for _, q := range consumedQuota(h, role) {
			out["allocator/mesos/quota/roles/"+role+"/resources/"+q.Name+"/consumed"] = float64(q.Milli) / 1000
		}
	}
	m.agentMetrics(out)
	m.taskMetrics(out)
	for _, state := range []string{"connected", "disconnected", "active", "inactive"} {
		out["master/frameworks_"+state] = 0
	}
	for _, f := range m.frameworks {
		out["master/frameworks_"+pick(f.connected, "connected", "disconnected")]++
		out["master/frameworks_"+pick(f.active, "active", "inactive")]++
		f.metrics(out)
	}
	return out
}

func pick(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

func (m *Master) agentMetrics(out map[string]float64) {
	for _, state := range []string{"connected", "disconnected", "active", "inactive", "unreachable"} {
		out["master/slaves_"+state] = 0
	}
	var total, used resource.Resources
	for _, a := range m.order {
		out["master/slaves_"+pick(a.connected, "connected", "disconnected")]++
		out["master/slaves_"+pick(a.offerable(), "active", "inactive")]++
		total = total.Add(a.total)
		held := m.alloc.Held(a.id)
		for _, o := range a.offers {
			held = held.Sub(o.res.WithAlloc(""))
		}
		used = used.Add(held)
	}
	for _, l := range m.registry.lost {
		if !l.gone {
			out["master/slaves_unreachable"]++
		}
	}
	for _, name := range []string{"cpus", "mem", "disk", "gpus"} {
		all, held := plainScalar(total, name)
		_, heldNow := plainScalar(used, name)
		out["master/"+name+"_total"], out["master/"+name+"_revocable_total"] = all, held
		out["master/"+name+"_used"], out["master/"+name+"_revocable_used"] = firstOf(plainScalar(used, name)), heldNow
		out["master/"+name+"_percent"] = 0
		if all > 0 {
			out["master/"+name+"_percent"] = firstOf(plainScalar(used, name)) / all
		}
	}
}

func firstOf(a, _ float64) float64 { return a }

// plainScalar sums a scalar apart for regular and revocable resources.
func plainScalar(rs resource.Resources, name string) (regular, revocable float64) {
	for i := range rs {
		if rs[i].Name != name || rs[i].Kind != resource.Scalar {
			continue
		}
		if rs[i].Flavor.Revocable() {
			revocable += float64(rs[i].Milli) / 1000
		} else {
			regular += float64(rs[i].Milli) / 1000
		}
	}
	return regular, revocable
}

func stateName(s mesos.TaskState) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "TASK_"))
}

func (m *Master) taskMetrics(out map[string]float64) {
	for n := range mesos.TaskState_name {
		if s := mesos.TaskState(n); s != mesos.TASK_UNKNOWN {
			out["master/tasks_"+stateName(s)] = float64(m.stats.tasks[s])
		}
	}
	for _, f := range m.frameworks {
		for _, t := range f.tasks {
			if !terminal(t.state) {
				out["master/tasks_"+stateName(t.state)]++
			}
		}
		out["master/tasks_unreachable"] += float64(len(f.unreachable))
	}
}

func (f *framework) metrics(out map[string]float64) {
	p := "master/frameworks/" + url.QueryEscape(f.info.Name) + "/" + f.id + "/"
	out[p+"subscribed"] = 0
	if f.connected {
		out[p+"subscribed"] = 1
	}
	sum := func(kind string, counts map[string]int64) {
		total := int64(0)
		for name, n := range counts {
			out[p+kind+"/"+strings.ToLower(name)] = float64(n)
			total += n
		}
		out[p+kind] = float64(total)
	}
	sum("calls", f.stats.calls)
	sum("events", f.stats.events)
	out[p+"offers/sent"], out[p+"offers/accepted"] = float64(f.stats.sent), float64(f.stats.accepted)
	out[p+"offers/declined"], out[p+"offers/rescinded"] = float64(f.stats.declined), float64(f.stats.rescinded)
	for s, n := range f.stats.tasks {
		out[p+"tasks/terminal/"+s.String()] = float64(n)
	}
	active := map[mesos.TaskState]int{}
	for _, t := range f.tasks {
		active[t.state]++
	}
	for s, n := range active {
		out[p+"tasks/active/"+s.String()] = float64(n)
	}
	for r := range f.roles {
		out[p+"roles/"+r+"/suppressed"] = 0
		if f.suppressed[r] {
			out[p+"roles/"+r+"/suppressed"] = 1
		}
	}
}
