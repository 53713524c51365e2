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

package mesos_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/klog/v2/ktesting"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/detect"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// cache is a Handler that holds what a scheduler would: the valid offers and the

// last state of each task.

type cache struct {
	mu            sync.Mutex
	offers        map[string]offers.Offer
	states        map[string]claims.TaskStatus
	subscriptions []mesos.Subscription
	failed        []string
	reason        error
	inverse       map[string]mesos.InverseOffer
	// hold tells to hold the acknowledgements of ends back.
	hold bool
}

func newCache() *cache {
	return &cache{offers: map[string]offers.Offer{}, states: map[string]claims.TaskStatus{}, inverse: map[string]mesos.InverseOffer{}}
}

func (c *cache) Subscribed(s mesos.Subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subscriptions = append(c.subscriptions, s)
}

func (c *cache) Disconnected(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.offers)
	clear(c.inverse)
	c.reason = err
}

func (c *cache) Offers(list []offers.Offer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range list {
		c.offers[o.ID] = o
	}
}

func (c *cache) Rescinded(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.offers, id)
}

func (c *cache) Updated(s claims.TaskStatus) (hold bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.states[s.TaskID] = s
	return s.State.Terminal() && c.hold
}

func (c *cache) InverseOffers(list []mesos.InverseOffer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range list {
		c.inverse[o.ID] = o
	}
}

func (c *cache) InverseRescinded(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.inverse, id)
}

func (c *cache) Failed(agent, executor string, _ int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = append(c.failed, agent+"/"+executor)
}

func (c *cache) state(task string) claims.TaskState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.states[task].State
}

// on returns the valid offers of one host.

func (c *cache) on(host string) []offers.Offer {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []offers.Offer
	for _, o := range c.offers {
		if o.Hostname == host {
			out = append(out, o)
		}
	}
	return out
}

// ids is an IDStore in memory.

type ids struct {
	mu sync.Mutex
	id string
}

func (s *ids) Load(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id, nil
}

func (s *ids) Save(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id = id
	return nil
}

// instance is one running session against the emulated master.

type instance struct {
	*mesos.Session
	cache  *cache
	cancel context.CancelFunc
	result chan error
}

// static is a list of masters whose names need no resolving.
func static(addresses ...string) detect.Detector {
	d, err := detect.New(addresses, detect.Options{Resolve: func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }})
	if err != nil {
		panic(err)
	}
	return d
}

func run(t *testing.T, m *mesosmaster.Master, store *ids, change func(*mesos.Config)) *instance {
	t.Helper()
	cfg := mesos.Config{
		Masters:        static("mesos-master.invalid:5050"),
		Framework:      mesos.FrameworkInfo{Name: "kubernetes", User: "root", FailoverTimeout: time.Hour},
		Roles:          mesos.StaticRoles(nil, "k8s"),
		IDs:            store,
		BackoffInitial: 100 * time.Millisecond, BackoffMax: 2 * time.Second,
	}
	if change != nil {
		change(&cfg)
	}
	i := &instance{cache: newCache(), result: make(chan error, 1)}
	s, err := mesos.NewSession(cfg, i.cache, mesos.WithTransport(m.Transport()))
	if err != nil {
		t.Fatal(err)
	}
	i.Session = s
	_, ctx := ktesting.NewTestContext(t)
	ctx, i.cancel = context.WithCancel(ctx)
	go func() { i.result <- s.Run(ctx) }()
	return i
}

// stop ends the session by its context.

func (i *instance) stop(t *testing.T) {
	t.Helper()
	i.cancel()
	if err := <-i.result; err != nil {
		t.Errorf("Run returned %v", err)
	}
}

// launch starts one task on a host's offers.

func (i *instance) launch(t *testing.T, host, task string) {
	t.Helper()
	held := i.cache.on(host)
	if len(held) == 0 {
		t.Fatalf("no offer of %s", host)
	}
	l := mesos.Launch{AgentID: held[0].AgentID, Role: held[0].Role, Tasks: []mesos.Task{{
		ID: task, Name: task, Parts: []resources.Portion{{Bundle: resources.Bundle{Vector: resources.Vector{resources.CPU: 1500, resources.Memory: 256_000}}}}, Command: []string{"sleep", "infinity"},
		Labels: []mesos.Label{{Key: "pod", Value: task}},
	}}}
	for _, o := range held {
		l.OfferIDs = append(l.OfferIDs, o.ID)
	}
	// The offers are used up by the call, whatever comes of it.
	for _, id := range l.OfferIDs {
		i.cache.Rescinded(id)
	}
	if err := i.Accept(t.Context(), l); err != nil {
		t.Fatal(err)
	}
}

// emulated runs a test against an emulated master with two agents, on virtual

// time.

func emulated(t *testing.T, f func(t *testing.T, m *mesosmaster.Master)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := mesosmaster.New(mesosmaster.Config{Agents: []mesosmaster.AgentConfig{
			{Hostname: "node-1", Resources: "cpus:4;mem:8192;disk:10000;ports:[31000-32000]", Attributes: map[string]string{"rack": "r1"}},
			{Hostname: "node-2", Resources: "cpus:8;mem:16384;disk:10000"},
		}})
		defer m.Close()
		f(t, m)
		if err := m.CheckInvariants(); err != nil {
			t.Error(err)
		}
		if why := m.Crashed(); why != "" {
			t.Errorf("the master crashed: %s", why)
		}
	})
}

// after waits for virtual time to pass and everything to settle.

func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestTaskLifeAtTheEmulator(t *testing.T) {
	emulated(t, func(t *testing.T, m *mesosmaster.Master) {
		i := run(t, m, &ids{}, nil)
		after(3 * time.Second)
		one := i.cache.on("node-1")
		if len(one) != 1 || len(i.cache.on("node-2")) != 1 {
			t.Fatalf("offers are %v", i.cache.offers)
		}
		want := resources.Vector{resources.CPU: 4000, resources.Memory: 8_192_000, resources.Disk: 10_000_000}
		if one[0].Unreserved.Vector != want || one[0].Role != "k8s" {
			t.Errorf("offer is %+v", one[0])
		}
		i.launch(t, "node-1", "uid.1")
		after(3 * time.Second)
		if got := i.cache.state("uid.1"); got != claims.TaskRunning {
			t.Fatalf("the task is %s", got)
		}
		if got := m.Tasks(); len(got) != 1 || got[0].CPUs != 1.5 || got[0].Labels["pod"] != "uid.1" {
			t.Errorf("the master holds %+v", got)
		}
		rest := i.cache.on("node-1")
		if len(rest) == 0 || rest[len(rest)-1].Unreserved.Vector[resources.CPU] != 2500 {
			t.Errorf("the rest was not offered again: %v", rest)
		}
		if err := i.Kill(t.Context(), mesos.TaskRef{TaskID: "uid.1", AgentID: one[0].AgentID}); err != nil {
			t.Fatal(err)
		}
		// Longer than an agent waits to repeat an update.
		after(time.Minute)
		if got := i.cache.state("uid.1"); got != claims.TaskKilled {
			t.Errorf("the task is %s", got)
		}
		if got := m.Tasks(); len(got) != 0 {
			t.Errorf("the master still holds %+v: its last update was not acknowledged", got)
		}
		if s := i.Stats(); s.AcksFailed+s.AcksDropped+s.AcksImpossible != 0 || s.AcksSent < 3 {
			t.Errorf("stats are %+v", s)
		}
		for _, c := range m.Calls() {
			if c.Status != 200 && c.Status != 202 {
				t.Errorf("%s was answered %d", c.Type, c.Status)
			}
		}
		i.stop(t)
	})
}

func TestFirstSubscriptionAtTheEmulator(t *testing.T) {
	emulated(t, func(t *testing.T, m *mesosmaster.Master) {
		store := &ids{}
		i := run(t, m, store, func(c *mesos.Config) { c.Roles = mesos.StaticRoles(func() bool { return false }, "k8s") })
		after(5 * time.Second)
		fws := m.Frameworks()
		if len(fws) != 1 || fws[0].ID != store.id || store.id == "" || fws[0].FailoverTimeout != time.Hour || !slices.Equal(fws[0].SuppressedRoles, []string{"k8s"}) {
			t.Errorf("frameworks are %+v, stored is %q", fws, store.id)
		}
		if len(i.cache.offers) != 0 {
			t.Errorf("suppressed, but offered %v", i.cache.offers)
		}
		if err := i.Revive(t.Context()); err != nil {
			t.Fatal(err)
		}
		after(0)
		if len(i.cache.offers) != 2 {
			t.Errorf("offers after REVIVE: %v", i.cache.offers)
		}
		var held []string
		for id := range i.cache.offers {
			held = append(held, id)
		}
		if err := errors.Join(i.Suppress(t.Context()), i.Decline(t.Context(), held, time.Hour)); err != nil {
			t.Fatal(err)
		}
		after(time.Minute)
		if got := m.OutstandingOffers(); len(got) != 0 {
			t.Errorf("idle, but holding %v", got)
		}
		if err := i.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-i.result; err != nil {
			t.Error(err)
		}
		after(time.Second)
		if fws := m.Frameworks(); len(fws) != 1 || fws[0].Connected {
			t.Errorf("after Close the master holds %+v, want us disconnected", fws)
		}
	})
}

func TestTakeoverAtTheEmulator(t *testing.T) {
	emulated(t, func(t *testing.T, m *mesosmaster.Master) {
		store := &ids{}
		old := run(t, m, store, nil)
		after(2 * time.Second)
		old.launch(t, "node-1", "uid.1")
		after(2 * time.Second)
		young := run(t, m, store, nil)
		if err := <-old.result; !errors.Is(err, mesos.ErrFailedOver) {
			t.Errorf("the old instance ended with %v", err)
		}
		after(time.Minute)
		if got := len(young.cache.subscriptions); got != 1 || young.cache.subscriptions[0].FrameworkID != store.id {
			t.Errorf("the young instance has %+v", young.cache.subscriptions)
		}
		if err := young.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
		after(time.Second)
		if got := young.cache.state("uid.1"); got != claims.TaskRunning {
			t.Errorf("the task is %q for the young instance", got)
		}
		old.cancel()
		young.stop(t)
	})
}

func TestRemovalAtTheEmulator(t *testing.T) {
	emulated(t, func(t *testing.T, m *mesosmaster.Master) {
		store := &ids{}
		i := run(t, m, store, nil)
		after(2 * time.Second)
		i.stop(t)
		after(61 * time.Minute)
		late := run(t, m, store, nil)
		if err := <-late.result; !errors.Is(err, mesos.ErrFrameworkRemoved) || !strings.Contains(err.Error(), "Framework has been removed") {
			t.Errorf("Run returned %v", err)
		}
		if len(late.cache.subscriptions) != 0 || late.Status().State != mesos.StateRemoved {
			t.Errorf("status is %+v", late.Status())
		}
		late.cancel()
	})
}
