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
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// withMaster runs a test against an emulated master, on virtual time.
func withMaster(t *testing.T, cfg mesosmaster.Config, f func(t *testing.T, m *mesosmaster.Master)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := mesosmaster.New(cfg)
		defer m.Close()
		f(t, m)
		if err := m.CheckInvariants(); err != nil {
			t.Error(err)
		}
	})
}

func (c *cache) take(t *testing.T, host string) (ids []string, free resources.Bundle, special []resources.Portion, agent, role string) {
	t.Helper()
	held := c.on(host)
	if len(held) == 0 {
		t.Fatalf("no offer of %s", host)
	}
	for _, o := range held {
		ids = append(ids, o.ID)
		free = free.Add(o.Unreserved)
		for _, p := range o.Special {
			i := slices.IndexFunc(special, func(q resources.Portion) bool { return q.Flavour.Equal(p.Flavour) })
			if i < 0 {
				special = append(special, p)
			} else {
				special[i].Bundle = special[i].Bundle.Add(p.Bundle)
			}
		}
		c.Rescinded(o.ID)
	}
	return ids, free, special, held[0].AgentID, held[0].Role
}

func task(id string, parts ...resources.Portion) mesos.Task {
	return mesos.Task{ID: id, Name: id, Parts: parts, Command: []string{"sleep", "infinity"}}
}

func bundle(cpu, mem int64, ports ...resources.Range) resources.Bundle {
	return resources.Bundle{Vector: resources.Vector{resources.CPU: cpu, resources.Memory: mem}, Ports: resources.NewRanges(ports...)}
}

// flavour is the portion that people know by some words.
func flavour(t *testing.T, list []resources.Portion, words string) resources.Portion {
	t.Helper()
	for _, p := range list {
		if strings.Contains(p.Flavour.String(), words) {
			return p
		}
	}
	t.Fatalf("no resources that are %s among %v", words, list)
	return resources.Portion{}
}

func TestFlavoursAtTheEmulator(t *testing.T) {
	cfg := mesosmaster.Config{Agents: []mesosmaster.AgentConfig{{
		Hostname: "node-1", OversubscribedInterval: time.Second,
		Resources: "cpus(eng):2;mem(eng):1024;cpus:4;mem:8192;disk:10000;ports:[31000-31010];bandwidth:7.5;set:{a,b}",
	}}}
	withMaster(t, cfg, func(t *testing.T, m *mesosmaster.Master) {
		if err := m.SetEstimate("node-1", "cpus:3"); err != nil {
			t.Fatal(err)
		}
		i := run(t, m, &ids{}, func(c *mesos.Config) {
			c.Roles, c.Framework.Revocable = mesos.StaticRoles(nil, "eng"), true
		})
		after(3 * time.Second)
		offered, free, special, agent, role := i.cache.take(t, "node-1")
		want := bundle(4000, 8192000, resources.Range{Begin: 31000, End: 31010})
		want.Vector[resources.Disk], want.Scalars = 10000000, resources.Scalars{{Name: "bandwidth", Milli: 7500}}
		if !free.Equal(&want) || len(special) != 2 {
			t.Fatalf("free are %v and %v, want %v", free, special, want)
		}
		static, revocable := flavour(t, special, "reserved for eng (static)"), flavour(t, special, "revocable")
		if b := bundle(2000, 1024000); !static.Bundle.Equal(&b) {
			t.Errorf("reserved are %v", static.Bundle)
		}
		if b := bundle(3000, 0); !revocable.Bundle.Equal(&b) {
			t.Errorf("revocable are %v", revocable.Bundle)
		}
		port := resources.Range{Begin: 31005, End: 31006}
		rest := bundle(0, 500, port)
		rest.Scalars = resources.Scalars{{Name: "bandwidth", Milli: 2500}}
		if err := i.Accept(t.Context(), mesos.Launch{OfferIDs: offered, AgentID: agent, Role: role, Tasks: []mesos.Task{
			task("mixed", resources.Portion{Flavour: static.Flavour, Bundle: bundle(1500, 1024000)}, resources.Portion{Bundle: rest}),
			task("rides", resources.Portion{Flavour: resources.RevocableFlavour, Bundle: bundle(2000, 0)}, resources.Portion{Bundle: bundle(0, 64000)}),
			// The flavour is not the one offered: there are no such resources.
			task("wrong", resources.Portion{Flavour: &resources.Flavour{Reservations: []resources.Reservation{{Role: "eng", Dynamic: true}}}, Bundle: bundle(100, 32000)}),
			task("half", resources.Portion{Bundle: resources.Bundle{Vector: resources.Vector{resources.CPU: 100, resources.Memory: 32000, resources.GPU: 500}}}),
		}}); err != nil {
			t.Fatal(err)
		}
		after(3 * time.Second)
		for id, state := range map[string]claims.TaskState{"mixed": claims.TaskRunning, "rides": claims.TaskRunning, "wrong": claims.TaskError, "half": claims.TaskError} {
			if got := i.cache.state(id); got != state {
				t.Errorf("task %s is %s, want %s: %s", id, got, state, i.cache.states[id].Message)
			}
		}
		_, free, special, _, _ = i.cache.take(t, "node-1")
		left := want.Sub(rest).Sub(bundle(0, 64000))
		if b, got := bundle(500, 0), flavour(t, special, "static").Bundle; !free.Equal(&left) || !got.Equal(&b) {
			t.Errorf("left are %v and %v", free, special)
		}
		if b, got := bundle(1000, 0), flavour(t, special, "revocable").Bundle; !got.Equal(&b) {
			t.Errorf("left are %v", special)
		}
		agents, err := i.Agents(t.Context())
		if err != nil || len(agents) != 1 || len(agents[0].Reserved) != 1 || len(agents[0].Used) != 1 {
			t.Fatalf("agents are %+v, %v", agents, err)
		}
		if all, used := agents[0].Reserved[0], agents[0].Used[0]; all.Role != "eng" || !all.Flavour.Equal(static.Flavour) || !all.Bundle.Equal(&static.Bundle) ||
			!used.Flavour.Equal(static.Flavour) || used.Bundle.Vector[resources.CPU] != 1500 {
			t.Errorf("reserved are %v, of which %v are used", all, used)
		}
		i.stop(t)
	})
}

func TestCapabilitiesAtTheEmulator(t *testing.T) {
	cfg := mesosmaster.Config{Agents: []mesosmaster.AgentConfig{
		{Hostname: "node-1", OversubscribedInterval: time.Second, Resources: "cpus:4;mem:8192"},
		{Hostname: "gpu-1", Resources: "cpus:4;mem:8192;gpus:2"},
	}}
	for _, all := range []bool{false, true} {
		withMaster(t, cfg, func(t *testing.T, m *mesosmaster.Master) {
			if err := m.SetEstimate("node-1", "cpus:3"); err != nil {
				t.Fatal(err)
			}
			i := run(t, m, &ids{}, func(c *mesos.Config) { c.Framework.GPUs, c.Framework.Revocable = all, all })
			after(3 * time.Second)
			revocable := slices.ContainsFunc(i.cache.on("node-1"), func(o offers.Offer) bool { return len(o.Special) > 0 })
			gpus := slices.ContainsFunc(i.cache.on("gpu-1"), func(o offers.Offer) bool { return o.Unreserved.Vector[resources.GPU] == 2000 })
			if len(i.cache.on("node-1")) == 0 || revocable != all || gpus != all {
				t.Errorf("with the capabilities: %v; offered are revocable resources: %v, gpus: %v", all, revocable, gpus)
			}
			i.stop(t)
		})
	}
}

// TestReservationsAtTheEmulator: made with the first launch, found again by the
// second, ended.
func TestReservationsAtTheEmulator(t *testing.T) {
	cfg := mesosmaster.Config{Agents: []mesosmaster.AgentConfig{{Hostname: "node-1", Resources: "cpus:4;mem:8192;ports:[31000-31010]"}}}
	withMaster(t, cfg, func(t *testing.T, m *mesosmaster.Master) {
		i := run(t, m, &ids{}, func(c *mesos.Config) { c.Framework.Principal = "kube" })
		after(3 * time.Second)
		need := bundle(1000, 512000, resources.Range{Begin: 31001, End: 31001})
		sticky := resources.Portion{Bundle: need, Flavour: &resources.Flavour{Reservations: []resources.Reservation{
			{Role: "k8s", Dynamic: true, Labels: []resources.Label{{Key: "pod", Value: "web-0"}}},
		}}}
		offered, all, _, agent, role := i.cache.take(t, "node-1")
		launch := mesos.Launch{OfferIDs: offered, AgentID: agent, Role: role, Reserve: []resources.Portion{sticky}, Tasks: []mesos.Task{task("uid.1", sticky)}}
		if err := i.Accept(t.Context(), launch); err != nil {
			t.Fatal(err)
		}
		after(3 * time.Second)
		if got := i.cache.state("uid.1"); got != claims.TaskRunning {
			t.Fatalf("the task is %s: %s", got, i.cache.states["uid.1"].Message)
		}
		if err := i.Kill(t.Context(), mesos.TaskRef{TaskID: "uid.1", AgentID: agent}); err != nil {
			t.Fatal(err)
		}
		after(3 * time.Second)
		offered, _, special, _, _ := i.cache.take(t, "node-1")
		kept := flavour(t, special, "reserved for k8s (dynamic, by kube, pod=web-0)")
		if !kept.Bundle.Equal(&need) || kept.Flavour.Wire == "" {
			t.Fatalf("kept are %+v", kept)
		}
		agents, err := i.Agents(t.Context())
		if err != nil || len(agents[0].Reserved) != 1 || !agents[0].Reserved[0].Flavour.Equal(kept.Flavour) || len(agents[0].Used) != 0 {
			t.Errorf("agents are %+v, %v", agents, err)
		}
		if err := i.Accept(t.Context(), mesos.Launch{OfferIDs: offered, AgentID: agent, Role: role, Tasks: []mesos.Task{task("uid.2", kept)}}); err != nil {
			t.Fatal(err)
		}
		after(3 * time.Second)
		if got := i.cache.state("uid.2"); got != claims.TaskRunning {
			t.Fatalf("the second task is %s: %s", got, i.cache.states["uid.2"].Message)
		}
		if err := i.Kill(t.Context(), mesos.TaskRef{TaskID: "uid.2", AgentID: agent}); err != nil {
			t.Fatal(err)
		}
		after(3 * time.Second)
		offered, _, special, _, _ = i.cache.take(t, "node-1")
		if err := i.Unreserve(t.Context(), mesos.UnreserveCall{OfferIDs: offered, AgentID: agent, Role: role, Portions: []resources.Portion{flavour(t, special, "web-0")}}); err != nil {
			t.Fatal(err)
		}
		after(3 * time.Second)
		if _, free, special, _, _ := i.cache.take(t, "node-1"); len(special) != 0 || !free.Equal(&all) {
			t.Errorf("after the end of the reservation free are %v and %v", free, special)
		}
		i.stop(t)
	})
}
