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

package crash

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2/ktesting"

	"github.com/kube-mesos/kube-mesos/test/faults"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
	"github.com/kube-mesos/kube-mesos/test/stage"
)

const (
	frameworkName, role = "kube-mesos", "kubernetes"
	// restart is how long a killed process takes to be there again.
	restart = 2 * time.Second
	// patience is the time from the worst of disturbances to order. That is an API
	// server away for a minute, whose watchers try again after up to another one; then
	// 30 s of a healthy connection.
	patience = 150 * time.Second
	// forgotten is when the master has forgotten a framework whose first connection
	// became half-open: TCP's time-out, and the first failover timeout.
	forgotten = 20 * time.Minute
	// settled is how long it is watched that things stay as they ought to.
	settled = 45 * time.Second
)

// world is one run: agents, a master, an API server with kubelets, and our scheduler,
// which a crash point may kill.
type world struct {
	t      *testing.T
	dir    string
	args   string
	master *mesosmaster.Master
	api    *stage.API
	mesos  *faults.Mesos
	kube   *faults.Kubernetes
	judge  *judge

	mu      sync.Mutex
	current *stage.Scheduler
	reaping sync.WaitGroup
	crashes int
	// begun is when a scenario comes to what others do not have.
	begun time.Time
}

// newWorld is called inside a bubble.
func newWorld(t *testing.T, dir string, s *scenario) *world {
	t.Helper()
	w := &world{t: t, dir: dir, args: s.args, begun: time.Now()}
	w.master = mesosmaster.New(mesosmaster.Config{LaunchDelay: s.launch, Agents: []mesosmaster.AgentConfig{
		{Hostname: "node-a", Resources: "cpus:4;mem:8192;disk:10000"}, {Hostname: "node-b", Resources: "cpus:4;mem:8192;disk:10000"},
	}})
	w.api = stage.NewAPI([]string{"node-a", "node-b"})
	var err error
	if w.mesos, err = faults.NewMesos(func(_ context.Context, _, address string) (net.Conn, error) { return w.master.Dial(address) }); err != nil {
		t.Fatal(err)
	}
	if w.kube, err = faults.NewKubernetes(); err != nil {
		t.Fatal(err)
	}
	w.judge = newJudge(w)
	return w
}

// run plays a scenario from the start of our scheduler to the end of everything.
func (w *world) run(s *scenario) {
	kubelets := w.api.StartKubelets(stage.KubeletOptions{Start: time.Second, Stop: time.Second, Collect: time.Minute})
	defer w.close(kubelets)
	w.start()
	// The life of our process begins before that of any pod.
	time.Sleep(10 * time.Second)
	s.play(w)
	w.await("idle", w.judge.idle)
	time.Sleep(settled)
	if len(w.master.Frameworks()) > 1 {
		time.Sleep(forgotten)
	}
	w.judge.final()
}

func (w *world) close(kubelets *stage.Kubelets) {
	w.reaping.Wait()
	w.mu.Lock()
	current := w.current
	w.current = nil
	w.mu.Unlock()
	if current != nil {
		w.must(current.Crash())
	}
	kubelets.Stop()
	w.mesos.Close()
	w.master.Close()
}

func (w *world) must(err error) {
	if err != nil {
		w.t.Error(err)
	}
}

// start starts our scheduler.
func (w *world) start() {
	logger := logr.Discard()
	if os.Getenv("CRASH_LOG") != "" {
		logger = ktesting.NewLogger(w.t, ktesting.NewConfig(ktesting.Verbosity(4)))
	}
	s, err := stage.BeginScheduler(w.api, stage.SchedulerOptions{
		Name: frameworkName, Role: role, Args: w.args, Dir: w.dir, Logger: logger, Dial: w.mesos.Dial,
		WrapAPI: func(api http.RoundTripper) http.RoundTripper { return w.kube.Wrap(api) },
	})
	if err != nil {
		w.t.Error(err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.current = s
}

// kill kills our process, from within any of its calls, and lets another one follow.
func (w *world) kill() {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.current
	if s == nil {
		return
	}
	w.current = nil
	w.crashes++
	s.Kill()
	w.reaping.Go(func() { w.must(s.Reap()) })
	w.reaping.Go(func() {
		time.Sleep(restart)
		w.start()
	})
}

// failOver is the death of the master, and another one in its place.
func (w *world) failOver() { w.must(w.master.Restart()) }

// await waits until a condition holds: it says what is missing.
func (w *world) await(what string, missing func() string) {
	w.t.Helper()
	why := ""
	for began := time.Now(); time.Since(began) < patience; time.Sleep(100 * time.Millisecond) {
		if why = missing(); why == "" {
			return
		}
	}
	w.t.Errorf("not within %v: %s: %s", patience, what, why)
}

// special tells that what a scenario did up to now, others do as well.
func (w *world) special() { w.begun = time.Now() }

// pod returns the pod, nil if there is none.
func (w *world) pod(name string) *v1.Pod {
	for _, pod := range w.api.Pods() {
		if pod.Name == name {
			return pod
		}
	}
	return nil
}

func (w *world) create(name, cpus string) {
	w.must(w.api.CreatePod(context.Background(), name, v1.ResourceList{v1.ResourceCPU: resource.MustParse(cpus), v1.ResourceMemory: resource.MustParse("512Mi")}))
}

// delete deletes the pod as its user does.
func (w *world) delete(name string) {
	w.judge.mayGo(name)
	grace := int64(30)
	w.must(w.api.Client().CoreV1().Pods(stage.Namespace).Delete(context.Background(), name, metav1.DeleteOptions{GracePeriodSeconds: &grace}))
}

// awaitHeld waits until the pod runs and is held by tasks of n cores, with annotations
// that name the first.
func (w *world) awaitHeld(name string, cpus float64) {
	w.t.Helper()
	w.await(fmt.Sprintf("pod %s runs by %v cores", name, cpus), func() string { return w.judge.held(name, cpus) })
}

func (w *world) awaitGone(name string) {
	w.t.Helper()
	w.await("pod "+name+" is gone", func() string {
		if pod := w.pod(name); pod != nil {
			return fmt.Sprintf("it is there, phase %s, being deleted: %v", pod.Status.Phase, pod.DeletionTimestamp != nil)
		}
		return ""
	})
}

// live are our tasks that have not ended.
func (w *world) live() []mesosmaster.TaskSnapshot {
	var out []mesosmaster.TaskSnapshot
	for _, task := range w.master.Tasks() {
		switch task.State {
		case "TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING", "TASK_UNREACHABLE":
			out = append(out, task)
		}
	}
	return out
}

// tasksOf are the live tasks of a pod.
func (w *world) tasksOf(pod *v1.Pod) []mesosmaster.TaskSnapshot {
	var out []mesosmaster.TaskSnapshot
	for _, task := range w.live() {
		if strings.HasPrefix(task.TaskID, string(pod.UID)+".") {
			out = append(out, task)
		}
	}
	return out
}
