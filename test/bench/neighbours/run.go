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

// Package neighbours measures what our presence costs the other frameworks of a
// Mesos cluster, and how fast our pods are placed among them. See README.md.
package neighbours

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
	"github.com/kube-mesos/kube-mesos/test/stage"
)

// Variant is who places our pods.
type Variant string

// The variants. All but Without place the same pods.
const (
	// Without is the cluster without our load.
	Without Variant = "without us"
	// Oracle takes for each pod exactly its resources the moment they are free, and
	// never holds an offer.
	Oracle Variant = "oracle"
	// Us is the scheduler with the plugin.
	Us Variant = "us"
	// Hoarder keeps each offer for 5 to 6 minutes and launches one task on it, as Apache
	// Aurora does by default.
	Hoarder Variant = "hoarder"
	// Decliner declines what it does not use for 5 s, Mesos' default, and never
	// suppresses.
	Decliner Variant = "decliner"
)

// Variants are all, in the order of the report.
var Variants = []Variant{Without, Oracle, Us, Hoarder, Decliner}

const (
	ourName = "kube-mesos"
	ourRole = "kubernetes"
	// drain bounds how long tasks that wait at the end are waited for.
	drain = 15 * time.Minute
	// idle is how long we may take to give everything back without pending pods.
	idle = 5 * time.Second
)

// run is one run of a variant. It lives in one synctest bubble.
type run struct {
	world      World
	master     *mesosmaster.Master
	hosts      []string
	frameworks []*framework
	running    sync.WaitGroup
	start      time.Time
	cancel     context.CancelFunc

	mu sync.Mutex
	// open counts tasks that have not been placed.
	open   int
	result Result
	errs   []error
}

// Run runs the world with one variant. It must be called in a synctest bubble; dir is
// for temporary files.
func Run(ctx context.Context, world World, variant Variant, dir string) (*Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &run{world: world, start: time.Now(), cancel: cancel, result: Result{Variant: variant}}
	r.startMaster()
	defer r.master.Close()
	var feeds []*feed
	for i := range world.Kinds {
		more, err := r.startKind(ctx, &world.Kinds[i])
		if err != nil {
			return nil, err
		}
		feeds = append(feeds, more...)
	}
	stop := func() error { return nil }
	if variant != Without {
		ours, stopOurs, err := r.startOurs(ctx, variant, dir)
		if err != nil {
			return nil, err
		}
		feeds, stop = append(feeds, ours), stopOurs
	}
	for _, f := range feeds {
		r.running.Go(func() { r.feed(ctx, f) })
	}
	time.Sleep(world.Length)
	r.awaitPlaced()
	time.Sleep(idle)
	r.takeUse(variant)
	r.fail(stop())
	cancel()
	r.running.Wait()
	r.result.finish()
	return &r.result, errors.Join(r.errs...)
}

func (r *run) startMaster() {
	config := mesosmaster.Config{Seed: r.world.Seed, CallLog: 1, LaunchDelay: launchDelay}
	for i := range r.world.Agents {
		host := fmt.Sprintf("agent-%02d", i)
		r.hosts = append(r.hosts, host)
		config.Agents = append(config.Agents, mesosmaster.AgentConfig{
			Hostname: host, Resources: fmt.Sprintf("cpus:%d;mem:%d", agentCPUs, agentMemMB),
		})
	}
	r.master = mesosmaster.New(config)
}

// feed is the tasks of one framework, and who takes them.
type feed struct {
	tasks []Task
	take  func(ctx context.Context, tasks []Task)
}

// feed hands out tasks as they arrive.
func (r *run) feed(ctx context.Context, f *feed) {
	for len(f.tasks) > 0 {
		n := 1
		for n < len(f.tasks) && f.tasks[n].At == f.tasks[0].At {
			n++
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(r.start.Add(f.tasks[0].At))):
		}
		r.mu.Lock()
		r.open += n
		r.mu.Unlock()
		f.take(ctx, f.tasks[:n])
		f.tasks = f.tasks[n:]
	}
}

func (r *run) startKind(ctx context.Context, k *Kind) (feeds []*feed, err error) {
	for i := range k.Frameworks {
		name, role := fmt.Sprintf("%s-%d", k.Name, i), k.Name
		if k.OwnRoles {
			role = name
		}
		f := r.newFramework(name, role, k.Name, k.Policy)
		if err := r.startFramework(ctx, f); err != nil {
			return nil, err
		}
		feeds = append(feeds, &feed{r.world.Tasks(k, i), f.take})
	}
	return feeds, nil
}

func (r *run) newFramework(name, role, kind string, policy Policy) *framework {
	return &framework{
		client: client{http: r.master.Transport()}, name: name, role: role, policy: policy, start: r.start,
		rng: r.world.random("policy " + name), arrivals: make(chan []Task),
		placed: func(task *Task, waited time.Duration) { r.placed(kind, name, task, waited) },
	}
}

func (r *run) startFramework(ctx context.Context, f *framework) error {
	if err := f.connect(ctx); err != nil {
		return err
	}
	r.frameworks = append(r.frameworks, f)
	r.running.Go(func() { r.fail(f.run(ctx)) })
	return nil
}

func (f *framework) take(ctx context.Context, tasks []Task) {
	select {
	case f.arrivals <- tasks:
	case <-ctx.Done():
	}
}

// placed notes that a task runs.
func (r *run) placed(kind, framework string, task *Task, waited time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open--
	if task.Measured {
		r.result.add(kind, framework, waited, task.Runs)
	}
}

func (r *run) fail(err error) {
	if err == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, err)
}

// awaitPlaced returns when no task waits any more.
func (r *run) awaitPlaced() {
	deadline := time.Now().Add(drain)
	for time.Now().Before(deadline) {
		r.mu.Lock()
		open := r.open
		r.mu.Unlock()
		if open == 0 {
			return
		}
		time.Sleep(time.Second)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, fmt.Errorf("%d tasks still wait %v after the last one arrived", r.open, drain))
}

// startOurs starts who places our pods.
func (r *run) startOurs(ctx context.Context, variant Variant, dir string) (*feed, func() error, error) {
	tasks := r.world.Tasks(&r.world.Pods, 0)
	if variant == Us {
		take, stop, err := r.startScheduler(dir, tasks)
		return &feed{tasks, take}, stop, err
	}
	policy := Policy{PerOffer: 100, Refuse: 5 * time.Second, RefuseRest: 5 * time.Second}
	switch variant {
	case Oracle:
		policy = Policy{PerOffer: 1, SuppressIdle: true, Grant: r.grant}
	case Hoarder:
		policy.PerOffer, policy.Hold = 1, 5*time.Minute
	}
	f := r.newFramework(ourName, ourRole, r.world.Pods.Name, policy)
	return &feed{tasks, f.take}, func() error { return nil }, r.startFramework(ctx, f)
}

// grant offers the oracle what it asks for, on any agent that has it free.
func (r *run) grant(rng *rand.Rand, frameworkID string, size Size) bool {
	for _, i := range rng.Perm(len(r.hosts)) {
		resources := fmt.Sprintf("cpus:%.3f;mem:%.3f", size.CPUs, size.MemMB)
		if r.master.OfferNow(frameworkID, r.hosts[i], ourRole, resources) == nil {
			return true
		}
	}
	return false
}

// startScheduler starts our scheduler before a Kubernetes cluster of the same
// machines.
func (r *run) startScheduler(dir string, tasks []Task) (take func(context.Context, []Task), stop func() error, err error) {
	byName := make(map[string]*Task, len(tasks))
	for i := range tasks {
		byName[tasks[i].ID] = &tasks[i]
	}
	api := stage.NewAPI(r.hosts)
	life, end := context.WithCancel(context.Background())
	api.OnBound = func(pod *v1.Pod) {
		task := byName[pod.Name]
		r.placed(r.world.Pods.Name, ourName, task, time.Since(r.start)-task.At)
		api.EndPodAfter(life, pod.Name, task.Runs, r.fail)
	}
	scheduler, err := stage.StartScheduler(api, stage.SchedulerOptions{
		Name: ourName, Role: ourRole, Dir: dir,
		Dial: func(_ context.Context, _, address string) (net.Conn, error) { return r.master.Dial(address) },
	})
	if err != nil {
		end()
		return nil, nil, err
	}
	take = func(ctx context.Context, tasks []Task) {
		for i := range tasks {
			r.fail(api.CreatePod(ctx, tasks[i].ID, requests(tasks[i].Size)))
		}
	}
	stop = func() error {
		end()
		api.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		return scheduler.Stop(ctx)
	}
	return take, stop, nil
}

func requests(size Size) v1.ResourceList {
	return v1.ResourceList{
		v1.ResourceCPU:    *resource.NewMilliQuantity(int64(size.CPUs*1000), resource.DecimalSI),
		v1.ResourceMemory: *resource.NewQuantity(int64(size.MemMB)<<20, resource.BinarySI),
	}
}

// takeUse reads what our framework had of offers, and what it holds after a while
// without pending pods.
func (r *run) takeUse(variant Variant) {
	for _, f := range r.master.Frameworks() {
		if f.Name != ourName {
			continue
		}
		r.result.Use = f.Use
		if variant != Us {
			continue
		}
		if f.Offers > 0 || len(f.SuppressedRoles) != len(f.Roles) {
			r.fail(fmt.Errorf("%v after the last pending pod we hold %d offers, and of roles %v are suppressed %v", idle, f.Offers, f.Roles, f.SuppressedRoles))
		}
	}
	r.fail(r.master.CheckInvariants())
}
