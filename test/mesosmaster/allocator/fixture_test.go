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

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// world is an allocator with a clock that only moves when it is told to. Agents
// are visited in the order of their names.
type world struct {
	*Allocator
	t     testing.TB
	at    time.Time
	begun time.Time
}

func newWorld(t testing.TB, o Options) *world {
	w := &world{t: t, begun: time.Unix(1_000_000, 0)}
	w.at = w.begun
	if o.Interval == 0 {
		o.Interval = time.Second
	}
	if o.Shuffle == nil {
		o.Shuffle = func(names []string) { slices.Sort(names) }
	}
	w.Allocator = New(o, func() time.Time { return w.at }, rand.New(rand.NewPCG(1, 2)))
	return w
}

func parse(t testing.TB, text string) resource.Resources {
	rs, err := resource.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

// agent adds an agent whose id is its host name.
func (w *world) agent(name, resources string) {
	w.AddAgent(AgentInfo{ID: name, Hostname: name, Total: parse(w.t, resources)})
}

// agents adds agents a00, a01, … with 4 cpus and 4096 MB each.
func (w *world) agents(n int) {
	for i := range n {
		w.agent(fmt.Sprintf("a%02d", i), "cpus:4;mem:4096")
	}
}

// framework adds an active framework; capabilities are MULTI_ROLE,
// RESERVATION_REFINEMENT and those given.
func (w *world) framework(id string, roles string, capabilities ...mesos.FrameworkInfo_Capability_Type) {
	info := FrameworkInfo{ID: id, Capabilities: capable(capabilities...)}
	if roles != "" {
		info.Roles = strings.Split(roles, ",")
	}
	w.AddFramework(info)
	w.Activate(id)
}

func capable(more ...mesos.FrameworkInfo_Capability_Type) []mesos.FrameworkInfo_Capability {
	var list []mesos.FrameworkInfo_Capability
	for _, c := range append(more, mesos.FrameworkInfo_Capability_MULTI_ROLE, mesos.FrameworkInfo_Capability_RESERVATION_REFINEMENT) {
		list = append(list, mesos.FrameworkInfo_Capability{Type: c})
	}
	return list
}

// run makes the run that is due now, and checks the books after it.
func (w *world) run() Result {
	w.t.Helper()
	r := w.Run()
	if err := w.Check(); err != nil {
		w.t.Fatal(err)
	}
	return r
}

// pass lets the time pass and makes all runs that become due.
func (w *world) pass(d time.Duration) []Offer {
	w.t.Helper()
	end := w.at.Add(d)
	var out []Offer
	for {
		due, ok := w.Due()
		if !ok || due.After(end) {
			break
		}
		w.at = due
		out = append(out, w.run().Offers...)
	}
	w.at = end
	return out
}

// brief renders offers as "framework/role@agent resources", sorted.
func brief(offers []Offer) []string {
	out := []string{}
	for _, o := range offers {
		rs := o.Resources.WithAlloc("")
		slices.SortFunc(rs, func(x, y resource.Resource) int { return strings.Compare(x.String(), y.String()) })
		out = append(out, fmt.Sprintf("%s/%s@%s %s", o.Framework, o.Role, o.Agent, rs))
	}
	slices.Sort(out)
	return out
}

func (w *world) want(what string, got []Offer, want ...string) {
	w.t.Helper()
	if b := brief(got); !slices.Equal(b, want) {
		w.t.Fatalf("%s:\n got %s\nwant %s", what, strings.Join(b, "\n     "), strings.Join(want, "\n     "))
	}
}

// decline gives an offer back.
func (w *world) decline(o Offer, refusal time.Duration) {
	w.Recover(o.Framework, o.Agent, o.Resources, refusal)
}

func quantities(t testing.TB, text string) Quantities {
	if text == "" {
		return nil
	}
	return Scalars(parse(t, text))
}

func (w *world) quota(role, guarantees, limits string) {
	w.SetQuota(role, Quota{Guarantees: quantities(w.t, guarantees), Limits: Limits(quantities(w.t, limits))})
}

// revocable marks resources as revocable.
func revocable(t testing.TB, text string) resource.Resources {
	return flavored(t, text, func(r *mesos.Resource) { r.Revocable = &mesos.Resource_RevocableInfo{} })
}

// flavored makes resources of another flavour.
func flavored(t testing.TB, text string, change func(*mesos.Resource)) resource.Resources {
	var out resource.Resources
	for _, p := range parse(t, text).ToProto(resource.WireForm{Refined: true}) {
		change(&p)
		out = append(out, resource.FromProto(&p))
	}
	return out
}

// reserved reserves resources for a role by a stack of its ancestors' names.
func reserved(t testing.TB, text string, stack ...string) resource.Resources {
	return flavored(t, text, func(r *mesos.Resource) {
		for i := range stack {
			r.Reservations = append(r.Reservations, mesos.Resource_ReservationInfo{
				Type: mesos.Resource_ReservationInfo_DYNAMIC.Enum(), Role: &stack[i],
			})
		}
	})
}
