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

package neighbours

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// Policy is how a model framework deals with offers.
type Policy struct {
	// PerOffer is how many tasks it launches on one offer.
	PerOffer int
	// Refuse is the filter of its DECLINE, RefuseRest that of its ACCEPT.
	Refuse, RefuseRest time.Duration
	// SuppressIdle makes it suppress while no task waits, and revive when one comes,
	// at most every ReviveEvery.
	SuppressIdle bool
	ReviveEvery  time.Duration
	// Think is how long it takes to answer an offer.
	Think time.Duration
	// Hold, if set, is how long it keeps an offer that nothing waits for, and up to a
	// fifth more.
	Hold time.Duration
	// Grant, if set, makes it an oracle: it has no offers but those of exactly one task
	// that Grant brings about, if there is room anywhere.
	Grant func(rng *rand.Rand, frameworkID string, size Size) bool
}

// regrant is how often an oracle looks for room for tasks that wait.
const regrant = 10 * time.Millisecond

// framework is a model framework: it launches what arrives on what it is offered,
// first come first served.
type framework struct {
	client
	name, role string
	policy     Policy
	rng        *rand.Rand
	arrivals   chan []Task
	// placed is told of each task that runs, and when it arrived.
	placed func(task *Task, waited time.Duration)
	start  time.Time

	waiting  []Task
	launched map[string]Task
	held     []heldOffer
	asking   bool
	revived  time.Time
	// regrants is when an oracle that found no room looks again.
	regrants time.Time
	// granted are the tasks in waiting that an offer is under way for.
	granted map[string]bool
	// again counts tasks that were launched in vain.
	again int
}

// heldOffer is an offer that is answered from ready on, and kept until a time.
type heldOffer struct {
	offer        mesos.Offer
	ready, until time.Time
}

func (f *framework) info() *mesos.FrameworkInfo {
	failover := 0.0
	return &mesos.FrameworkInfo{
		User: "nobody", Name: f.name, Roles: []string{f.role}, FailoverTimeout: &failover,
		Capabilities: []mesos.FrameworkInfo_Capability{
			{Type: mesos.FrameworkInfo_Capability_MULTI_ROLE}, {Type: mesos.FrameworkInfo_Capability_PARTITION_AWARE},
		},
	}
}

// connect subscribes.
func (f *framework) connect(ctx context.Context) error {
	var suppressed []string
	f.asking = !f.policy.SuppressIdle
	if !f.asking {
		suppressed = []string{f.role}
	}
	f.launched, f.granted = map[string]Task{}, map[string]bool{}
	return f.subscribe(ctx, f.info(), suppressed)
}

// run works until ctx ends, which breaks the stream.
func (f *framework) run(ctx context.Context) error {
	defer func() { <-f.done }()
	for {
		timer := time.NewTimer(f.nextDeadline())
		var err error
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		case tasks := <-f.arrivals:
			f.waiting = append(f.waiting, tasks...)
		case e, open := <-f.events:
			if !open && ctx.Err() != nil {
				timer.Stop()
				return nil
			}
			if !open {
				timer.Stop()
				return fmt.Errorf("%s: the stream ended", f.name)
			}
			err = f.handle(ctx, e)
		}
		timer.Stop()
		if err == nil {
			err = f.work(ctx)
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
}

// nextDeadline is the time until something is due without an event.
func (f *framework) nextDeadline() time.Duration {
	next := time.Hour
	for i := range f.held {
		wait := time.Until(f.held[i].ready)
		if wait <= 0 {
			wait = time.Until(f.held[i].until)
		}
		next = min(next, wait)
	}
	if f.policy.SuppressIdle && f.policy.Grant == nil && !f.asking && len(f.waiting) > 0 {
		next = min(next, time.Until(f.revived.Add(f.policy.ReviveEvery)))
	}
	if f.policy.Grant != nil && len(f.waiting) > len(f.granted) {
		next = min(next, time.Until(f.regrants))
	}
	return max(next, 0)
}

func (f *framework) handle(ctx context.Context, e *scheduler.Event) error {
	switch e.Type {
	case scheduler.Event_OFFERS:
		ready := time.Now().Add(f.policy.Think)
		for _, o := range e.Offers.Offers {
			hold := f.policy.Hold + time.Duration(f.rng.Float64()*float64(f.policy.Hold)/5)
			f.held = append(f.held, heldOffer{o, ready, ready.Add(hold)})
		}
	case scheduler.Event_RESCIND:
		for i := range f.held {
			if f.held[i].offer.ID == e.Rescind.OfferID {
				f.held = append(f.held[:i], f.held[i+1:]...)
				break
			}
		}
	case scheduler.Event_UPDATE:
		return f.update(ctx, &e.Update.Status)
	case scheduler.Event_ERROR:
		return fmt.Errorf("the master says %q", e.GetError().GetMessage())
	}
	return nil
}

func (f *framework) update(ctx context.Context, s *mesos.TaskStatus) error {
	task, ours := f.launched[s.TaskID.Value]
	switch s.GetState() {
	case mesos.TASK_RUNNING:
		if ours {
			f.placed(&task, time.Since(f.start)-task.At)
			delete(f.launched, task.ID)
		}
	case mesos.TASK_STAGING, mesos.TASK_STARTING, mesos.TASK_FINISHED:
	default:
		if !ours {
			return fmt.Errorf("task %s became %s: %s", s.TaskID.Value, s.GetState(), s.GetMessage())
		}
		delete(f.launched, task.ID)
		f.again++
		task.ID += "+"
		f.waiting = append([]Task{task}, f.waiting...)
	}
	return f.acknowledge(ctx, s)
}

// work launches what it can, gives back what it does not keep, and asks for offers
// or stops to.
func (f *framework) work(ctx context.Context) error {
	now := time.Now()
	var kept []heldOffer
	var declined []mesos.OfferID
	for i := range f.held {
		h := f.held[i]
		if h.ready.After(now) {
			kept = append(kept, h)
			continue
		}
		tasks := f.fill(&h.offer)
		switch {
		case len(tasks) > 0:
			if err := f.accept(ctx, h.offer.ID, tasks, f.policy.RefuseRest.Seconds()); err != nil {
				return err
			}
		case h.until.After(now):
			kept = append(kept, h)
		default:
			declined = append(declined, h.offer.ID)
		}
	}
	f.held = kept
	if err := f.decline(ctx, declined, f.policy.Refuse.Seconds()); err != nil {
		return err
	}
	if f.policy.Grant != nil {
		f.grant(now)
		return nil
	}
	return f.ask(ctx, now)
}

// fill takes waiting tasks for an offer.
func (f *framework) fill(o *mesos.Offer) (tasks []mesos.TaskInfo) {
	free := Size{scalar(o, "cpus"), scalar(o, "mem")}
	var still []Task
	for _, task := range f.waiting {
		// Offers have thousandths, sums of floats have not.
		const least = 1e-6
		other := f.policy.Grant != nil && (!f.granted[task.ID] || task.Size != free)
		if other || len(tasks) == f.policy.PerOffer || task.Size.CPUs > free.CPUs+least || task.Size.MemMB > free.MemMB+least {
			still = append(still, task)
			continue
		}
		free.CPUs, free.MemMB = free.CPUs-task.Size.CPUs, free.MemMB-task.Size.MemMB
		tasks = append(tasks, f.taskInfo(o, &task))
		f.launched[task.ID] = task
		delete(f.granted, task.ID)
	}
	if len(tasks) > 0 {
		f.waiting = still
	}
	return tasks
}

// ask revives while tasks wait, and suppresses otherwise.
func (f *framework) ask(ctx context.Context, now time.Time) error {
	wants := len(f.waiting) > 0
	if !f.policy.SuppressIdle || wants == f.asking || wants && now.Before(f.revived.Add(f.policy.ReviveEvery)) {
		return nil
	}
	f.asking = wants
	if !wants {
		return f.call(ctx, &scheduler.Call{Type: scheduler.Call_SUPPRESS})
	}
	f.revived = now
	return f.call(ctx, &scheduler.Call{Type: scheduler.Call_REVIVE})
}

// grant brings about offers for the tasks that have none under way.
func (f *framework) grant(now time.Time) {
	if now.Before(f.regrants) {
		return
	}
	for _, task := range f.waiting {
		if f.granted[task.ID] {
			continue
		}
		if !f.policy.Grant(f.rng, f.id.Value, task.Size) {
			f.regrants = now.Add(regrant)
			return
		}
		f.granted[task.ID] = true
	}
}

func (f *framework) taskInfo(o *mesos.Offer, task *Task) mesos.TaskInfo {
	command, shell := fmt.Sprintf("sleep %.3f", task.Runs.Seconds()), true
	return mesos.TaskInfo{
		Name: task.ID, TaskID: mesos.TaskID{Value: task.ID}, AgentID: o.AgentID,
		Resources: []mesos.Resource{f.scalarOf("cpus", task.Size.CPUs), f.scalarOf("mem", task.Size.MemMB)},
		Command:   &mesos.CommandInfo{Value: &command, Shell: &shell},
	}
}

func (f *framework) scalarOf(name string, value float64) mesos.Resource {
	kind := mesos.SCALAR
	return mesos.Resource{
		Name: name, Type: &kind, Scalar: &mesos.Value_Scalar{Value: value}, AllocationInfo: &mesos.Resource_AllocationInfo{Role: &f.role},
	}
}

func scalar(o *mesos.Offer, name string) (sum float64) {
	for i := range o.Resources {
		if r := &o.Resources[i]; r.Name == name {
			sum += r.GetScalar().GetValue()
		}
	}
	return sum
}
