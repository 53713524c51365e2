//go:build bench && linux

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

package scheduler

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/component-base/metrics/legacyregistry"
	resourcehelper "k8s.io/component-helpers/resource"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

const (
	observerName = "BenchmarkObserver"
	measured     = "measured"
)

// observer sees by the scheduler's own informer when pods of the measured namespace are
// created and bound. It is a plugin of every variant's profile, without extension
// points, because that is who is given the informer.
type observer struct {
	want    int
	master  int
	profile io.Writer

	mu        sync.Mutex
	informers informers.SharedInformerFactory
	created   map[types.UID]time.Time
	waits     []time.Duration
	start     time.Time
	before    counters
	// done delivers the result.
	done chan result
}

type result struct {
	Measure
	err error
}

// counters are what is told apart by its difference.
type counters struct {
	process, master time.Duration
	cycles          Histogram
}

func newObserver(want, master int, profile io.Writer) *observer {
	return &observer{want: want, master: master, profile: profile, created: map[types.UID]time.Time{}, done: make(chan result, 1)}
}

// New is the plugin's factory, which runs for each profile.
func (o *observer) New(_ context.Context, _ runtime.Object, handle framework.Handle) (framework.Plugin, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.informers != nil {
		return silentPlugin{}, nil
	}
	o.informers = handle.SharedInformerFactory()
	// Made now, for after the start of the factory nobody starts it.
	o.informers.Core().V1().Nodes().Informer()
	_, err := o.informers.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { o.see(nil, obj.(*v1.Pod)) },
		UpdateFunc: func(old, obj any) { o.see(old.(*v1.Pod), obj.(*v1.Pod)) },
	})
	return silentPlugin{}, err
}

type silentPlugin struct{}

// Name implements framework.Plugin.
func (silentPlugin) Name() string { return observerName }

// EventsToRegister implements framework.EnqueueExtensions: without it the scheduler
// would take the plugin to want all events.
func (silentPlugin) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	return nil, nil
}

func (o *observer) see(old, pod *v1.Pod) {
	if pod.Namespace != measured {
		return
	}
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, known := o.created[pod.UID]; !known {
		if len(o.created) == 0 {
			o.begin()
			now = time.Now()
			o.start = now
		}
		o.created[pod.UID] = now
	}
	if pod.Spec.NodeName == "" || old != nil && old.Spec.NodeName != "" {
		return
	}
	if o.waits = append(o.waits, now.Sub(o.created[pod.UID])); len(o.waits) == o.want {
		m, err := o.end(now)
		o.done <- result{m, err}
	}
}

func (o *observer) begin() {
	var err error
	if o.before, err = o.count(); err == nil {
		err = pprof.StartCPUProfile(o.profile)
	}
	if err != nil {
		o.done <- result{err: err}
	}
}

func (o *observer) end(now time.Time) (m Measure, err error) {
	after, err := o.count()
	if err != nil {
		return m, err
	}
	pprof.StopCPUProfile()
	slices.Sort(o.waits)
	m = Measure{
		Pods: o.want, Took: now.Sub(o.start), P50: Quantile(o.waits, 0.5), P99: Quantile(o.waits, 0.99),
		Cycles: after.cycles.Since(o.before.cycles), Process: after.process - o.before.process, Master: after.master - o.before.master,
	}
	m.Placement, err = o.placement()
	return m, err
}

func (o *observer) count() (c counters, err error) {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		return c, err
	}
	c.process = time.Duration(use.Utime.Nano() + use.Stime.Nano())
	if o.master != 0 {
		if c.master, err = processTime(o.master); err != nil {
			return c, err
		}
	}
	c.cycles, err = histogram("scheduler_scheduling_algorithm_duration_seconds")
	return c, err
}

// processTime is the CPU time of another process. The kernel counts it in hundredths of
// a second for whoever reads it.
func processTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The program's name, in parentheses, may hold spaces.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat: want 13 fields after the name, got %d", pid, len(fields))
	}
	var sum int
	for _, field := range fields[11:13] {
		ticks, err := strconv.Atoi(string(field))
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		sum += ticks
	}
	return time.Duration(sum) * 10 * time.Millisecond, nil
}

func histogram(name string) (h Histogram, err error) {
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		return h, err
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			data := metric.GetHistogram()
			h.Count, h.Sum = data.GetSampleCount(), data.GetSampleSum()
			for _, bucket := range data.GetBucket() {
				h.Bounds, h.Counts = append(h.Bounds, bucket.GetUpperBound()), append(h.Counts, bucket.GetCumulativeCount())
			}
		}
	}
	return h, nil
}

// placement looks at all nodes and all pods that are bound.
func (o *observer) placement() (Placement, error) {
	nodes, err := o.informers.Core().V1().Nodes().Lister().List(labels.Everything())
	if err != nil {
		return Placement{}, err
	}
	pods, err := o.informers.Core().V1().Pods().Lister().List(labels.Everything())
	if err != nil {
		return Placement{}, err
	}
	uses, index := make([]Use, len(nodes)), make(map[string]int, len(nodes))
	for i, node := range nodes {
		index[node.Name] = i
		uses[i].CPU, uses[i].Memory = node.Status.Allocatable.Cpu().MilliValue(), node.Status.Allocatable.Memory().Value()
	}
	var sum, largest Use
	for _, pod := range pods {
		i, known := index[pod.Spec.NodeName]
		if !known {
			continue
		}
		need := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
		cpu, memory := need.Cpu().MilliValue(), need.Memory().Value()
		uses[i].UsedCPU, uses[i].UsedMemory, uses[i].Pods = uses[i].UsedCPU+cpu, uses[i].UsedMemory+memory, uses[i].Pods+1
		sum.CPU, sum.Memory, sum.Pods = sum.CPU+cpu, sum.Memory+memory, sum.Pods+1
		largest.CPU, largest.Memory = max(largest.CPU, cpu), max(largest.Memory, memory)
	}
	if sum.Pods == 0 || len(nodes) == 0 {
		return Placement{}, fmt.Errorf("%d pods are bound to %d nodes: nothing to judge", sum.Pods, len(nodes))
	}
	return Judge(uses, Use{CPU: sum.CPU / int64(sum.Pods), Memory: sum.Memory / int64(sum.Pods)}, largest), nil
}
