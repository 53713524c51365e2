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

package core

import (
	"errors"
	"fmt"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	host "github.com/kube-mesos/kube-mesos/test/mesosmaster/agent"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// accept handles ACCEPT (Mesos master.cpp accept, _accept).
func (m *Master) accept(f *framework, call *scheduler.Call_Accept) {
	offers, err := m.namedOffers(f, call.OfferIDs)
	if err != nil {
		m.acceptFailed(f, call, err)
		return
	}
	refuse := refuseFor(call.Filters)
	if m.fault.swallow(call) {
		for _, o := range offers {
			m.forgetOffer(o)
			m.recoverRes(f, o.agent, o.role, o.res, refuse)
		}
		return
	}
	run := &acceptance{m: m, f: f, agent: offers[0].agent, role: offers[0].role}
	for _, o := range offers {
		m.forgetOffer(o)
		run.left = run.left.Add(o.res)
		f.stats.accepted++
	}
	run.offered = run.left
	for i := range call.Operations {
		run.operation(&call.Operations[i])
	}
	f.stats.use.launched(offers, run.offered, run.left, m.now)
	run.finish(refuse)
}

// namedOffers finds the offers of an ACCEPT; the first fault wins
// (Mesos master/validation.cpp offer::validate, texts as recorded).
func (m *Master) namedOffers(f *framework, ids []mesos.OfferID) ([]*offer, error) {
	if len(ids) == 0 {
		return nil, errors.New("No offers specified")
	}
	seen := map[string]bool{}
	for _, id := range ids {
		if seen[id.Value] {
			return nil, fmt.Errorf("Duplicate offer %s in offer list", id.Value)
		}
		seen[id.Value] = true
	}
	offers := make([]*offer, len(ids))
	for i, id := range ids {
		if offers[i] = m.offers[id.Value]; offers[i] == nil {
			return nil, fmt.Errorf("Offer %s is no longer valid", id.Value)
		}
	}
	for _, o := range offers {
		if o.fw != f {
			return nil, fmt.Errorf("Offer %s has invalid framework %s while framework %s is expected", o.id, o.fw.id, f.id)
		}
	}
	for _, o := range offers[1:] {
		if first := offers[0]; o.role != first.role {
			// The quotes are unbalanced in the master's own text.
			return nil, fmt.Errorf("Aggregated offers must be allocated to the same role. Offer %s uses role '%s but another is using role '%s", o.id, o.role, first.role)
		}
	}
	for _, o := range offers[1:] {
		if first := offers[0]; o.agent != first.agent {
			return nil, fmt.Errorf("Aggregated offers must belong to one single agent. Offer %s uses agent %s and agent %s", o.id, o.agent.id, first.agent.id)
		}
	}
	return offers, nil
}

// acceptFailed drops all tasks of an ACCEPT with an invalid offer and discards
// the valid offers it names, whoever holds them, without filter or RESCIND.
func (m *Master) acceptFailed(f *framework, call *scheduler.Call_Accept, err error) {
	for _, id := range call.OfferIDs {
		if o := m.offers[id.Value]; o != nil {
			m.discardOffer(o, false)
		}
	}
	for i := range call.Operations {
		op := &call.Operations[i]
		tasks := tasksOf(op)
		for j := range tasks {
			m.send(f, m.masterStatus(tasks[j].TaskID.Value, tasks[j].AgentID.Value, f.oneOf(mesos.TASK_DROPPED),
				mesos.REASON_INVALID_OFFERS, "Task launched with invalid offers: "+err.Error()))
		}
		if tasks == nil && op.ID != nil {
			m.sendOperation(f, op.ID, mesos.OPERATION_ERROR, "Operation attempted with invalid offers: "+err.Error(), nil)
		}
	}
}

// tasksOf are the tasks of a LAUNCH or LAUNCH_GROUP, nil for other operations.
func tasksOf(op *mesos.Offer_Operation) []mesos.TaskInfo {
	switch {
	case op.Type == mesos.Offer_Operation_LAUNCH && op.Launch != nil:
		return op.Launch.TaskInfos
	case op.Type == mesos.Offer_Operation_LAUNCH_GROUP && op.LaunchGroup != nil:
		return op.LaunchGroup.TaskGroup.Tasks
	}
	return nil
}

// acceptance is the execution of one ACCEPT; left is what its offers still hold.
type acceptance struct {
	m     *Master
	f     *framework
	agent *agent
	role  string
	left  resource.Resources

	offered resource.Resources
}

// finish gives the remainder back: what was offered as it is under the call's
// filter, what operations made of it without one.
func (r *acceptance) finish(refuse time.Duration) {
	converted := r.left.Sub(r.offered)
	if len(converted) > 0 {
		r.m.recoverRes(r.f, r.agent, r.role, converted, 0)
	}
	if declined := r.left.Sub(converted); len(declined) > 0 {
		r.m.recoverRes(r.f, r.agent, r.role, declined, refuse)
	}
}

func (r *acceptance) operation(op *mesos.Offer_Operation) {
	switch op.Type {
	case mesos.Offer_Operation_LAUNCH:
		if op.Launch != nil {
			r.launch(op)
		}
	case mesos.Offer_Operation_LAUNCH_GROUP:
		if op.LaunchGroup != nil {
			r.launchGroup(op)
		}
	case mesos.Offer_Operation_RESERVE, mesos.Offer_Operation_UNRESERVE, mesos.Offer_Operation_CREATE, mesos.Offer_Operation_DESTROY:
		r.convert(op)
	case mesos.Offer_Operation_GROW_VOLUME, mesos.Offer_Operation_SHRINK_VOLUME:
		r.resize(op)
	case mesos.Offer_Operation_UNKNOWN:
	default:
		if op.ID != nil {
			r.m.sendOperation(r.f, op.ID, mesos.OPERATION_ERROR, op.Type.String()+" operations are not emulated", nil)
		}
	}
}

// launch runs a LAUNCH: each task on its own against what is left.
func (r *acceptance) launch(op *mesos.Offer_Operation) {
	tasks := op.Launch.TaskInfos
	if op.ID != nil {
		r.rejectAll(tasks, mesos.REASON_TASK_INVALID, errors.New("The `id` field cannot be set on LAUNCH operations"))
		return
	}
	if err := invalidResources(tasks, nil); err != nil {
		r.rejectAll(tasks, mesos.REASON_TASK_INVALID, err)
		return
	}
	for i := range tasks {
		info := r.complete(&tasks[i])
		plan, err := r.validateTask(info)
		if err != nil {
			r.reject(info, mesos.REASON_TASK_INVALID, err)
			continue
		}
		r.run([]*launchPlan{plan}, false)
	}
}

// launchGroup runs a LAUNCH_GROUP: all tasks or none.
func (r *acceptance) launchGroup(op *mesos.Offer_Operation) {
	group := op.LaunchGroup
	tasks := group.TaskGroup.Tasks
	reason := mesos.REASON_TASK_GROUP_INVALID
	if op.ID != nil {
		r.rejectAll(tasks, reason, errors.New("The `id` field cannot be set on LAUNCH_GROUP operations"))
		return
	}
	if err := invalidResources(tasks, group.Executor.Resources); err != nil {
		r.rejectAll(tasks, reason, err)
		return
	}
	exec := group.Executor
	exec.Resources = r.allocated(exec.Resources)
	infos := make([]*mesos.TaskInfo, len(tasks))
	for i := range tasks {
		infos[i] = r.complete(&tasks[i])
	}
	plans, err := r.validateGroup(&exec, infos)
	if err != nil {
		r.rejectAll(tasks, reason, err)
		return
	}
	r.run(plans, true)
}

// complete copies a task and fills in what the master fills in: the allocation
// role of resources that lack one, and the framework id of the executor.
func (r *acceptance) complete(in *mesos.TaskInfo) *mesos.TaskInfo {
	t := *in
	t.Resources = r.allocated(in.Resources)
	if in.Executor != nil {
		e := *in.Executor
		e.Resources = r.allocated(e.Resources)
		if e.FrameworkID == nil {
			e.FrameworkID = &mesos.FrameworkID{Value: r.f.id}
		}
		t.Executor = &e
	}
	return &t
}

func (r *acceptance) allocated(in []mesos.Resource) []mesos.Resource {
	out := make([]mesos.Resource, len(in))
	for i := range in {
		out[i] = in[i]
		if out[i].AllocationInfo == nil {
			role := r.role
			out[i].AllocationInfo = &mesos.Resource_AllocationInfo{Role: &role}
		}
	}
	return out
}

// invalidResources checks the form of all resources of an operation: one bad
// entry fails every task (Mesos validateAndUpgradeResources).
func invalidResources(tasks []mesos.TaskInfo, more []mesos.Resource) error {
	for i := range more {
		if err := resource.Validate(&more[i]); err != nil {
			return err
		}
	}
	for i := range tasks {
		for j := range tasks[i].Resources {
			if err := resource.Validate(&tasks[i].Resources[j]); err != nil {
				return err
			}
		}
		for j := range tasks[i].GetExecutor().GetResources() {
			if err := resource.Validate(&tasks[i].Executor.Resources[j]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *acceptance) rejectAll(tasks []mesos.TaskInfo, reason mesos.TaskStatus_Reason, err error) {
	for i := range tasks {
		r.reject(&tasks[i], reason, err)
	}
}

func (r *acceptance) reject(info *mesos.TaskInfo, reason mesos.TaskStatus_Reason, err error) {
	r.f.stats.tasks[mesos.TASK_ERROR]++
	r.m.stats.tasks[mesos.TASK_ERROR]++
	r.m.send(r.f, r.m.masterStatus(info.TaskID.Value, info.AgentID.Value, mesos.TASK_ERROR, reason, err.Error()))
}

// launchPlan is a valid task with what it takes.
type launchPlan struct {
	info      *mesos.TaskInfo
	exec      *mesos.ExecutorInfo // nil for a command task
	newExec   bool                // the master does not know the executor yet
	res, eres resource.Resources
}

// run books a task, or the tasks of a group, and sends them to the agent.
func (r *acceptance) run(plans []*launchPlan, group bool) {
	h := r.agent.host
	var launches []*host.Launch
	for _, p := range plans {
		fail, ok := r.m.fault.rejection()
		if ok && fail.Source == mesos.SOURCE_MASTER {
			r.m.send(r.f, r.m.masterStatus(p.info.TaskID.Value, r.agent.id, fail.State, fail.Reason, fail.Message))
			continue
		}
		if l := r.book(p); !r.m.fault.loseLaunch() {
			launches = append(launches, l)
		}
		if ok {
			defer h.RefuseLaunch(r.f.id, p.info.TaskID.Value, fail.State, fail.Source, fail.Reason, fail.Message)
		}
	}
	if group {
		h.RunGroup(launches)
		return
	}
	for _, l := range launches {
		h.Run(l)
	}
}

// book takes a task and its executor into the books.
func (r *acceptance) book(p *launchPlan) *host.Launch {
	t := &task{
		id: p.info.TaskID.Value, name: p.info.Name, fw: r.f, agentID: r.agent.id, role: r.role, res: p.res,
		info: p.info, state: mesos.TASK_STAGING, launched: r.m.now, charged: true,
	}
	r.left = r.left.Sub(p.res)
	if p.exec != nil {
		t.executorID = p.exec.ExecutorID.Value
		if p.newExec && r.f.executors[execKey{r.agent.id, t.executorID}] == nil {
			r.left = r.left.Sub(p.eres)
			r.m.addExecutor(r.f, r.agent, p.exec, r.role, p.eres)
		}
	}
	r.m.addTask(t, r.agent)
	return &host.Launch{
		Framework: r.f.info, Task: p.info, Executor: p.exec, NewExecutor: p.newExec,
		Role: r.role, Resources: p.res, ExecutorResources: p.eres,
	}
}
