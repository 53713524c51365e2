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

package neighbour

import (
	"context"
	"fmt"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// room is how many tasks it still wants.
func (n *Neighbour) room() int {
	return n.cfg.Machines + n.cfg.Tasks - len(n.resting) - len(n.tasks)
}

// answer takes what is wanted of the offers and declines the rest for long.
func (n *Neighbour) answer(ctx context.Context, offers []mesos.Offer) error {
	long, short := 3600.0, 0.0
	var no []mesos.OfferID
	for i := range offers {
		o := &offers[i]
		infos := n.fill(o)
		if len(infos) == 0 {
			no = append(no, o.ID)
			continue
		}
		filters := &mesos.Filters{RefuseSeconds: &long}
		if n.room() > len(infos) {
			filters.RefuseSeconds = &short
		}
		err := n.call(ctx, &scheduler.Call{Type: scheduler.Call_ACCEPT, Accept: &scheduler.Call_Accept{
			OfferIDs: []mesos.OfferID{o.ID}, Filters: filters,
			Operations: []mesos.Offer_Operation{{Type: mesos.Offer_Operation_LAUNCH, Launch: &mesos.Offer_Operation_Launch{TaskInfos: infos}}},
		}})
		if err != nil {
			return err
		}
		for j := range infos {
			n.tasks[infos[j].TaskID.Value] = &held{agent: o.AgentID.Value}
		}
		n.count(func(s *Stats) { s.Launched += len(infos) })
	}
	if len(no) == 0 {
		return nil
	}
	return n.call(ctx, &scheduler.Call{Type: scheduler.Call_DECLINE, Decline: &scheduler.Call_Decline{
		OfferIDs: no, Filters: &mesos.Filters{RefuseSeconds: &long},
	}})
}

// fill makes tasks for an offer, as many as fit and are wanted.
func (n *Neighbour) fill(o *mesos.Offer) []mesos.TaskInfo {
	if n.room() <= 0 {
		return nil
	}
	if n.cfg.Machines > 0 {
		if scalar(o, "cpus") == 0 {
			return nil
		}
		return []mesos.TaskInfo{n.task(o, o.Resources)}
	}
	var out []mesos.TaskInfo
	cpus, mem := scalar(o, "cpus"), scalar(o, "mem")
	for len(out) < n.room() && cpus >= n.cfg.TaskCPUs && mem >= n.cfg.TaskMemMB {
		var rs []mesos.Resource
		if n.cfg.TaskCPUs > 0 {
			rs = append(rs, scalarOf("cpus", n.cfg.TaskCPUs, n.cfg.Role))
		}
		if n.cfg.TaskMemMB > 0 {
			rs = append(rs, scalarOf("mem", n.cfg.TaskMemMB, n.cfg.Role))
		}
		out = append(out, n.task(o, rs))
		cpus, mem = cpus-n.cfg.TaskCPUs, mem-n.cfg.TaskMemMB
	}
	return out
}

func (n *Neighbour) task(o *mesos.Offer, rs []mesos.Resource) mesos.TaskInfo {
	id := fmt.Sprintf("%s.%d", n.cfg.Name, n.seq)
	n.seq++
	command, shell := "sleep infinity", true
	return mesos.TaskInfo{
		Name: id, TaskID: mesos.TaskID{Value: id}, AgentID: o.AgentID, Resources: rs,
		Command: &mesos.CommandInfo{Value: &command, Shell: &shell},
	}
}

// scalar sums the plain, unreserved entries of an offer.
func scalar(o *mesos.Offer, name string) float64 {
	sum := 0.0
	for i := range o.Resources {
		if r := &o.Resources[i]; r.Name == name && len(r.Reservations) == 0 && r.Revocable == nil {
			sum += r.GetScalar().GetValue()
		}
	}
	return sum
}

func scalarOf(name string, value float64, role string) mesos.Resource {
	kind := mesos.SCALAR
	return mesos.Resource{
		Name: name, Type: &kind, Scalar: &mesos.Value_Scalar{Value: value},
		AllocationInfo: &mesos.Resource_AllocationInfo{Role: &role},
	}
}

// update follows the life of a task and acknowledges what asks for it.
func (n *Neighbour) update(ctx context.Context, s *mesos.TaskStatus) error {
	id := s.TaskID.Value
	t := n.tasks[id]
	switch s.GetState() {
	case mesos.TASK_RUNNING:
		if t != nil && !t.running {
			t.running = true
			if n.cfg.Hold > 0 {
				t.until = time.Now().Add(n.cfg.Hold)
			}
		}
		if t == nil { // given up while it was unreachable, and back
			if err := n.kill(ctx, id, s.GetAgentID().GetValue()); err != nil {
				return err
			}
		}
	case mesos.TASK_FINISHED, mesos.TASK_FAILED, mesos.TASK_KILLED, mesos.TASK_ERROR, mesos.TASK_LOST, mesos.TASK_DROPPED,
		mesos.TASK_GONE, mesos.TASK_GONE_BY_OPERATOR, mesos.TASK_UNREACHABLE, mesos.TASK_UNKNOWN:
		n.ended(id, t)
	}
	n.count(func(*Stats) {})
	if len(s.UUID) == 0 || s.AgentID == nil {
		return nil
	}
	return n.call(ctx, &scheduler.Call{Type: scheduler.Call_ACKNOWLEDGE, Acknowledge: &scheduler.Call_Acknowledge{
		AgentID: *s.AgentID, TaskID: s.TaskID, UUID: s.UUID,
	}})
}

func (n *Neighbour) ended(id string, t *held) {
	if t == nil {
		return
	}
	delete(n.tasks, id)
	if t.killed {
		n.count(func(s *Stats) { s.Returned++ })
	} else {
		n.count(func(s *Stats) { s.Lost++ })
	}
	if n.cfg.Rest > 0 {
		n.resting = append(n.resting, time.Now().Add(n.cfg.Rest))
	}
}

// work gives back what is due and asks for offers exactly while it wants more.
func (n *Neighbour) work(ctx context.Context) error {
	if n.frameworkID == nil {
		return nil
	}
	now := time.Now()
	for id, t := range n.tasks {
		if !t.running || t.killed || t.until.IsZero() || t.until.After(now) {
			continue
		}
		t.killed = true
		if err := n.kill(ctx, id, t.agent); err != nil {
			return err
		}
	}
	rested := n.resting[:0]
	for _, at := range n.resting {
		if at.After(now) {
			rested = append(rested, at)
		}
	}
	n.resting = rested
	return n.ask(ctx)
}

func (n *Neighbour) kill(ctx context.Context, id, agentID string) error {
	return n.call(ctx, &scheduler.Call{Type: scheduler.Call_KILL, Kill: &scheduler.Call_Kill{
		TaskID: mesos.TaskID{Value: id}, AgentID: &mesos.AgentID{Value: agentID},
	}})
}

// ask revives its role while it wants more, and suppresses it otherwise.
func (n *Neighbour) ask(ctx context.Context) error {
	enough := n.room() <= 0
	if enough == n.suppressed {
		return nil
	}
	call := &scheduler.Call{Type: scheduler.Call_REVIVE}
	if enough {
		call.Type = scheduler.Call_SUPPRESS
	}
	if err := n.call(ctx, call); err != nil {
		return err
	}
	n.suppressed = enough
	return nil
}
