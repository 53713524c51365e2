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
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	mesosv1 "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/plugins/internal/detect"
)

// guide is a detector that the test plays itself.
type guide struct {
	mu      sync.Mutex
	list    []detect.Candidate
	leads   bool
	err     error
	changed chan struct{}
	// asked counts Candidates.
	asked int
}

// guideTo knows these masters, the first of which leads.
func guideTo(hosts ...string) *guide {
	g := &guide{changed: make(chan struct{}, 1), leads: true}
	g.list = candidatesOf(hosts...)
	return g
}

func candidatesOf(hosts ...string) (out []detect.Candidate) {
	for _, h := range hosts {
		u := &url.URL{Scheme: "http", Host: h}
		out = append(out, detect.Candidate{URL: u, ServerName: u.Hostname()})
	}
	return out
}

func (g *guide) Run(ctx context.Context) { <-ctx.Done() }

func (g *guide) Candidates(context.Context) ([]detect.Candidate, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	return slices.Clone(g.list), g.err
}

func (g *guide) Leader() (detect.Candidate, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.leads || len(g.list) == 0 {
		return detect.Candidate{}, false
	}
	return g.list[0], true
}

func (g *guide) Changed() <-chan struct{} { return g.changed }

// tell changes what is known.
func (g *guide) tell(leads bool, list ...detect.Candidate) {
	g.mu.Lock()
	g.list, g.leads = list, leads
	g.mu.Unlock()
	g.changed <- struct{}{}
	synctest.Wait()
}

// guided runs a session that is subscribed at m1 of three, as the guide says.
func guided(t *testing.T, f func(t *testing.T, g *guide, r *rig, m map[string]*fakeMaster, st *fakeStream)) {
	t.Helper()
	bubble(t, func(t *testing.T, n *memNet) {
		m := map[string]*fakeMaster{}
		for _, host := range []string{"m1", "m2", "m3"} {
			m[host] = newFakeMaster(t, n, host+":5050")
		}
		g := guideTo("m1:5050", "m2:5050", "m3:5050")
		cfg := testConfig()
		cfg.Masters = g
		r := newRig(t, n, cfg, nil).start()
		f(t, g, r, m, m["m1"].next("fw"))
		r.stop()
	})
}

// subscribes counts the SUBSCRIBEs so far.
func subscribes(m map[string]*fakeMaster) (n int) {
	for _, one := range m {
		n += len(one.seen(scheduler.Call_SUBSCRIBE))
	}
	return n
}

func TestNewLeaderIsFollowedAtOnce(t *testing.T) {
	guided(t, func(t *testing.T, g *guide, r *rig, m map[string]*fakeMaster, _ *fakeStream) {
		began := time.Now()
		g.tell(true, candidatesOf("m2:5050", "m3:5050")...)
		m["m2"].next("fw")
		if got := r.session.Status(); got.Master != "m2:5050" || got.State != StateSubscribed || time.Since(began) != 0 {
			t.Errorf("after %v the session is %+v", time.Since(began), got)
		}
		r.handler.wants(t, "subscribed fw at m1:5050", "disconnected", "subscribed fw at m2:5050")
		if !errors.Is(r.handler.reasons[0], errLeaderChanged) {
			t.Errorf("the first subscription ended because of %v", r.handler.reasons[0])
		}
	})
}

// TestNewsThatKeepTheSubscription: the leader is still the one we are at, by whatever
// name, or nobody knows who leads.
func TestNewsThatKeepTheSubscription(t *testing.T) {
	byAddress := candidatesOf("10.0.0.1:5050")
	byName := candidatesOf("10.0.0.9:5050")
	byName[0].ServerName = "M1"
	for name, news := range map[string]struct {
		leads bool
		list  []detect.Candidate
	}{
		"the same":       {true, candidatesOf("m1:5050", "m3:5050")},
		"by its name":    {true, byName},
		"by its address": {true, byAddress},
		"no leader":      {false, candidatesOf("m2:5050")},
		"none at all":    {false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *memNet) {
				m := newFakeMaster(t, n, "m1:5050")
				g := guideTo("m1:5050")
				cfg := testConfig()
				cfg.Masters = g
				r := newRig(t, n, cfg, nil).start()
				st := <-m.streams
				ip := "10.0.0.1"
				e := subscribedEvent("fw")
				e.Subscribed.MasterInfo.Address = &mesosv1.Address{IP: &ip}
				st.send(e)
				synctest.Wait()
				g.tell(news.leads, news.list...)
				r.handler.wants(t, "subscribed fw at m1:5050")
				r.stop()
			})
		})
	}
}

// TestLedBackToTheOldLeader: a master that has not heard of the change yet names the one
// before. It is not believed for a while; after that we stay where we are led, and in no
// case do we hurry.
func TestLedBackToTheOldLeader(t *testing.T) {
	t.Run("alive", func(t *testing.T) {
		guided(t, func(t *testing.T, g *guide, r *rig, m map[string]*fakeMaster, _ *fakeStream) {
			m["m2"].answer(redirectTo("//m1:5050/master/api/v1/scheduler"))
			g.tell(true, candidatesOf("m2:5050")...)
			began := time.Now()
			st := m["m1"].next("fw")
			if took := time.Since(began); took < newsLast || took > 2*newsLast {
				t.Errorf("believed the redirect after %v", took)
			}
			for range 4 {
				time.Sleep(15 * time.Second)
				st.send(heartbeatEvent())
			}
			if got := r.session.Status(); got.Master != "m1:5050" || got.State != StateSubscribed || len(m["m1"].seen(scheduler.Call_SUBSCRIBE)) != 2 || subscribes(m) > 10 {
				t.Errorf("%d SUBSCRIBEs, the session is %+v", subscribes(m), got)
			}
			// The next change moves us again.
			g.tell(true, candidatesOf("m3:5050")...)
			m["m3"].next("fw")
		})
	})
	t.Run("dead", func(t *testing.T) {
		guided(t, func(t *testing.T, g *guide, r *rig, m map[string]*fakeMaster, _ *fakeStream) {
			_ = m["m1"].server.Close()
			m["m2"].answer(redirectTo("//m1:5050/master/api/v1/scheduler"))
			m["m3"].answer(redirectTo("//m1:5050/master/api/v1/scheduler"))
			before := subscribes(m)
			g.tell(true, candidatesOf("m2:5050", "m3:5050")...)
			time.Sleep(10 * time.Second)
			if got := subscribes(m) - before; got > 12 {
				t.Errorf("%d requests in 10 s", got)
			}
			if got := r.session.Status(); got.Reason != ReasonNoMaster {
				t.Errorf("status is %+v", got)
			}
			m["m2"].answer(nil)
			m["m2"].next("fw")
		})
	})
}

// TestNewsDuringAnAttempt: a stopped leader takes SUBSCRIBE and does not answer; the next
// one is asked as soon as it is known.
func TestNewsDuringAnAttempt(t *testing.T) {
	guided(t, func(t *testing.T, g *guide, _ *rig, m map[string]*fakeMaster, _ *fakeStream) {
		began := time.Now()
		m["m2"].answer(func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true })
		g.tell(true, candidatesOf("m2:5050")...)
		time.Sleep(2 * time.Second)
		g.tell(true, candidatesOf("m3:5050", "m2:5050")...)
		m["m3"].next("fw")
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("subscribed after %v", took)
		}
	})
}

func TestNewsEndTheWait(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		g := guideTo()
		g.err = errors.New("zk://z:2181/mesos: no master has registered there")
		cfg := testConfig()
		cfg.Masters = g
		r := newRig(t, n, cfg, nil).start()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := r.session.Status(); got.State != StateBackoff || got.Reason != ReasonNoMaster || !strings.Contains(got.LastError, "no master has registered") {
			t.Errorf("status is %+v", got)
		}
		// After 1, 2, 4, 8, 8 ... s.
		if g.asked != 10 {
			t.Errorf("asked for masters %d times in a minute", g.asked)
		}
		m := newFakeMaster(t, n, "m1:5050")
		began := time.Now()
		g.mu.Lock()
		g.err = nil
		g.mu.Unlock()
		g.tell(true, candidatesOf("m1:5050")...)
		m.next("fw")
		if took := time.Since(began); took != 0 {
			t.Errorf("subscribed after %v", took)
		}
		// News are used up by the try that heeds them: the next waits.
		m.answer(refuseWith(503, "No leader elected"))
		g.tell(true, candidatesOf("m2:5050")...)
		asked := g.asked
		time.Sleep(900 * time.Millisecond)
		if g.asked != asked {
			t.Errorf("tried %d times again within the shortest wait", g.asked-asked)
		}
		r.stop()
	})
}

// TestLeaderIsAskedFirst: whoever was good last.
func TestLeaderIsAskedFirst(t *testing.T) {
	guided(t, func(t *testing.T, g *guide, _ *rig, m map[string]*fakeMaster, st *fakeStream) {
		g.mu.Lock()
		g.list = candidatesOf("m3:5050", "m1:5050", "m2:5050")
		g.mu.Unlock()
		before := len(m["m1"].seen())
		st.cut()
		m["m3"].next("fw")
		if got := len(m["m1"].seen()); got != before {
			t.Errorf("the last good one was asked %d times before the leader", got-before)
		}
	})
}

// TestMissingMastersAreNamed: what the detector misses is said when all others fail.
func TestMissingMastersAreNamed(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		g := guideTo("gone:5050")
		g.err = errors.New("its name cannot be resolved")
		cfg := testConfig()
		cfg.Masters = g
		r := newRig(t, n, cfg, nil).start()
		synctest.Wait()
		if got := r.session.Status(); got.Reason != ReasonNoMaster || !strings.Contains(got.LastError, "gone:5050") || !strings.Contains(got.LastError, "cannot be resolved") {
			t.Errorf("status is %+v", got)
		}
		r.stop()
	})
}

// TestAddressesOfAName: each is tried; they may change between tries.
func TestAddressesOfAName(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		var addresses atomic.Pointer[[]string]
		addresses.Store(&[]string{"10.0.0.1", "10.0.0.2"})
		d, err := detect.New([]string{"masters.example"}, detect.Options{Resolve: func(context.Context, string) ([]string, error) { return *addresses.Load(), nil }})
		if err != nil {
			t.Fatal(err)
		}
		m := newFakeMaster(t, n, "10.0.0.2:5050")
		cfg := testConfig()
		cfg.Masters = d
		r := newRig(t, n, cfg, nil).start()
		st := m.next("fw")
		if got := r.session.names.of("10.0.0.2:5050"); got != "masters.example" {
			t.Errorf("its certificate must be for %q", got)
		}
		moved := newFakeMaster(t, n, "10.0.0.3:5050")
		addresses.Store(&[]string{"10.0.0.1", "10.0.0.3"})
		st.end()
		moved.next("fw")
		r.stop()
	})
}

// TestSilentLeaderCostsOneCall: all others name it, and it is not asked again in a round.
func TestSilentLeaderCostsOneCall(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m := map[string]*fakeMaster{}
		for _, host := range []string{"m1", "m2", "m3"} {
			m[host] = newFakeMaster(t, n, host+":5050")
			m[host].onSubscribe = redirectTo("//m1:5050")
		}
		m["m1"].answer(func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true })
		r := newRig(t, n, testConfig("m2", "m1", "m3"), nil).start()
		time.Sleep(5*time.Second + time.Millisecond)
		synctest.Wait()
		if got := r.session.Status(); got.State != StateBackoff || got.Reason != ReasonMasterSilent || len(m["m1"].seen()) != 1 {
			t.Errorf("m1 was asked %d times, status is %+v", len(m["m1"].seen()), got)
		}
		r.stop()
	})
}
