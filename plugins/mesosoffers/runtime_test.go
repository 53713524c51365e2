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

package mesosoffers

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	apiruntime "k8s.io/apimachinery/pkg/runtime"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config"
	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
)

func TestFactoryErrors(t *testing.T) {
	invalid := testArgs(t)
	invalid.Masters = nil
	secret := testArgs(t)
	secret.Masters = []string{"http://user:hunter2@master.example:5050"}
	for name, test := range map[string]struct {
		args apiruntime.Object
		want string
	}{
		"no args":            {nil, "MesosOffersArgs"},
		"args of another":    {&apiruntime.Unknown{}, "MesosOffersArgs"},
		"no masters":         {invalid, "masters"},
		"secret in a master": {secret, "masters"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewRuntime().New(context.Background(), test.args, newHandle(profile))
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), Name) {
				t.Errorf("error %v, want one about %q", err, test.want)
			}
		})
	}
}

func TestProfilesShareOneSession(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		second, err := w.runtime.New(context.Background(), testArgs(t), newHandle("second"))
		if err != nil {
			t.Fatal(err)
		}
		if second.(*Plugin).manager != w.manager || second.Name() != Name {
			t.Error("the second profile has a session of its own")
		}
		for scheduler, want := range map[string]bool{profile: true, "second": true, "default-scheduler": false} {
			if got := w.runtime.mine(podOf("p").SchedulerName(scheduler).Obj()); got != want {
				t.Errorf("pods of %s are ours: %v", scheduler, got)
			}
		}
		other := testArgs(t)
		other.Framework.Role = "other"
		if _, err := w.runtime.New(context.Background(), other, newHandle("third")); err == nil || !strings.Contains(err.Error(), "differ") {
			t.Errorf("a profile with other arguments: %v", err)
		}
	})
}

func TestSessionStartsWithTheFirstCycleOnlyWithoutAGate(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		// Nothing may start: there is no master to talk to.
		w.runtime.stopped = true
		w.runtime.onCycle()
		if w.runtime.led.Load() {
			t.Error("a gated runtime leads because of a cycle")
		}
		w.runtime.startOnCycle()
		w.runtime.onCycle()
		w.runtime.onCycle()
		if !w.runtime.led.Load() {
			t.Error("the first cycle does not make the runtime lead")
		}
	})
}

func TestReady(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.runtime
		if err := r.Ready(); err != nil {
			t.Errorf("a standby is not ready: %v", err)
		}
		r.led.Store(true)
		if err := r.Ready(); err == nil || !strings.Contains(err.Error(), string(mesos.StateStopped)) {
			t.Errorf("a leader without a subscription: %v", err)
		}
		r.fail(mesos.ErrFailedOver)
		r.fail(mesos.ErrFailedOver)
		if err := r.Ready(); !errors.Is(err, ErrTakenOver) {
			t.Errorf("an instance that was taken over: %v", err)
		}
		if err := <-r.Fatal(); !errors.Is(err, ErrTakenOver) {
			t.Errorf("Fatal: %v", err)
		}
	})
	unbuilt := NewRuntime()
	unbuilt.Lead()
	if err := unbuilt.Ready(); err == nil {
		t.Error("a leader without a session is ready")
	}
	if err := unbuilt.Stop(t.Context()); err != nil {
		t.Errorf("Stop of nothing: %v", err)
	}
}

func TestDebugPages(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.addNodes(2, all(lots))
		w.reserve(w.addPod(podOf("p").Obj()), "n0")
		pages := w.runtime.DebugHandler()
		get := func(path string, into any) string {
			t.Helper()
			rec := httptest.NewRecorder()
			pages.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
			if rec.Code != 200 || rec.Header().Get("Content-Type") != "application/json" {
				t.Fatalf("%s: %d, %s", path, rec.Code, rec.Header())
			}
			if err := json.Unmarshal(rec.Body.Bytes(), into); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			return rec.Body.String()
		}
		var whole map[string]any
		get(DebugPrefix, &whole)
		if whole["leads"] != false || whole["ready"] != "ok" || whole["session"] == nil || whole["state"] == nil {
			t.Errorf("%v", whole)
		}
		var session map[string]any
		get(DebugPrefix+"/session", &session)
		var offers struct {
			Held          int
			Agents, Roles []map[string]any
		}
		get(DebugPrefix+"/offers", &offers)
		var claims []map[string]any
		get(DebugPrefix+"/claims", &claims)
		var reserved []map[string]any
		get(DebugPrefix+"/reservations", &reserved)
		if reserved == nil || len(reserved) != 0 {
			t.Errorf("reservations %v, want an empty list", reserved)
		}
		if len(offers.Agents) != 2 || offers.Agents[0]["node"] != "n0" || len(claims) != 1 || claims[0]["pod"] != "ns/p" {
			t.Errorf("offers %v, claims %v", offers, claims)
		}
		if offers.Held != 2 || len(offers.Roles) != 1 || offers.Roles[0]["offersHeld"] != 2.0 || offers.Roles[0]["demand"] == nil {
			t.Errorf("offers %v", offers)
		}
		rec := httptest.NewRecorder()
		pages.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, DebugPrefix, nil))
		if rec.Code != 405 {
			t.Errorf("POST: %d", rec.Code)
		}
	})
	empty := httptest.NewRecorder()
	NewRuntime().DebugHandler().ServeHTTP(empty, httptest.NewRequest(http.MethodGet, DebugPrefix, nil))
	if empty.Code != 200 {
		t.Errorf("before the plugin is built: %d", empty.Code)
	}
}

func TestArgumentsReachTheManager(t *testing.T) {
	args := testArgs(t)
	args.Framework.Role, args.LaunchTimeout.Duration = "web/shop", 7*time.Second
	args.Offers.MaxTasksPerAccept = 3
	args.Claims.OnLost, args.Claims.ReacquireTimeout.Duration = config.OnClaimLostReacquire, time.Hour
	got := managerConfig(args, &nodeControllers{})
	if got.Roles.Default != "web/shop" || got.Subscriptions.Default != "web/shop" || got.Claims.LaunchTimeout != 7*time.Second || got.MaxTasks != 3 ||
		got.Demand.MaxHold != args.Offers.MaxHold.Duration || got.Linger != args.Offers.BatchLinger.Duration || got.PDBDeadline != args.Claims.PDBDeadline.Duration ||
		got.OnLost != claims.OnLostReacquire || got.Claims.ReacquireFor != time.Hour {
		t.Errorf("%+v", got)
	}
}

func TestLeadAndStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandle(profile)
		r := NewRuntime()
		built, err := r.New(t.Context(), testArgs(t), h)
		if err != nil {
			t.Fatal(err)
		}
		// The informers never start, so the session waits and is never opened.
		r.Lead()
		r.Lead()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := r.Stop(ctx); err != nil {
			t.Errorf("Stop: %v", err)
		}
		if all, suppressed := mesos.SplitRoles(built.(*Plugin).manager.SubscribeRoles()); len(suppressed) < len(all) {
			t.Error("a stopped manager wants offers")
		}
	})
}
