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

package mesosmaster_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// One task's whole life, in both encodings: what a recorded master said, in the
// order it said it.
func TestLifeOfATask(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m := mesosmaster.New(mesosmaster.Config{Agents: agents("node-1")})
			defer m.Close()
			c := newClient(t, m, asJSON).subscribe(framework("one", "batch"))
			defer c.close()
			synctest.Wait()
			if diff := cmp.Diff([]string{"SUBSCRIBED", "OFFERS"}, c.types()); diff != "" {
				t.Fatal(diff)
			}
			offers := c.offers()
			if len(offers) != 1 || offers[0].Hostname != "node-1" || len(offers[0].Resources) != 4 {
				t.Fatalf("offers: %v", offers)
			}
			agentID := offers[0].AgentID.Value
			c.call(202, accept(0, []string{offers[0].ID.Value}, command("t1", agentID, "batch", "cpus:1;mem:64;ports:[31000-31001]")))
			synctest.Wait()
			up := c.updates()
			if len(up) != 1 || up[0].GetState() != mesos.TASK_STARTING || len(up[0].UUID) != 16 {
				t.Fatalf("want STARTING alone until it is acknowledged, got %v", up)
			}
			c.ack(up[0])
			synctest.Wait()
			if up = c.updates(); len(up) != 1 || up[0].GetState() != mesos.TASK_RUNNING {
				t.Fatalf("want RUNNING, got %v", up)
			}
			c.ack(up[0])
			pass(time.Second)
			synctest.Wait()
			if o := c.offers(); len(o) != 1 || o[0].Resources[1].Scalar.Value != 3 {
				t.Fatalf("want the remainder offered at the next tick, got %v", o)
			}
			want := mesosmaster.TaskSnapshot{
				TaskID: "t1", Name: "t1", Framework: "one", FrameworkID: c.id, AgentID: agentID, Hostname: "node-1", Role: "batch",
				State: "TASK_RUNNING", CPUs: 1, MemMB: 64, Labels: map[string]string{"k": "v"},
				Resources: "cpus:1; mem:64; ports:[31000-31001]",
			}
			got := m.Tasks()[0]
			want.Launched, want.Ports = got.Launched, got.Ports
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatal(diff)
			}
			c.kill("t1", agentID)
			synctest.Wait()
			for _, state := range []mesos.TaskState{mesos.TASK_KILLING, mesos.TASK_KILLED} {
				if up = c.updates(); len(up) != 1 || up[0].GetState() != state {
					t.Fatalf("want %s, got %v", state, up)
				}
				c.ack(up[0])
				synctest.Wait()
			}
			if left := m.Tasks(); len(left) != 0 {
				t.Fatalf("after the last acknowledgement: %v", left)
			}
			if err := m.CheckInvariants(); err != nil {
				t.Fatal(err)
			}
			if n := m.CallCount("ACKNOWLEDGE"); n != 4 {
				t.Fatalf("%d acknowledgements counted, want 4", n)
			}
		})
	}
}
