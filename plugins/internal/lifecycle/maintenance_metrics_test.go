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

	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
)

// TestLeavingGauge: a window that an offer tells of is seen in the metrics as long as it
// is known.
func TestLeavingGauge(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.node("n1")
		r.podChanged(testPod("p"))
		o := offer("o1", "n1", 1)
		o.Unavailability = &offers.Unavailability{Start: time.Now().Add(time.Hour), Duration: time.Hour}
		r.Offers([]offers.Offer{o})
		r.pass(2 * time.Second)
		if g := r.Gauges(); g.Leaving["announced"] != 1 || g.Leaving["underway"] != 0 {
			t.Errorf("an hour before: %v", g.Leaving)
		}
		r.pass(time.Hour)
		if g := r.Gauges(); g.Leaving["announced"] != 0 || g.Leaving["underway"] != 1 {
			t.Errorf("in the window: %v", g.Leaving)
		}
	})
}
