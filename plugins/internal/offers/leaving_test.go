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

package offers

import (
	"errors"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// TestLeaving is what becomes of an agent that is to go in an hour, for pods that have
// no end, end before, and end after.
func TestLeaving(t *testing.T) {
	now := time.Unix(1000, 0)
	goes := now.Add(time.Hour)
	need := resources.Vector{resources.CPU: 1000, resources.Memory: 500}
	ending := func(at time.Time) *Want {
		want := Plain(need)
		want.Until = at
		return want
	}
	rides := Plain(need)
	rides.Revocable = RevocableAllowed
	for name, test := range map[string]struct {
		want *Want
		fits bool
	}{
		"endless":   {Plain(need), false},
		"rides":     {rides, false},
		"ends then": {ending(goes), true},
		"too late":  {ending(goes.Add(time.Second)), false},
	} {
		t.Run(name, func(t *testing.T) {
			c := newSingle()
			c.Add(&Offer{ID: "o", AgentID: "a", Role: "web", Unreserved: resources.Bundle{Vector: resources.Vector{resources.CPU: 4000, resources.Memory: 4000}}}, now)
			c.SetNode("a", "n")
			slot, _ := c.Slot("a")
			version := c.Version()
			c.SetLeaving("a", true, goes)
			c.SetLeaving("unknown", true, goes)
			if c.Version() == version {
				t.Error("the version is as before")
			}
			sel := c.r.Select(test.want, 0, 0, nil)
			verdict, _ := c.r.Fits(slot, test.want)
			_, err := c.r.Reserve(slot, "pod", test.want, now)
			if test.fits {
				if len(sel.Slots) != 1 || verdict != Fitting || err != nil {
					t.Errorf("selected %v, judged %d, reserved with %v", sel, verdict, err)
				}
				c.Release("pod")
			} else if len(sel.Slots) != 0 || sel.Leaving != 1 || sel.NoOffer+sel.Kept+sel.InFlight+sel.Short[resources.CPU]+sel.Short[resources.Memory] != 0 ||
				verdict != Leaving || !errors.Is(err, ErrLeaving) {
				t.Errorf("selected %+v, judged %d, reserved with %v", sel, verdict, err)
			}
			if free, ok := c.r.FreeOf(slot); !ok || free.Regular[resources.CPU] != 0 || free.All[resources.CPU] != 4000 {
				t.Errorf("free are %v", free)
			}
			if got := c.r.Offered(); len(got) != 1 {
				t.Errorf("offered are %v", got)
			}
			// Without an offer, it is the leaving that matters to most.
			c.Sweep(now, func(Held) bool { return true })
			want := Leaving
			if test.fits {
				want = NoOffer
			}
			sel = c.r.Select(test.want, 0, 0, nil)
			c.r.Explain(test.want, &sel)
			if verdict, _ := c.r.Fits(slot, test.want); verdict != want || (sel.Leaving == 1) == test.fits {
				t.Errorf("judged %d without an offer, selected %+v", verdict, sel)
			}
			c.SetLeaving("a", false, time.Time{})
			if verdict, _ := c.r.Fits(slot, test.want); verdict != NoOffer {
				t.Errorf("judged %d when it stays after all", verdict)
			}
		})
	}
}
