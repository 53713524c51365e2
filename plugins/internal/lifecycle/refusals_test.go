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
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/quota"
)

// told returns the events since was told since this was last called.
func (r *rig) told() (events []string) {
	synctest.Wait()
	for {
		select {
		case e := <-r.events.Events:
			events = append(events, e)
		default:
			return events
		}
	}
}

// TestRefusedAtSubscription: what the master says against roles while it refuses a
// subscription is told as what it says later on.
func TestRefusedAtSubscription(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.namespace("ns", "outside")
		pod := testPod("one")
		r.podChanged(pod)
		r.Park(pod, r.Version())
		r.Disconnected(errors.New("the connection was lost"))
		r.pass(time.Second)
		r.told()
		r.wantActivated()
		r.Disconnected(fmt.Errorf("%w: Roles { outside } are not present in the master's --roles", mesos.ErrRolesRefused))
		r.wantActivated("ns/one")
		if told := r.told(); len(told) != 1 || !strings.Contains(told[0], EventRoleRefused) || !strings.Contains(told[0], `"outside"`) {
			t.Errorf("told: %q", told)
		}
		if problem := r.Begin(pod).Plan.Problem; !strings.Contains(problem, `refuses the role "outside"`) {
			t.Errorf("the pod's problem is %q", problem)
		}
		// A later pod of the same namespace is nothing new, one of another is.
		r.podChanged(testPod("two"))
		if told := r.told(); len(told) != 0 {
			t.Errorf("told again: %q", told)
		}
		r.namespace("other", "outside")
		three := testPod("three")
		three.Namespace = "other"
		r.podChanged(three)
		if told := r.told(); len(told) != 1 {
			t.Errorf("told of another namespace: %q", told)
		}
	})
}

// TestQuotasUnread: no pod is placed before the quotas were asked for, and pods are
// tried again when they were; a master that does not tell is waited for a few times.
func TestQuotasUnread(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.mu.Lock()
		r.cfg.EnforceQuota, r.cfg.QuotaPeriod, r.quotas = true, 10*time.Second, noQuotas{}
		r.mu.Unlock()
		pod := testPod("one")
		r.podChanged(pod)
		for i := range firstReadings {
			if problem := r.Begin(pod).Plan.Problem; problem != problemQuotasUnread {
				t.Errorf("problem before the quotas are known: %q", problem)
			}
			r.Park(pod, r.Version())
			err := errors.New("no answer")
			if i == firstReadings-1 {
				err = nil
			}
			r.wantActivated()
			r.quotasTried(err)
		}
		r.wantActivated("ns/one")
		if problem := r.Begin(pod).Plan.Problem; problem != "" {
			t.Errorf("problem when the quotas are known: %q", problem)
		}
	})
}

// noQuotas is a master without quotas.
type noQuotas struct{}

func (noQuotas) Quotas(context.Context) ([]quota.Role, error) { return nil, nil }
