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
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/allocator"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
)

const (
	manyAgents     = 10_000
	manyFrameworks = 100
	manyTasks      = 50_000
)

// manyRoles are the roles of 100 frameworks: some top-level ones with quota, some
// without, and some nested.
func manyRoles() (roles []string, quotas map[string]allocator.Quota) {
	quotas = map[string]allocator.Quota{}
	for i := range 10 {
		roles = append(roles, fmt.Sprint("team-", i), fmt.Sprint("eng/", i))
		if i < 4 {
			quotas[fmt.Sprint("team-", i)] = allocator.Quota{Limits: allocator.LimitsOf(map[string]int64{"cpus": 8_000_000, "mem": 16_000_000_000})}
		}
	}
	quotas["team-4"] = allocator.Quota{Guarantees: allocator.QuantitiesOf(map[string]int64{"cpus": 4_000_000})}
	return roles, quotas
}

// bigMaster has 10,000 agents and 100 frameworks that hold nothing.
func bigMaster(b *testing.B, agents int) (m *Master, now time.Time, ids []string) {
	roles, quotas := manyRoles()
	now = t0
	m = New(Config{Quotas: quotas}, now)
	for i := range agents {
		c := AgentConfig{
			Hostname: fmt.Sprintf("node-%05d", i), Resources: "cpus:16;mem:32768;disk:100000;ports:[31000-32000]",
			Attributes: map[string]string{"rack": fmt.Sprint(i / 40), "zone": fmt.Sprint(i % 3), "gen": "7"},
		}
		if i%20 == 0 {
			c.Resources += ";cpus(team-1):2;mem(team-1):1024"
		}
		if _, err := m.AddAgent(now, c); err != nil {
			b.Fatal(err)
		}
	}
	for i := range manyFrameworks {
		f := info(roles[i%len(roles)], roles[(7*i+3)%len(roles)])
		if f.Roles[0] == f.Roles[1] {
			f.Roles = f.Roles[:1]
		}
		m.Subscribe(now, fmt.Sprint("stream-", i), &scheduler.Call{Type: scheduler.Call_SUBSCRIBE, Subscribe: &scheduler.Call_Subscribe{FrameworkInfo: f}}, OfferConstraints{})
		ids = append(ids, fmt.Sprintf("%s-%04d", m.ID(), i))
	}
	return m, now, ids
}

// nextOffers lets the master run up to now and returns its OFFERS events.
func nextOffers(m *Master, now time.Time) (events []*scheduler.Event) {
	m.Advance(now)
	for _, o := range m.Drain() {
		if o.Event != nil && o.Event.Type == scheduler.Event_OFFERS {
			events = append(events, o.Event)
		}
	}
	return events
}

// call makes a call for a framework by its number.
func bigCall(b *testing.B, m *Master, now time.Time, i int, id string, call *scheduler.Call) {
	call.FrameworkID = &mesos.FrameworkID{Value: id}
	if r := m.Call(now, &Request{Call: call, HasType: true, Stream: fmt.Sprint("stream-", i), HasStream: true}); r.Status != 202 {
		b.Fatalf("%s: %v", call.Type, r)
	}
}

// fill starts tasks on every agent and acknowledges them, and lets every tenth
// offer of the rest be declined for an hour.
func fill(b *testing.B, m *Master, now time.Time, ids []string) time.Time {
	number := map[string]int{}
	for i, id := range ids {
		number[id] = i
	}
	started := 0
	for range 20 {
		if started == manyTasks {
			break
		}
		for _, e := range nextOffers(m, now) {
			for k := range e.Offers.Offers {
				o := &e.Offers.Offers[k]
				var cpus float64
				for j := range o.Resources {
					if o.Resources[j].Name == "cpus" && len(o.Resources[j].Reservations) == 0 {
						cpus = o.Resources[j].GetScalar().GetValue()
					}
				}
				a := &scheduler.Call_Accept{OfferIDs: []mesos.OfferID{o.ID}, Filters: &mesos.Filters{RefuseSeconds: ptrTo(0.0)}}
				launch := mesos.Offer_Operation{Type: mesos.Offer_Operation_LAUNCH, Launch: &mesos.Offer_Operation_Launch{}}
				for n := 0; n < 5 && cpus >= 1 && started < manyTasks; n++ {
					launch.Launch.TaskInfos = append(launch.Launch.TaskInfos, sleep(fmt.Sprint("task-", started), o, "cpus:1;mem:64"))
					started++
				}
				a.Operations = []mesos.Offer_Operation{launch}
				if started%10 == 0 {
					a.Filters.RefuseSeconds = ptrTo(3600.0)
				}
				i := number[o.FrameworkID.Value]
				bigCall(b, m, now, i, ids[i], &scheduler.Call{Type: scheduler.Call_ACCEPT, Accept: a})
			}
		}
		now = acknowledgeAll(b, m, now, number).Add(time.Second)
	}
	if started != manyTasks {
		b.Fatalf("%d tasks", started)
	}
	return now
}

// acknowledgeAll answers all status updates until none is left.
func acknowledgeAll(b *testing.B, m *Master, now time.Time, number map[string]int) time.Time {
	byStream := map[string]string{}
	for id, i := range number {
		byStream[fmt.Sprint("stream-", i)] = id
	}
	for {
		m.Advance(now)
		n := 0
		for _, o := range m.Drain() {
			if o.Event == nil || o.Event.Update == nil || o.Event.Update.Status.UUID == nil {
				continue
			}
			n++
			st := o.Event.Update.Status
			id := byStream[o.Stream]
			bigCall(b, m, now, number[id], id, &scheduler.Call{Type: scheduler.Call_ACKNOWLEDGE, Acknowledge: &scheduler.Call_Acknowledge{
				AgentID: *st.AgentID, TaskID: st.TaskID, UUID: st.UUID,
			}})
		}
		if n == 0 {
			return now
		}
	}
}

// One allocation run over 10,000 agents for 100 frameworks in 20 roles, with
// limits, a guarantee, reservations and decline filters, and the encoding of the
// OFFERS events it makes.
func BenchmarkAllocationRun(b *testing.B) {
	for _, tasks := range []bool{false, true} {
		m, now, ids := bigMaster(b, manyAgents)
		if tasks {
			now = fill(b, m, now, ids)
		}
		for _, media := range []string{"json", "protobuf"} {
			b.Run(fmt.Sprintf("tasks=%t/%s", tasks, media), func(b *testing.B) {
				b.ReportAllocs()
				offers, spent := 0, time.Duration(0)
				var took []time.Duration
				for range b.N {
					b.StopTimer()
					m.RescindAll(now)
					m.Drain()
					next, _ := m.Next()
					for next.Equal(now) {
						m.Advance(now)
						next, _ = m.Next()
					}
					now = now.Add(time.Second)
					runtime.GC()
					b.StartTimer()
					spent -= cpuTime(b)
					began := time.Now()
					offers = 0
					for _, e := range nextOffers(m, now) {
						offers += len(e.Offers.Offers)
						encodeBench(b, e, media)
					}
					took = append(took, time.Since(began))
					spent += cpuTime(b)
				}
				b.ReportMetric(float64(offers), "offers")
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "median-ms")
				b.ReportMetric(float64(took[0].Milliseconds()), "best-ms")
				b.ReportMetric(float64(spent.Milliseconds())/float64(b.N), "cpu-ms/op")
				if offers < manyAgents/2 {
					b.Fatalf("%d offers", offers)
				}
			})
		}
	}
}

// cpuTime is what the process has used: on a busy machine it says more than the
// clock.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func encodeBench(b *testing.B, e *scheduler.Event, media string) {
	var err error
	var out []byte
	if media == "json" {
		out, err = codec.MarshalJSON(e)
	} else {
		out, err = e.Marshal()
	}
	if err != nil || len(out) == 0 {
		b.Fatal(err)
	}
}

// What an agent and a running task cost in memory.
func BenchmarkMemory(b *testing.B) {
	heap := func() float64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return float64(s.HeapAlloc)
	}
	for range b.N {
		empty := heap()
		m, now, ids := bigMaster(b, manyAgents)
		m.RescindAll(now)
		m.Drain()
		agents := heap()
		now = fill(b, m, now, ids)
		m.RescindAll(now)
		m.Drain()
		tasks := heap()
		b.ReportMetric((agents-empty)/manyAgents, "B/agent")
		b.ReportMetric((tasks-agents)/manyTasks, "B/task")
		runtime.KeepAlive(m)
	}
}
