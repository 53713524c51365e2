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

package neighbour_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/neighbour"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func cluster(hosts ...string) *mesosmaster.Master {
	var agents []mesosmaster.AgentConfig
	for _, h := range hosts {
		agents = append(agents, mesosmaster.AgentConfig{Hostname: h, Resources: "cpus:4;mem:8192;ports:[31000-31100]"})
	}
	return mesosmaster.New(mesosmaster.Config{Agents: agents})
}

// run starts a neighbour and returns a function that stops it and waits.
func run(t *testing.T, cfg neighbour.Config) (*neighbour.Neighbour, func()) {
	t.Helper()
	n, err := neighbour.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	return n, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// running counts tasks in TASK_RUNNING, and checks the books.
func running(t *testing.T, m *mesosmaster.Master) int {
	t.Helper()
	synctest.Wait()
	if err := m.CheckInvariants(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, task := range m.Tasks() {
		if task.State == "TASK_RUNNING" {
			n++
		}
	}
	return n
}

func TestTakesReturnsAndTakesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := cluster("a", "b", "c", "d")
		defer m.Close()
		n, stop := run(t, neighbour.Config{URL: m.URL(), Transport: m.Transport(), Machines: 3, Hold: time.Minute, Rest: 30 * time.Second})
		time.Sleep(10 * time.Second)
		if got := running(t, m); got != 3 {
			t.Fatalf("%d machines taken, want 3", got)
		}
		if fw := m.Frameworks()[0]; fw.Offers != 0 || len(fw.SuppressedRoles) != 1 {
			t.Fatalf("a neighbour with enough must hold no offers and be suppressed: %+v", fw)
		}
		time.Sleep(time.Minute)
		if got := running(t, m); got != 0 {
			t.Fatalf("%d machines held after their time", got)
		}
		time.Sleep(30 * time.Second)
		if got := running(t, m); got != 3 {
			t.Fatalf("%d machines taken again, want 3", got)
		}
		if s := n.Stats(); s.Returned != 3 || s.Launched != 6 || s.Lost != 0 {
			t.Fatalf("stats: %+v", s)
		}
		stop()
		if len(m.Tasks()) != 0 || len(m.Frameworks()) != 0 {
			t.Fatal("the framework must be torn down at the end")
		}
	})
}

func TestSizedTasksAndLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := cluster("a", "b")
		defer m.Close()
		n, stop := run(t, neighbour.Config{URL: m.URL(), Transport: m.Transport(), Tasks: 5, TaskCPUs: 1, TaskMemMB: 512})
		defer stop()
		time.Sleep(5 * time.Second)
		if got := running(t, m); got != 5 {
			t.Fatalf("%d tasks, want 5", got)
		}
		if err := m.FailTask(m.Tasks()[0].TaskID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if got := running(t, m); got != 5 {
			t.Fatalf("a lost task must be replaced: %d run", got)
		}
		if s := n.Stats(); s.Lost != 1 || s.Running != 5 {
			t.Fatalf("stats: %+v", s)
		}
	})
}

// A neighbour survives what happens to masters and streams.
func TestComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := cluster("a", "b")
		defer m.Close()
		n, stop := run(t, neighbour.Config{URL: m.URL(), Transport: m.Transport(), Machines: 1})
		defer stop()
		time.Sleep(time.Second)
		if err := m.Faults().CutStream("", true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if got := running(t, m); got != 1 {
			t.Fatalf("%d tasks after a cut, want 1", got)
		}
		m.Stop()
		time.Sleep(30 * time.Second)
		if err := m.StartAgain(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		if got := running(t, m); got != 1 {
			t.Fatalf("%d tasks after a master restart, want 1", got)
		}
		if s := n.Stats(); s.Launched != 1 {
			t.Fatalf("the task must have been kept: %+v", s)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	for _, cfg := range []neighbour.Config{
		{Machines: 1},
		{URL: "http://x"},
		{URL: "http://x", Machines: 1, Tasks: 1, TaskCPUs: 1},
		{URL: "http://x", Tasks: 1},
	} {
		if _, err := neighbour.New(cfg); err == nil {
			t.Errorf("%+v must be refused", cfg)
		}
	}
}
