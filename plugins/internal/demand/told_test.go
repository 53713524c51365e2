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

package demand

import (
	"slices"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

func TestTellOnce(t *testing.T) {
	d := New(Config{}, time.Unix(0, 0))
	need := resources.Vector{resources.CPU: 1000}
	for _, uid := range []string{"a", "b", "awake"} {
		d.Add(uid, Ask{Need: need})
	}
	d.Park("b")
	d.Park("a")
	if got := d.Tell(); !slices.Equal(got, []string{"b", "a"}) {
		t.Fatalf("told %q, want the sleeping pods, oldest first", got)
	}
	if _, parked := d.Pods(); parked != 0 {
		t.Errorf("%d pods are still asleep", parked)
	}
	d.Park("a")
	if got := d.Tell(); len(got) != 0 {
		t.Errorf("told %q twice", got)
	}
	d.Park("awake")
	d.Remove("awake", time.Unix(1, 0))
	if got := d.Tell(); len(got) != 0 {
		t.Errorf("told %q, which is gone", got)
	}
}

// Offers that fit pods and are never used are refused for longer and longer, until
// Kubernetes has a pod tried again.
func TestUnusableOffersGoForLonger(t *testing.T) {
	cfg := Config{MaxHold: 10 * time.Second, RefuseUnused: 5 * time.Second, RefuseForeign: time.Hour}
	now := time.Unix(1000, 0)
	d := New(cfg, now)
	d.Subscribed(false)
	need := resources.Vector{resources.CPU: 1000}
	d.Add("p", Ask{Need: need})
	d.Next(now) // the REVIVE of a new subscription
	d.Offered(true, now)
	d.Park("p")
	expire := func() time.Duration {
		held := offers.Held{Node: "n", AgentFree: need, AgentAll: need, Since: now}
		now = now.Add(cfg.MaxHold)
		for range 3 { // several offers of one round count once
			if reason := judge(d, held, now); reason != Expired {
				t.Fatalf("judged %q, want Expired", reason)
			}
		}
		return d.Refuse(Expired)
	}
	for i, want := range []time.Duration{5, 10, 20, 40, 80, 160, 300, 300} {
		if got := expire(); got != want*time.Second {
			t.Fatalf("round %d: refused for %v, want %v", i+1, got, want*time.Second)
		}
	}
	if got := d.Refuse(TooSmall); got != cfg.RefuseUnused {
		t.Errorf("too small offers are refused for %v", got)
	}
	if action, _ := d.Next(now); action != None {
		t.Errorf("call %q although nothing changed", action)
	}
	d.Tried("p")
	d.Park("p")
	if action, _ := d.Next(now); action != Revive {
		t.Errorf("call %q when the pod is tried again, want REVIVE", action)
	}
	if got := expire(); got != cfg.RefuseUnused {
		t.Errorf("refused for %v after the pod was tried again, want %v", got, cfg.RefuseUnused)
	}
}
