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

package mesos

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mesosv1 "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

func TestFirstSubscriptionStoresTheIDBeforeAnythingElse(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m := newFakeMaster(t, n, "m1:5050")
		r := newRig(t, n, testConfig("m1"), func(r *rig, _ *Config) {
			r.ids.id = ""
			r.ids.onSave = func() {
				if got := r.handler.text(); got != "" {
					t.Errorf("the handler was told %q before the FrameworkID was stored", got)
				}
				if calls := m.seen(); len(calls) != 1 {
					t.Errorf("%d calls were made before the FrameworkID was stored, want SUBSCRIBE alone", len(calls))
				}
			}
			r.handler.onSubscribed = func(Subscription) {
				if r.ids.id != "fw-0" {
					t.Errorf("stored FrameworkID is %q when the handler is told", r.ids.id)
				}
			}
		}).start()
		st := <-m.streams
		info := st.call.Subscribe.FrameworkInfo
		if info.ID != nil || st.call.FrameworkID != nil {
			t.Errorf("the first SUBSCRIBE carries an id: %v, %v", info.ID, st.call.FrameworkID)
		}
		if got := info.GetFailoverTimeout(); got != 60 {
			t.Errorf("failover_timeout of the first SUBSCRIBE is %v s, want 60", got)
		}
		st.send(subscribedEvent("fw-0"), heartbeatEvent())
		synctest.Wait()
		r.handler.wants(t, "subscribed fw-0 at m1:5050")
		updates := m.seen(scheduler.Call_UPDATE_FRAMEWORK)
		if len(updates) != 1 {
			t.Fatalf("%d UPDATE_FRAMEWORK, want 1", len(updates))
		}
		u := updates[0].UpdateFramework
		if u.FrameworkInfo.ID.GetValue() != "fw-0" || updates[0].FrameworkID.GetValue() != "fw-0" ||
			u.FrameworkInfo.GetFailoverTimeout() != (7*24*time.Hour).Seconds() || !slices.Equal(u.SuppressedRoles, []string{"k8s", "batch"}) {
			t.Errorf("UPDATE_FRAMEWORK is %v", updates[0])
		}
		if got := updates[0].header.Get(headerStreamID); got != st.id {
			t.Errorf("stream id of the call is %q, want %q", got, st.id)
		}
		r.stop()
		r.handler.wants(t, "subscribed fw-0 at m1:5050", "disconnected")
	})
}

func TestUpdateFrameworkPrecedesOtherOrderedCalls(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m := newFakeMaster(t, n, "m1:5050")
		hold := make(chan struct{})
		m.onCall = func(c seenCall) (int, string) {
			if c.Type == scheduler.Call_UPDATE_FRAMEWORK {
				<-hold
			}
			return 0, ""
		}
		revived := make(chan error, 1)
		r := newRig(t, n, testConfig("m1"), func(r *rig, _ *Config) {
			r.ids.id = ""
			r.handler.onSubscribed = func(Subscription) { go func() { revived <- r.session.Revive(t.Context()) }() }
		}).start()
		m.next("fw-0")
		if got := m.seen(scheduler.Call_REVIVE); len(got) != 0 {
			t.Fatal("REVIVE overtook UPDATE_FRAMEWORK, which then suppresses the roles again")
		}
		close(hold)
		if err := <-revived; err != nil {
			t.Fatal(err)
		}
		r.stop()
	})
}

func TestFailedUpdateFrameworkSubscribesAgainWithTheRealTimeout(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m := newFakeMaster(t, n, "m1:5050")
		m.onCall = func(seenCall) (int, string) { return http.StatusBadRequest, "FrameworkInfo update is not valid: no" }
		r := newRig(t, n, testConfig("m1"), func(r *rig, _ *Config) { r.ids.id = "" }).start()
		m.next("fw-0")
		st := m.next("fw-0")
		if got := st.call.Subscribe.FrameworkInfo.GetFailoverTimeout(); got != (7 * 24 * time.Hour).Seconds() {
			t.Errorf("failover_timeout is %v s", got)
		}
		if got := len(m.seen(scheduler.Call_UPDATE_FRAMEWORK)); got != 1 {
			t.Errorf("%d UPDATE_FRAMEWORK, want the first one only", got)
		}
		r.stop()
		r.handler.wants(t, "subscribed fw-0 at m1:5050", "disconnected", "subscribed fw-0 at m1:5050", "disconnected")
	})
}

func TestSaveFailureGivesTheSubscriptionUp(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m := newFakeMaster(t, n, "m1:5050")
		r := newRig(t, n, testConfig("m1"), func(r *rig, _ *Config) { r.ids.id, r.ids.saveErr = "", errors.New("conflict") }).start()
		st := <-m.streams
		st.send(subscribedEvent("fw-0"))
		<-st.gone
		synctest.Wait()
		if got := r.session.Status(); got.State != StateBackoff || !strings.Contains(got.LastError, "conflict") {
			t.Errorf("status is %+v", got)
		}
		r.ids.mu.Lock()
		r.ids.saveErr = nil
		r.ids.mu.Unlock()
		st = <-m.streams
		if st.call.FrameworkID != nil || r.ids.loads != 2 {
			t.Errorf("second SUBSCRIBE has id %v after %d loads, want none after 2: the store may have kept the id nevertheless", st.call.FrameworkID, r.ids.loads)
		}
		r.handler.wants(t)
		r.stop()
	})
}

func TestNoSubscriptionWithoutKnowingTheID(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m := newFakeMaster(t, n, "m1:5050")
		r := newRig(t, n, testConfig("m1"), func(r *rig, _ *Config) { r.ids.loadErr = errors.New("apiserver is away") }).start()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := m.seen(); len(got) != 0 {
			t.Fatalf("subscribed without knowing the id: %v", got)
		}
		if r.ids.loads < 5 || r.ids.loads > 12 {
			t.Errorf("%d loads in a minute, want a backoff of 1 to 8 s", r.ids.loads)
		}
		r.ids.mu.Lock()
		r.ids.loadErr = nil
		r.ids.mu.Unlock()
		st := m.next("fw")
		if st.call.FrameworkID.GetValue() != "fw" || st.call.Subscribe.FrameworkInfo.ID.GetValue() != "fw" {
			t.Errorf("ids of SUBSCRIBE: %v, %v", st.call.FrameworkID, st.call.Subscribe.FrameworkInfo.ID)
		}
		r.stop()
	})
}

// TestReconnectingNeedsNoStore: the store is in the apiserver, whose absence must

// not keep us from the master.

func TestReconnectingNeedsNoStore(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m := newFakeMaster(t, n, "m1:5050")
		roles := []string{"k8s", "batch"}
		r := newRig(t, n, testConfig("m1"), func(_ *rig, c *Config) { c.Roles = StaticRoles(nil, roles...) })
		roles[0] = "changed by the caller"
		r.start()
		st := m.next("fw")
		r.ids.mu.Lock()
		r.ids.loadErr = errors.New("apiserver is away")
		r.ids.mu.Unlock()
		st.end()
		st = m.next("fw")
		if got := st.call.Subscribe.FrameworkInfo; got.ID.GetValue() != "fw" || !slices.Equal(got.Roles, []string{"k8s", "batch"}) {
			t.Errorf("SUBSCRIBE is %v", got)
		}
		r.stop()
	})
}

func TestSubscribeSaysWhoWeAre(t *testing.T) {
	for _, gpus := range []bool{false, true} {
		for _, demand := range []bool{false, true} {
			t.Run(fmt.Sprintf("gpus=%v,demand=%v", gpus, demand), func(t *testing.T) {
				bubble(t, func(t *testing.T, n *memNet) {
					m := newFakeMaster(t, n, "m1:5050")
					r := newRig(t, n, testConfig("m1"), func(_ *rig, c *Config) {
						c.Framework.GPUs = gpus
						c.Roles = StaticRoles(func() bool { return demand }, "k8s", "batch")
						c.Credentials = showing(func() (string, error) { return "Basic a3ViZTpzM2NyZXQ=", nil })
					}).start()
					st := m.next("fw")
					info := st.call.Subscribe.FrameworkInfo
					want := map[mesosv1.FrameworkInfo_Capability_Type]bool{
						mesosv1.FrameworkInfo_Capability_MULTI_ROLE: true, mesosv1.FrameworkInfo_Capability_PARTITION_AWARE: true,
						mesosv1.FrameworkInfo_Capability_RESERVATION_REFINEMENT: true, mesosv1.FrameworkInfo_Capability_TASK_KILLING_STATE: true,
						mesosv1.FrameworkInfo_Capability_REGION_AWARE: true,
					}
					if gpus {
						want[mesosv1.FrameworkInfo_Capability_GPU_RESOURCES] = true
					}
					for _, c := range info.Capabilities {
						if !want[c.Type] {
							t.Errorf("capability %v is unwanted or twice", c.Type)
						}
						delete(want, c.Type)
					}
					if len(want) != 0 {
						t.Errorf("capabilities %v are missing", want)
					}
					if info.Name != "kubernetes" || info.User != "root" || info.GetPrincipal() != "kube" || info.GetHostname() != "host-1" ||
						info.GetWebUiURL() != "http://host-1" || !info.GetCheckpoint() || info.Role != nil ||
						!slices.Equal(info.Roles, []string{"k8s", "batch"}) || info.GetFailoverTimeout() != 604800 {
						t.Errorf("FrameworkInfo is %v", info)
					}
					suppressed := []string{"k8s", "batch"}
					if demand {
						suppressed = nil
					}
					if !slices.Equal(st.call.Subscribe.SuppressedRoles, suppressed) {
						t.Errorf("suppressed roles are %v, want %v", st.call.Subscribe.SuppressedRoles, suppressed)
					}
					if _, ok := st.call.header[headerStreamID]; ok {
						t.Error("SUBSCRIBE carries a stream id, the master answers 400 to that")
					}
					if got := st.call.header.Get("Authorization"); got != "Basic a3ViZTpzM2NyZXQ=" {
						t.Errorf("Authorization is %q", got)
					}
					if s := r.handler.subs[0]; s.Roles[0].Suppressed == demand || len(s.Roles) != 2 || s.Version != "1.12.0" || s.HeartbeatInterval != 15*time.Second {
						t.Errorf("Subscription is %+v", s)
					}
					r.stop()
				})
			})
		}
	}
}

func TestCredentialsThatCannotBeRead(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m := newFakeMaster(t, n, "m1:5050")
		r := newRig(t, n, testConfig("m1"), func(_ *rig, c *Config) {
			c.Credentials = showing(func() (string, error) { return "", errors.New("no such file") })
		}).start()
		synctest.Wait()
		if got := r.session.Status(); !strings.Contains(got.LastError, "no such file") || len(m.seen()) != 0 {
			t.Errorf("status is %+v, %d calls", got, len(m.seen()))
		}
		r.stop()
	})
}

func TestMasterThatDoesNotAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m := newFakeMaster(t, n, "m1:5050")
		m.onSubscribe = func(_ http.ResponseWriter, r *http.Request) bool {
			<-r.Context().Done()
			return true
		}
		r := newRig(t, n, testConfig("m1"), nil).start()
		time.Sleep(5*time.Second + time.Millisecond)
		synctest.Wait()
		if got := r.session.Status(); got.State != StateBackoff || !strings.Contains(got.LastError, errNoAnswer.Error()) || got.Reason != ReasonMasterSilent {
			t.Errorf("status is %+v", got)
		}
		calls, _, _ := r.observer.snapshot()
		if !slices.Equal(calls, []string{"SUBSCRIBE timeout"}) {
			t.Errorf("observed %v", calls)
		}
		r.stop()
	})
}

// TestErrorEventInsteadOfSubscribed: the texts are those that a master was recorded
// saying, but for the authorizer's.
func TestErrorEventInsteadOfSubscribed(t *testing.T) {
	for text, want := range map[string]error{
		"Roles { k8s } are not present in the master's --roles":                                                                       ErrRolesRefused,
		"'FrameworkInfo.roles' contains invalid role: Role 'a//b' cannot contain two adjacent slashes":                                ErrRolesRefused,
		"'FrameworkInfo.roles' contains duplicate items: { a }":                                                                       ErrRolesRefused,
		"Not authorized to register framework 'kubernetes' with role 'k8s'":                                                           ErrRolesRefused,
		"The framework failover_timeout (1e+30) is invalid":                                                                           nil,
		"User 'root' is not allowed to run frameworks without --root_submissions set":                                                 nil,
		"'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable":                                               nil,
		"Changing framework's principal is not allowed.":                                                                              nil,
		"Offer constraints specify `role_constraints` for a role 'nope'not contained in the set of roles":                             ErrTermsRefused,
		"Offer constraints are not valid: 'OfferConstraints::role_constraints' has an empty 'RoleConstraints::groups' for role batch": ErrTermsRefused,
		"Resource quantities must contain at least one quantity":                                                                      ErrTermsRefused,
	} {
		bubble(t, func(t *testing.T, n *memNet) {
			m := newFakeMaster(t, n, "m1:5050")
			have := []string{"k8s", "batch"}
			r := newRig(t, n, testConfig("m1"), func(_ *rig, c *Config) {
				c.Roles = func() []RoleAsk { return AskRoles(have, have) }
			}).start()
			st := <-m.streams
			have = []string{"batch"}
			st.send(errorEvent(text))
			synctest.Wait()
			if got := r.session.Status(); got.State != StateBackoff || !strings.Contains(got.LastError, text[:12]) {
				t.Errorf("status is %+v", got)
			}
			if want == nil {
				r.handler.wants(t)
			} else if r.handler.wants(t, "disconnected"); !errors.Is(r.handler.reasons[0], want) || !strings.Contains(r.handler.reasons[0].Error(), text[:12]) {
				t.Errorf("%q: the handler was told %v", text, r.handler.reasons[0])
			}
			if st := m.next("fw"); !slices.Equal(st.call.Subscribe.FrameworkInfo.Roles, have) {
				t.Errorf("then it subscribes with roles %q, want %q", st.call.Subscribe.FrameworkInfo.Roles, have)
			}
			r.stop()
		})
	}
}
