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
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// A session outlives the removal of its framework, once its owner says so, and leaves the
// master alone until then.
func TestSessionOutlivesRemoval(t *testing.T) {
	emulated(t, func(t *testing.T, m *mesosmaster.Master) {
		store := &ids{}
		var told atomic.Int32
		i := run(t, m, store, func(c *mesos.Config) {
			c.BackoffMax = 10 * time.Second
			c.Removed = func(ctx context.Context, _, _ string) error {
				if told.Add(1) < 4 {
					return errors.New("not yet")
				}
				return store.Save(ctx, "")
			}
		})
		after(2 * time.Second)
		former := store.id
		client := http.Client{Transport: m.Transport()}
		resp, err := client.PostForm("http://mesos-master.invalid:5050/teardown", url.Values{"frameworkId": {former}})
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(resp, err)
		}
		_ = resp.Body.Close()
		after(20 * time.Second)
		if status := i.Status(); status.State != mesos.StateRemoved || status.Reason != mesos.ReasonFrameworkRemoved {
			t.Errorf("while the owner has not decided: %+v", status)
		}
		if n := told.Load(); n < 1 || n > 3 {
			t.Errorf("the owner was asked %d times within 20 s", n)
		}
		after(time.Minute)
		status := i.Status()
		if status.State != mesos.StateSubscribed || status.FrameworkID == "" || status.FrameworkID == former || status.FrameworkID != store.id {
			t.Errorf("afterwards: %+v, stored %q, formerly %q", status, store.id, former)
		}
		i.stop(t)
	})
}
