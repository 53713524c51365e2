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

	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
)

// TestRefusedSessionIsProclaimed: what people have to mend is said once, and again after
// it was mended meanwhile; what mends itself is not.
func TestRefusedSessionIsProclaimed(t *testing.T) {
	inBubble(t, func(r *rig) {
		told := func() (notes []string) {
			for {
				select {
				case note := <-r.events.Events:
					notes = append(notes, note)
				default:
					return notes
				}
			}
		}
		for range 3 {
			r.SessionState(mesos.StateConnecting, "", "")
			r.SessionState(mesos.StateBackoff, mesos.ReasonUnauthorized, "wrong secret")
		}
		if notes := told(); len(notes) != 1 || notes[0] != "Warning MesosConnectionRefused No pod can be placed: wrong secret" {
			t.Errorf("of a refusal people are told %q, want it once", notes)
		}
		r.SessionState(mesos.StateSubscribed, "", "")
		r.SessionState(mesos.StateBackoff, mesos.ReasonStreamEnded, "it ended")
		if notes := told(); len(notes) != 0 {
			t.Errorf("of what mends itself people are told %q", notes)
		}
		r.SessionState(mesos.StateBackoff, mesos.ReasonUnauthorized, "wrong secret")
		r.SessionState(mesos.StateBackoff, mesos.ReasonUntrustedCertificate, "unknown authority")
		if notes := told(); len(notes) != 2 {
			t.Errorf("of two new reasons people are told %q", notes)
		}
	})
}
