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
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// wanted is roles that a test changes.
type wanted struct {
	mu                sync.Mutex
	roles, suppressed []string
}

func (w *wanted) get() []mesos.RoleAsk {
	w.mu.Lock()
	defer w.mu.Unlock()
	return mesos.AskRoles(w.roles, w.suppressed)
}

func (w *wanted) set(roles, suppressed []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.roles, w.suppressed = roles, suppressed
}

// offeredRoles are the roles of the valid offers.
func (c *cache) offeredRoles() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, o := range c.offers {
		out = append(out, o.Role)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func TestRolesComeAndGo(t *testing.T) {
	emulated(t, func(t *testing.T, m *mesosmaster.Master) {
		i := run(t, m, &ids{}, nil)
		after(3 * time.Second)
		if got := i.cache.offeredRoles(); !slices.Equal(got, []string{"k8s"}) {
			t.Fatalf("offered to %q", got)
		}
		ctx := t.Context()
		expect := func(what string, roles ...string) {
			t.Helper()
			after(3 * time.Second)
			if got := i.cache.offeredRoles(); !slices.Equal(got, roles) {
				t.Errorf("%s: offered to %q, want %q", what, got, roles)
			}
		}
		if err := i.Suppress(ctx, "k8s"); err != nil {
			t.Fatal(err)
		}
		m.RescindAll()
		expect("suppressed")
		if err := i.UpdateRoles(ctx, mesos.AskRoles([]string{"k8s", "eng/ads"}, []string{"k8s"})); err != nil {
			t.Fatal(err)
		}
		expect("a role more", "eng/ads")
		if err := errors.Join(i.Revive(ctx, "eng/ads"), i.Suppress(ctx, "k8s", "eng/ads"), i.Revive(ctx, "eng/ads")); err != nil {
			t.Errorf("calls for the new role: %v", err)
		}
		if err := i.UpdateRoles(ctx, mesos.AskRoles([]string{"k8s"}, nil)); err != nil {
			t.Fatal(err)
		}
		expect("a role less, the other not suppressed", "k8s")
		var call *mesos.CallError
		if err := i.Revive(ctx, "eng/ads"); !errors.As(err, &call) || call.Sent {
			t.Errorf("REVIVE of a role that is gone: %v", err)
		}
		for _, roles := range [][]string{{"a//b"}, {"k8s", "-x"}, {"a b"}} {
			err := i.UpdateRoles(ctx, mesos.AskRoles(roles, nil))
			if !errors.As(err, &call) || !errors.Is(err, mesos.ErrRolesRefused) || call.Status != 400 || !strings.Contains(call.Body, "invalid role") || call.OutcomeUnknown() {
				t.Errorf("roles %q: %v", roles, err)
			}
		}
		for _, roles := range [][]string{{"a", "a"}, {""}} {
			if err := i.UpdateRoles(ctx, mesos.AskRoles(roles, nil)); !errors.As(err, &call) || call.Sent {
				t.Errorf("roles %q: %v", roles, err)
			}
		}
		expect("after refusals", "k8s")
		if err := i.Revive(ctx, "k8s"); err != nil || i.Status().State != mesos.StateSubscribed || len(i.cache.subscriptions) != 1 {
			t.Errorf("the refusals ended the subscription: %v, %+v", err, i.Status())
		}
		if err := i.UpdateRoles(ctx, mesos.AskRoles(nil, nil)); err != nil {
			t.Fatal(err)
		}
		expect("no roles")
		if fws := m.Frameworks(); len(fws) != 1 || fws[0].FailoverTimeout != time.Hour || len(fws[0].Roles) != 0 {
			t.Errorf("frameworks are %+v", fws)
		}
		i.stop(t)
	})
}

// TestRolesOfTheNextSubscription: it asks anew, and says what it got.
func TestRolesOfTheNextSubscription(t *testing.T) {
	emulated(t, func(t *testing.T, m *mesosmaster.Master) {
		w := &wanted{roles: []string{"a", "b"}, suppressed: []string{"b"}}
		i := run(t, m, &ids{}, func(c *mesos.Config) { c.Roles = w.get })
		after(3 * time.Second)
		if err := i.UpdateRoles(t.Context(), mesos.AskRoles([]string{"b"}, nil)); err != nil {
			t.Fatal(err)
		}
		w.set([]string{"c", "b"}, []string{"c"})
		if err := m.Faults().CutStream(i.Status().FrameworkID, false); err != nil {
			t.Fatal(err)
		}
		after(10 * time.Second)
		s := i.cache.subscriptions
		if len(s) != 2 || !reflect.DeepEqual(s[0].Roles, mesos.AskRoles([]string{"a", "b"}, []string{"b"})) ||
			!reflect.DeepEqual(s[1].Roles, mesos.AskRoles([]string{"c", "b"}, []string{"c"})) {
			t.Errorf("subscriptions are %+v", s)
		}
		if got := i.cache.offeredRoles(); !slices.Equal(got, []string{"b"}) {
			t.Errorf("offered to %q", got)
		}
		i.stop(t)
	})
}

// TestRefusedRolesAtTheEmulator: the owner is told, asks for fewer, and has offers.
func TestRefusedRolesAtTheEmulator(t *testing.T) {
	cfg := mesosmaster.Config{Roles: []string{"k8s", "eng"}, Agents: []mesosmaster.AgentConfig{{Hostname: "node-1", Resources: "cpus:4;mem:8192"}}}
	withMaster(t, cfg, func(t *testing.T, m *mesosmaster.Master) {
		w := &wanted{roles: []string{"k8s", "bad"}}
		i := run(t, m, &ids{}, func(c *mesos.Config) { c.Roles = w.get })
		after(5 * time.Second)
		i.cache.mu.Lock()
		reason := i.cache.reason
		i.cache.mu.Unlock()
		if !errors.Is(reason, mesos.ErrRolesRefused) || !strings.Contains(reason.Error(), "bad") {
			t.Errorf("the handler was told %v", reason)
		}
		w.set([]string{"k8s"}, nil)
		after(5 * time.Second)
		if got := i.cache.offeredRoles(); !slices.Equal(got, []string{"k8s"}) {
			t.Fatalf("offered to %q", got)
		}
		if err := i.UpdateRoles(t.Context(), mesos.AskRoles([]string{"k8s", "bad"}, nil)); !errors.Is(err, mesos.ErrRolesRefused) || !strings.Contains(err.Error(), "bad") {
			t.Errorf("a role that is not on the whitelist: %v", err)
		}
		m.Faults().FailNext("UPDATE_FRAMEWORK", 403, "")
		if err := i.UpdateRoles(t.Context(), mesos.AskRoles([]string{"k8s", "eng"}, nil)); !errors.Is(err, mesos.ErrRolesRefused) || i.Status().State != mesos.StateSubscribed {
			t.Errorf("a role that the principal may not have: %v, %+v", err, i.Status())
		}
		if err := i.UpdateRoles(t.Context(), mesos.AskRoles([]string{"k8s", "eng"}, nil)); err != nil {
			t.Error(err)
		}
		m.Faults().FailNext("UPDATE_FRAMEWORK", 403, "Framework is not subscribed")
		if err := i.UpdateRoles(t.Context(), mesos.AskRoles([]string{"k8s"}, nil)); err == nil || errors.Is(err, mesos.ErrRolesRefused) {
			t.Errorf("without a subscription: %v", err)
		}
		after(0)
		if got := i.Status().State; got != mesos.StateBackoff {
			t.Errorf("the session is %s", got)
		}
		i.stop(t)
	})
}

func TestQuotaAtTheEmulator(t *testing.T) {
	emulated(t, func(t *testing.T, m *mesosmaster.Master) {
		i := run(t, m, &ids{}, nil)
		after(3 * time.Second)
		i.launch(t, "node-1", "uid.1")
		after(3 * time.Second)
		ctx := t.Context()
		k8s := func() mesos.RoleUsage {
			t.Helper()
			list, err := i.Roles(ctx)
			if err != nil {
				t.Fatal(err)
			}
			n := slices.IndexFunc(list, func(u mesos.RoleUsage) bool { return u.Role == "k8s" })
			if n < 0 {
				t.Fatalf("roles are %+v", list)
			}
			return list[n]
		}
		if u := k8s(); u.Limited != nil || !u.Limit.IsZero() || u.Consumed.Vector != (resources.Vector{resources.CPU: 1500, resources.Memory: 256_000}) {
			t.Errorf("without a quota: %+v", u)
		}
		if err := i.UpdateQuota(ctx, "k8s", map[string]int64{"cpus": 2500, "mem": 1024_000, "gpus": 0, "bandwidth": 1500}, false); err != nil {
			t.Fatal(err)
		}
		if u := k8s(); len(u.Limited) != 4 || !u.Limited["gpus"] || u.Limited["disk"] || u.Limit.Vector != (resources.Vector{resources.CPU: 2500, resources.Memory: 1024_000}) ||
			u.Limit.Scalars.Of("bandwidth") != 1500 || !u.Guarantee.IsZero() {
			t.Errorf("with a quota: %+v", u)
		}
		var call *mesos.CallError
		for role, limit := range map[string]int64{"k8s": 1000, "eng/ads": 5000} {
			if err := i.UpdateQuota(ctx, role, map[string]int64{"cpus": limit}, false); !errors.As(err, &call) || call.Status != 400 || call.Body == "" || call.OutcomeUnknown() {
				t.Errorf("a limit of %d for %s: %v", limit, role, err)
			}
		}
		if u := k8s(); u.Limit.Vector[resources.CPU] != 2500 {
			t.Errorf("after a refusal: %+v", u)
		}
		if err := i.UpdateQuota(ctx, "k8s", map[string]int64{"cpus": 1000}, true); err != nil {
			t.Errorf("forced: %v", err)
		}
		if err := i.UpdateQuota(ctx, "k8s", nil, false); err != nil {
			t.Error(err)
		}
		if u := k8s(); u.Limited != nil {
			t.Errorf("after the reset: %+v", u)
		}
		for role, limits := range map[string]map[string]int64{"": nil, "k8s": {"cpus": -1}, "x": {"": 1}} {
			if err := i.UpdateQuota(ctx, role, limits, false); !errors.As(err, &call) || call.Sent {
				t.Errorf("limits %v of %q: %v", limits, role, err)
			}
		}
		i.stop(t)
	})
}

// TestQuotaNeedsCredentials: those that may subscribe need not be enough.
func TestQuotaNeedsCredentials(t *testing.T) {
	withMaster(t, mesosmaster.Config{Authentication: mesosmaster.Authentication{Readonly: true, Readwrite: true}}, func(t *testing.T, m *mesosmaster.Master) {
		i := run(t, m, &ids{}, nil)
		after(time.Second)
		_, agents := i.Agents(t.Context())
		_, roles := i.Roles(t.Context())
		for what, err := range map[string]error{"agents": agents, "roles": roles, "quota": i.UpdateQuota(t.Context(), "k8s", nil, false)} {
			if !errors.Is(err, mesos.ErrNotAllowed) || !strings.Contains(err.Error(), "401") || errors.Is(err, mesos.ErrNotSubscribed) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if i.Status().State != mesos.StateSubscribed {
			t.Errorf("status is %+v", i.Status())
		}
		i.stop(t)
	})
}
