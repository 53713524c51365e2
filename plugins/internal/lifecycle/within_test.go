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

package lifecycle

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/quota"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Where the quota is exhausted a pod is placed on what is charged to nobody, or is
// charged already; one with a reservation of its own on that alone.
func TestWithinQuota(t *testing.T) {
	need := resources.Bundle{Vector: resources.Vector{resources.CPU: 2000, resources.Memory: 1000}}
	made := &resources.Flavour{Reservations: []resources.Reservation{{Role: "eng/ads", Dynamic: true}}}
	for _, tt := range []struct {
		name  string
		limit int64
		want  offers.Want
		ways  []offers.Want
		lack  string
	}{
		{"room", 2000, offers.Want{Need: need}, []offers.Want{{Need: need}}, ""},
		{"none", 1999, offers.Want{Need: need}, []offers.Want{{Need: need, Order: offers.ReservedOnly}}, "cpu"},
		{"its own", 1999, offers.Want{Need: need, Owner: "o", Reserve: made},
			[]offers.Want{{Need: need, Owner: "o", Reserve: made, Order: offers.ReservedOnly}}, "cpu"},
		{"riding", 1999, offers.Want{Need: need, Revocable: offers.RevocableRequired},
			[]offers.Want{{Need: need, Revocable: offers.RevocableRequired}}, ""},
		{"may ride", 1999, offers.Want{Need: need, Revocable: offers.RevocableAllowed},
			[]offers.Want{{Need: need, Order: offers.ReservedOnly}, {Need: need, Revocable: offers.RevocableRequired}}, "cpu"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &Manager{cfg: Config{EnforceQuota: true, Book: &quota.Book{}, Usage: &quota.Usage{}}}
			limit := resources.Bundle{Vector: resources.Vector{resources.CPU: tt.limit}}
			m.cfg.Book.Set([]quota.Role{{Name: "eng", Limit: limit, Limited: map[string]bool{"cpus": true}}}, nil, time.Time{})
			ways, lack := m.WithinQuota("eng/ads", tt.want)
			if diff := cmp.Diff(tt.ways, ways); diff != "" || lack != tt.lack {
				t.Errorf("lacks %q, want %q; ways (-want +got):\n%s", lack, tt.lack, diff)
			}
			if ways, lack := m.WithinQuota("ops", tt.want); cmp.Diff([]offers.Want{tt.want}, ways) != "" || lack != "" {
				t.Errorf("in a role without quota: %v, %q", ways, lack)
			}
		})
	}
}
