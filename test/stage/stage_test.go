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

package stage

import (
	"context"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// A pod goes all its way: it is placed, runs for its time, and its resources return.
func TestPod(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		master := mesosmaster.New(mesosmaster.Config{Agents: []mesosmaster.AgentConfig{{Hostname: "agent-0", Resources: "cpus:64;mem:488000"}}})
		defer master.Close()
		api := NewAPI([]string{"agent-0"})
		bound := map[string]time.Time{}
		api.OnBound = func(pod *v1.Pod) { bound[pod.Name] = time.Now() }
		began := time.Now()
		s, err := StartScheduler(api, SchedulerOptions{Name: "kube-mesos", Role: "kubernetes", Dir: dir, Dial: dialer(master)})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			if err := api.CreatePod(t.Context(), fmt.Sprintf("p%d", i), v1.ResourceList{v1.ResourceCPU: resource.MustParse("1"), v1.ResourceMemory: resource.MustParse("1Gi")}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(20 * time.Second)
		t.Log(began, bound, master.Tasks())
		if len(bound) != 10 {
			t.Fatalf("%d pods bound, want 10", len(bound))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		api.Wait()
	})
}

func dialer(m *mesosmaster.Master) func(context.Context, string, string) (net.Conn, error) {
	return func(_ context.Context, _, address string) (net.Conn, error) { return m.Dial(address) }
}

// What a killed scheduler leaves behind, the next takes over: nothing is lost, nothing
// is started twice.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		master := mesosmaster.New(mesosmaster.Config{Agents: []mesosmaster.AgentConfig{{Hostname: "agent-0", Resources: "cpus:64;mem:488000"}}})
		defer master.Close()
		api := NewAPI([]string{"agent-0"})
		kubelets := api.StartKubelets(KubeletOptions{Start: time.Second, Stop: time.Second, Collect: time.Minute})
		defer kubelets.Stop()
		options := SchedulerOptions{Name: "kube-mesos", Role: "kubernetes", Dir: dir, Dial: dialer(master)}
		for round := range 3 {
			s, err := StartScheduler(api, options)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 4 {
				if err := api.CreatePod(t.Context(), fmt.Sprintf("p%d-%d", round, i), v1.ResourceList{v1.ResourceCPU: resource.MustParse("1"), v1.ResourceMemory: resource.MustParse("1Gi")}); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Duration(round) * 40 * time.Millisecond)
			if err := s.Crash(); err != nil {
				t.Fatal(err)
			}
		}
		s, err := StartScheduler(api, options)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		running := 0
		for _, pod := range api.Pods() {
			if pod.Status.Phase == v1.PodRunning {
				running++
			}
		}
		if frameworks := master.Frameworks(); running != 12 || len(master.Tasks()) != 12 || len(frameworks) != 1 {
			t.Errorf("%d pods run with %d tasks of the frameworks %+v, want 12 of one", running, len(master.Tasks()), frameworks)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Fatal(err)
		}
	})
}
