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

// Package neighbour is a small Mesos framework that shares a cluster with the
// one under test: it takes machines or resources with tasks, gives them back
// after a while, and takes again, so that contention in tests and demonstrations
// is real. It is an ordinary HTTP client of any master of the v1 API.
package neighbour

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"k8s.io/klog/v2"
)

// Config says whom a Neighbour talks to and what it takes. Either Machines or
// Tasks is set.
type Config struct {
	// URL is the master's base URL.
	URL string
	// Transport is used for HTTP; nil: http.DefaultTransport.
	Transport http.RoundTripper
	// Name and Role of the framework, default "neighbour" both.
	Name, Role string
	// Machines is how many machines it takes whole, with one task each.
	Machines int
	// Tasks is how many tasks it runs, of TaskCPUs and TaskMemMB each.
	Tasks               int
	TaskCPUs, TaskMemMB float64
	// Hold is how long it keeps a task; zero: as long as it runs.
	Hold time.Duration
	// Rest is how long it waits before it takes again what it gave back.
	Rest time.Duration
}

// Stats is what a Neighbour has done so far.
type Stats struct {
	Held     int // tasks launched and not ended
	Running  int
	Launched int
	Returned int // tasks it has killed after Hold
	Lost     int // tasks that ended otherwise
}

// Neighbour is a running framework. Run drives it, Stats watches it.
type Neighbour struct {
	cfg         Config
	http        *http.Client
	frameworkID *mesos.FrameworkID
	sub         *subscription

	seq        int
	tasks      map[string]*held
	resting    []time.Time // when each given-back place may be taken again
	suppressed bool

	mu    sync.Mutex
	stats Stats
}

// held is one task of the neighbour.
type held struct {
	agent   string
	running bool
	until   time.Time // zero: for ever
	killed  bool
}

// New returns a Neighbour that has not started.
func New(cfg Config) (*Neighbour, error) {
	if cfg.Name == "" {
		cfg.Name = "neighbour"
	}
	if cfg.Role == "" {
		cfg.Role = "neighbour"
	}
	switch {
	case cfg.URL == "":
		return nil, errors.New("neighbour: URL of the master missing")
	case (cfg.Machines > 0) == (cfg.Tasks > 0):
		return nil, errors.New("neighbour: set either Machines or Tasks")
	case cfg.Tasks > 0 && cfg.TaskCPUs <= 0 && cfg.TaskMemMB <= 0:
		return nil, errors.New("neighbour: tasks without size: set TaskCPUs or TaskMemMB")
	}
	return &Neighbour{cfg: cfg, http: &http.Client{Transport: cfg.Transport}, tasks: map[string]*held{}}, nil
}

// Stats returns what has happened so far. It may be called at any time.
func (n *Neighbour) Stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stats
}

func (n *Neighbour) count(f func(s *Stats)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f(&n.stats)
	n.stats.Held = len(n.tasks)
	n.stats.Running = 0
	for _, t := range n.tasks {
		if t.running {
			n.stats.Running++
		}
	}
}

func (n *Neighbour) frameworkInfo() *mesos.FrameworkInfo {
	yes, failover := true, 3600.0
	return &mesos.FrameworkInfo{
		User: "root", Name: n.cfg.Name, ID: n.frameworkID, Roles: []string{n.cfg.Role}, Checkpoint: &yes, FailoverTimeout: &failover,
		Capabilities: []mesos.FrameworkInfo_Capability{
			{Type: mesos.FrameworkInfo_Capability_MULTI_ROLE}, {Type: mesos.FrameworkInfo_Capability_RESERVATION_REFINEMENT},
			{Type: mesos.FrameworkInfo_Capability_PARTITION_AWARE},
		},
	}
}

// Bounds of the pause between attempts to subscribe.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second
)

// Run takes and returns until ctx ends, subscribing again whenever the stream
// breaks; then it tears its framework down, which ends its tasks. It returns an
// error only if the master has removed the framework.
func (n *Neighbour) Run(ctx context.Context) error {
	logger := klog.FromContext(ctx)
	backoff := minBackoff
	for ctx.Err() == nil {
		subscribed, err := n.session(ctx)
		if errors.Is(err, errRemoved) {
			return err
		}
		if subscribed {
			backoff = minBackoff
		}
		logger.V(2).Info("Neighbour lost its subscription", "framework", n.cfg.Name, "retryAfter", backoff, "err", err)
		select {
		case <-time.After(backoff):
		case <-ctx.Done():
		}
		backoff = min(2*backoff, maxBackoff)
	}
	return nil
}

var errRemoved = errors.New("neighbour: the master has removed the framework")

// session is one subscription from beginning to end.
func (n *Neighbour) session(ctx context.Context) (subscribed bool, err error) {
	streamCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	if n.sub, err = n.subscribe(streamCtx); err != nil {
		return false, err
	}
	defer n.sub.close()
	n.suppressed = false
	for {
		timer := time.NewTimer(n.nextDeadline())
		select {
		case <-ctx.Done():
			timer.Stop()
			return true, n.teardown(streamCtx)
		case <-timer.C:
			err = n.work(ctx)
		case e, ok := <-n.sub.events:
			timer.Stop()
			if !ok {
				return true, errors.New("neighbour: the stream ended")
			}
			if err = n.handle(ctx, e); err == nil {
				err = n.work(ctx)
			}
		}
		if err != nil {
			return true, err
		}
	}
}

func (n *Neighbour) teardown(ctx context.Context) error {
	if n.frameworkID == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := n.call(ctx, &scheduler.Call{Type: scheduler.Call_TEARDOWN})
	clear(n.tasks)
	n.count(func(*Stats) {})
	return err
}

// nextDeadline is the time until the next task is due to go back or the next
// rest is over.
func (n *Neighbour) nextDeadline() time.Duration {
	next := time.Duration(math.MaxInt64)
	for _, t := range n.tasks {
		if t.running && !t.killed && !t.until.IsZero() {
			next = min(next, time.Until(t.until))
		}
	}
	for _, at := range n.resting {
		next = min(next, time.Until(at))
	}
	return max(next, 0)
}

// handle takes note of an event.
func (n *Neighbour) handle(ctx context.Context, e *scheduler.Event) error {
	switch e.Type {
	case scheduler.Event_SUBSCRIBED:
		n.frameworkID = e.Subscribed.FrameworkID
		// Which tasks live is told by the answers; those the master does not name
		// are asked for one by one.
		return n.call(ctx, &scheduler.Call{Type: scheduler.Call_RECONCILE, Reconcile: n.known()})
	case scheduler.Event_OFFERS:
		return n.answer(ctx, e.Offers.Offers)
	case scheduler.Event_UPDATE:
		return n.update(ctx, &e.Update.Status)
	case scheduler.Event_ERROR:
		if e.GetError().GetMessage() == "Framework has been removed" {
			return errRemoved
		}
		return fmt.Errorf("neighbour: master says %q", e.GetError().GetMessage())
	}
	return nil
}

func (n *Neighbour) known() *scheduler.Call_Reconcile {
	r := &scheduler.Call_Reconcile{}
	for id, t := range n.tasks {
		r.Tasks = append(r.Tasks, scheduler.Call_Reconcile_Task{TaskID: mesos.TaskID{Value: id}, AgentID: &mesos.AgentID{Value: t.agent}})
	}
	return r
}
