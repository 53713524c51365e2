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

package reservations

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// held is one reservation in the model's Mesos.
type held struct {
	owner Owner
	total int64
	used  bool
}

// model is a simple Mesos, a Kubernetes and the two around the registry: the caller
// and the controller.
type model struct {
	t   *testing.T
	rnd *rand.Rand
	now time.Time
	r   *Registry
	// reserved is what agents have, by agent and owner; away are those that are not
	// registered.
	reserved map[string]map[string]*held
	away     map[string]bool
	// offers are outstanding, by id, with what they hold.
	offers map[string]offerOf
	// lists were read and not told yet.
	lists []listOf
	// set is the StatefulSet, nil if there is none; claims and pods are there, pods
	// with the agent they run on.
	set    *appsv1.StatefulSet
	claims map[string]bool
	pods   map[string]*v1.Pod
	runsOn map[string]string
	serial int
	// released counts unreserved ones; lossy loses some calls.
	released int
	lossy    bool
}

type offerOf struct {
	agent    string
	portions []resources.Portion
}

type listOf struct {
	begun  time.Time
	agents []Agent
}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{
		t: t, rnd: rand.New(rand.NewPCG(seed, 7)), now: at(0), r: registry(), lossy: true,
		reserved: map[string]map[string]*held{}, away: map[string]bool{}, offers: map[string]offerOf{},
		claims: map[string]bool{}, pods: map[string]*v1.Pod{}, runsOn: map[string]string{},
	}
	for _, id := range []string{"a", "b", "c"} {
		m.reserved[id] = map[string]*held{}
	}
	m.newSet()
	return m
}

// key picks one key of a map, in an order that repeats.
func key[V any](m *model, from map[string]V) string {
	keys := slices.Sorted(maps.Keys(from))
	if len(keys) == 0 {
		return ""
	}
	return keys[m.rnd.IntN(len(keys))]
}

func (m *model) newSet() {
	m.serial++
	var templates []string
	if m.rnd.IntN(2) == 0 {
		templates = []string{"data", "log"}
	}
	m.set = setOf(types.UID(fmt.Sprint("u", m.serial)), templates...)
}

// reason is the truth about an owner.
func (m *model) reason(o Owner) Reason {
	why, err := judge(o, m.set, m.pods[o.Pod], func(name string) (bool, error) { return m.claims[name], nil })
	if err != nil {
		m.t.Fatal(err)
	}
	return why
}

// judgeAll does what the controller does at informer events.
func (m *model) judgeAll() {
	for _, o := range m.r.Owners(nil) {
		if why := m.reason(o); why != "" {
			m.r.Condemn(o.Key(), why, m.now)
		} else {
			m.r.Spare(o.Key())
		}
	}
}

// kubernetes changes something there.
func (m *model) kubernetes() {
	switch m.rnd.IntN(9) {
	case 0:
		if m.set = nil; m.rnd.IntN(2) == 0 {
			for name := range m.pods {
				m.endPod(name)
			}
		}
	case 1:
		if m.set == nil {
			m.newSet()
		}
	case 2:
		if m.set != nil {
			replicas := int32(m.rnd.IntN(4))
			m.set.Spec.Replicas = &replicas
		}
	case 3:
		if m.set != nil {
			startingAt(int32(m.rnd.IntN(2)), m.set)
		}
	case 4:
		delete(m.claims, key(m, m.claims))
	case 5:
		m.endPod(key(m, m.pods))
	default:
		m.startPod(int32(m.rnd.IntN(4)))
	}
	m.judgeAll()
}

func (m *model) endPod(name string) {
	if pod := m.pods[name]; pod != nil {
		owner, _ := OwnerOf(pod)
		if h := m.reserved[m.runsOn[name]][owner.Key()]; h != nil {
			h.used = false
		}
		delete(m.pods, name)
		delete(m.runsOn, name)
	}
}

// startPod does what the StatefulSet's controller, the scheduler and the master do.
func (m *model) startPod(ordinal int32) {
	name := fmt.Sprint("db-", ordinal)
	owner := ownerOf(name)
	if m.set == nil || m.pods[name] != nil || !m.r.Synced() {
		return
	}
	if owner.StatefulSetUID = m.set.UID; !inRange(owner, m.set) {
		return
	}
	for _, template := range m.set.Spec.VolumeClaimTemplates {
		m.claims[template.Name+"-"+name] = true
	}
	m.pods[name] = podOf("shop", name, "db", m.set.UID)
	m.r.Spare(owner.Key())
	agent, sticky := m.r.Where(owner.Key())
	if !sticky {
		agent = key(m, m.reserved)
	}
	if m.away[agent] {
		delete(m.pods, name)
		return
	}
	for id, o := range m.offers {
		if o.agent == agent {
			m.endOffer(id)
		}
	}
	h := m.reserved[agent][owner.Key()]
	if h == nil {
		h = &held{owner: owner, total: 1 + int64(m.rnd.IntN(3))}
		m.reserved[agent][owner.Key()] = h
	}
	h.used, m.runsOn[name] = true, agent
	m.r.Made(agent, portion(owner, h.total), m.now)
}

func (m *model) endOffer(id string) {
	delete(m.offers, id)
	m.r.OfferGone(id)
}

// read takes a list of agents that is told later.
func (m *model) read() {
	list := listOf{begun: m.now}
	m.pass()
	for _, id := range slices.Sorted(maps.Keys(m.reserved)) {
		if m.away[id] {
			continue
		}
		a := Agent{ID: id}
		for _, h := range m.reserved[id] {
			a.Reserved = append(a.Reserved, portion(h.owner, h.total))
			if h.used {
				a.Used = append(a.Used, portion(h.owner, h.total))
			}
		}
		list.agents = append(list.agents, a)
	}
	m.lists = append(m.lists, list)
}

func (m *model) tell() {
	if len(m.lists) > 0 {
		m.r.Listed(m.lists[0].begun, m.lists[0].agents)
		m.lists = m.lists[1:]
		m.judgeAll()
	}
}

// offer is what the master and the caller do about an agent that has no offer yet.
func (m *model) offer(agent string) {
	for _, o := range m.offers {
		if o.agent == agent {
			return
		}
	}
	if m.away[agent] {
		return
	}
	var free []resources.Portion
	for _, h := range m.reserved[agent] {
		if !h.used {
			free = append(free, portion(h.owner, h.total))
		}
	}
	m.serial++
	id := fmt.Sprint("o", m.serial)
	m.offers[id] = offerOf{agent, free}
	m.r.Offered(id, agent, free, m.now)
	m.judgeAll()
}

// use looks at what an offer in hand has to be given back.
func (m *model) use(id string) {
	o := m.offers[id]
	var back []resources.Portion
	for _, p := range o.portions {
		if m.r.Release(o.agent, p) {
			back = append(back, p)
		}
	}
	if len(back) == 0 && m.rnd.IntN(2) == 0 {
		return // kept
	}
	m.endOffer(id)
	for _, p := range back {
		m.unreserve(o.agent, p)
	}
}

func (m *model) unreserve(agent string, p resources.Portion) {
	owner, _ := Parse(p.Flavour, us)
	h := m.reserved[agent][owner.Key()]
	if h == nil || h.used {
		m.t.Fatalf("%s of %s is offered and not free", owner.Key(), agent)
	}
	others := 0
	for id, all := range m.reserved {
		if id != agent && all[owner.Key()] != nil {
			others++
		}
	}
	if m.reason(owner) == "" && others == 0 {
		m.t.Fatalf("%s of %s is given back although its owner lives", owner.Key(), agent)
	}
	m.r.Unreserved(agent, p, m.now)
	if !m.lossy || m.rnd.IntN(4) > 0 {
		delete(m.reserved[agent], owner.Key())
		m.released++
	}
}

// mesos changes which agents are there.
func (m *model) mesos() {
	agent := key(m, m.reserved)
	if m.away[agent] {
		delete(m.away, agent)
		return
	}
	m.away[agent] = true
	for name, where := range m.runsOn {
		if where == agent {
			m.endPod(name)
		}
	}
	for id, o := range m.offers {
		if o.agent == agent {
			m.endOffer(id)
		}
	}
	if m.rnd.IntN(2) == 0 {
		m.r.AgentGone(agent, m.now)
	}
	m.judgeAll()
}

func (m *model) restart() {
	m.r, m.offers, m.lists = registry(), map[string]offerOf{}, nil
}

func (m *model) pass() { m.now = m.now.Add(time.Duration(m.rnd.IntN(40000)) * time.Millisecond) }

func (m *model) step() {
	m.pass()
	switch n := m.rnd.IntN(100); {
	case n < 30:
		m.kubernetes()
	case n < 45:
		m.read()
	case n < 60:
		m.tell()
	case n < 75:
		m.offer(key(m, m.reserved))
	case n < 92:
		if id := key(m, m.offers); id != "" {
			m.use(id)
		}
	case n < 97:
		m.mesos()
	default:
		m.restart()
	}
}

// settle lets things be for half an hour in which no call is lost.
func (m *model) settle() {
	m.away, m.lossy = map[string]bool{}, false
	for range 30 {
		m.now = m.now.Add(time.Minute)
		m.read()
		for len(m.lists) > 0 {
			m.tell()
		}
		wanted := m.r.Wanted()
		for _, id := range slices.Sorted(maps.Keys(m.offers)) {
			m.use(id)
		}
		if wanted["eng"] {
			for _, agent := range slices.Sorted(maps.Keys(m.reserved)) {
				m.offer(agent)
			}
		}
	}
}

// living counts the reservations of owners that live.
func (m *model) living() map[string]int {
	count := map[string]int{}
	for _, all := range m.reserved {
		for _, h := range all {
			if m.reason(h.owner) == "" {
				count[h.owner.Key()]++
			}
		}
	}
	return count
}

func TestModel(t *testing.T) {
	released := 0
	for seed := range uint64(500) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := newModel(t, seed)
			for range 1000 {
				m.step()
			}
			before := m.living()
			m.settle()
			after := m.living()
			for key := range before {
				if after[key] == 0 {
					t.Errorf("%s lives and has lost its reservation", key)
				}
			}
			for agent, all := range m.reserved {
				for key, h := range all {
					if why := m.reason(h.owner); why != "" {
						t.Errorf("%s is on %s still (%s)", key, agent, why)
					}
					if used := m.reserved[m.runsOn[h.owner.Pod]][key]; used != nil && used.used && !h.used {
						t.Errorf("%s has a surplus on %s", key, agent)
					}
				}
			}
			if due := m.r.Due(); len(due) != 0 {
				t.Errorf("due for ever: %v", due)
			}
			released += m.released
		})
	}
	if released < 2000 {
		t.Errorf("only %d reservations were given back in all runs", released)
	}
}
