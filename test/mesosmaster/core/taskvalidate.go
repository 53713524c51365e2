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

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// validateTask checks one task of a LAUNCH in the master's order; the first
// fault wins (Mesos master/validation.cpp task::validate, texts as recorded).
func (r *acceptance) validateTask(t *mesos.TaskInfo) (*launchPlan, error) {
	if err := r.validateTaskAlone(t); err != nil {
		return nil, err
	}
	if (t.Executor == nil) == (t.Command == nil) {
		return nil, errors.New("Task should have at least one (but not both) of CommandInfo or ExecutorInfo present")
	}
	p := &launchPlan{info: t, res: resource.FromProtos(t.Resources)}
	if t.Executor != nil {
		if err := r.validateExecutor(t.Executor, mesos.ExecutorInfo_CUSTOM); err != nil {
			return nil, err
		}
		p.exec = t.Executor
		p.eres = resource.FromProtos(t.Executor.Resources)
		p.newExec = r.f.executors[execKey{r.agent.id, t.Executor.ExecutorID.Value}] == nil
		if name := mixesRevocable(p.res.Add(p.eres)); name != "" {
			return nil, fmt.Errorf("Task and its executor mix revocable and non-revocable resources: %s", bothKinds(name))
		}
	}
	total := resource.FromProtos(t.Resources)
	if p.newExec {
		total = resource.Resources{}.Add(total).Add(p.eres)
	}
	if !r.left.Contains(total) {
		return nil, fmt.Errorf("Total resources %s required by task and its executor is more than available %s", total, r.left)
	}
	return p, nil
}

// validateTaskAlone checks what does not depend on executors.
func (r *acceptance) validateTaskAlone(t *mesos.TaskInfo) error {
	id := t.TaskID.Value
	if err := resource.ValidID(id); err != nil {
		return err
	}
	if r.f.tasks[id] != nil {
		return fmt.Errorf("Task has duplicate ID: %s", id)
	}
	if r.f.unreachable[id] != nil {
		return fmt.Errorf("Task reuses the ID of an unreachable task: %s", id)
	}
	if t.AgentID.Value != r.agent.id {
		return fmt.Errorf("Task uses invalid agent %s while agent %s is expected", t.AgentID.Value, r.agent.id)
	}
	if t.GetKillPolicy().GetGracePeriod().GetNanoseconds() < 0 {
		return errors.New("Task's 'kill_policy.grace_period' must be non-negative")
	}
	if t.GetMaxCompletionTime().GetNanoseconds() < 0 {
		return errors.New("Task's 'max_completion_time' must be non-negative")
	}
	if err := validHealthCheck(t.HealthCheck); err != nil {
		return fmt.Errorf("Task uses invalid health check: %w", err)
	}
	if len(t.Resources) == 0 {
		return errors.New("Task uses no resources")
	}
	if err := fractionalGPUs(resource.FromProtos(t.Resources)); err != nil {
		return fmt.Errorf("Task uses invalid resources: %w", err)
	}
	if err := oneAllocationRole(t.Resources); err != nil {
		return fmt.Errorf("Invalid task resources: %w", err)
	}
	if name := mixesRevocable(resource.FromProtos(t.Resources)); name != "" {
		return fmt.Errorf("Task mixes revocable and non-revocable resources: %s", bothKinds(name))
	}
	return validLimits(t)
}

func bothKinds(name string) string {
	return fmt.Sprintf("Cannot use both revocable and non-revocable '%s' at the same time", name)
}

// mixesRevocable returns a resource name present in both kinds.
func mixesRevocable(rs resource.Resources) string {
	kinds := map[string]int{}
	for i := range rs {
		if rs[i].Flavor.Revocable() {
			kinds[rs[i].Name] |= 1
		} else {
			kinds[rs[i].Name] |= 2
		}
	}
	for i := range rs {
		if kinds[rs[i].Name] == 3 {
			return rs[i].Name
		}
	}
	return ""
}

func fractionalGPUs(rs resource.Resources) error {
	if rs.Scalar("gpus")%1000 != 0 {
		return errors.New("Invalid 'gpus' resource: The 'gpus' resource must be an unsigned integer")
	}
	return nil
}

// oneAllocationRole names the two roles in the order of a recorded master: the
// later one first.
func oneAllocationRole(list []mesos.Resource) error {
	role, set := "", false
	for i := range list {
		next := list[i].GetAllocationInfo().GetRole()
		if set && next != role {
			return fmt.Errorf("The resources have multiple allocation roles ('%s' and '%s') but only one allocation role is allowed", next, role)
		}
		role, set = next, true
	}
	return nil
}

func validHealthCheck(h *mesos.HealthCheck) error {
	if h == nil {
		return nil
	}
	need := func(set bool, member, kind string) error {
		if set {
			return nil
		}
		return fmt.Errorf("Expecting '%s' to be set for %s health check", member, kind)
	}
	switch h.Type {
	case mesos.HealthCheck_COMMAND:
		return need(h.Command != nil, "command", "COMMAND")
	case mesos.HealthCheck_HTTP:
		return need(h.HTTP != nil, "http", "HTTP")
	case mesos.HealthCheck_TCP:
		return need(h.TCP != nil, "tcp", "TCP")
	}
	return nil
}

// validLimits: only cpus and mem may be limited, not below the request.
func validLimits(t *mesos.TaskInfo) error {
	rs := resource.FromProtos(t.Resources)
	for _, name := range sortedKeys(t.Limits) {
		limit := resource.MilliOf(t.Limits[name].Value)
		switch {
		case name != "cpus" && name != "mem":
			return errors.New("Only cpus and mem can be set in 'limits'")
		case name == "cpus" && limit < rs.Scalar(name):
			return errors.New("The cpu limit must be greater than or equal to the cpu request")
		case name == "mem" && limit < rs.Scalar(name):
			return errors.New("The memory limit must be greater than or equal to the memory request")
		}
	}
	return nil
}

// validateExecutor checks the executor of a task or a group.
func (r *acceptance) validateExecutor(e *mesos.ExecutorInfo, want mesos.ExecutorInfo_Type) error {
	if want == mesos.ExecutorInfo_CUSTOM && e.Type != mesos.ExecutorInfo_UNKNOWN && e.Type != want {
		return errors.New("'ExecutorInfo.type' must be 'CUSTOM'")
	}
	if want == mesos.ExecutorInfo_CUSTOM && e.Command == nil {
		return errors.New("'ExecutorInfo.command' must be set for 'CUSTOM' executor")
	}
	if err := resource.ValidID(e.ExecutorID.Value); err != nil {
		return err
	}
	if e.GetShutdownGracePeriod().GetNanoseconds() < 0 {
		return errors.New("ExecutorInfo's 'shutdown_grace_period' must be non-negative")
	}
	if e.FrameworkID == nil {
		return errors.New("'ExecutorInfo.framework_id' must be set")
	}
	if e.FrameworkID.Value != r.f.id {
		return fmt.Errorf("ExecutorInfo has an invalid FrameworkID (Actual: %s vs Expected: %s)", e.FrameworkID.Value, r.f.id)
	}
	if err := oneAllocationRole(e.Resources); err != nil {
		return fmt.Errorf("Invalid executor resources: %w", err)
	}
	if name := mixesRevocable(resource.FromProtos(e.Resources)); name != "" {
		return fmt.Errorf("Executor mixes revocable and non-revocable resources: %s", bothKinds(name))
	}
	known := r.f.executors[execKey{r.agent.id, e.ExecutorID.Value}]
	if known == nil || compatible(known.info, e) {
		return nil
	}
	const line = "------------------------------------------------------------\n"
	return fmt.Errorf("ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID.\n%sExisting ExecutorInfo:\n%s\n%sExecutorInfo:\n%s\n%s",
		line, codec.Text(known.info), line, codec.Text(e), line)
}

// compatible is equality of executors as the master sees it: labels and grace
// period do not matter, resources do by value (Mesos type_utils.cpp).
func compatible(a, b *mesos.ExecutorInfo) bool {
	x, y := *a, *b
	x.Labels, y.Labels = nil, nil
	x.ShutdownGracePeriod, y.ShutdownGracePeriod = nil, nil
	if x.Type == mesos.ExecutorInfo_UNKNOWN {
		x.Type = mesos.ExecutorInfo_CUSTOM
	}
	if y.Type == mesos.ExecutorInfo_UNKNOWN {
		y.Type = mesos.ExecutorInfo_CUSTOM
	}
	rx, ry := resource.FromProtos(x.Resources), resource.FromProtos(y.Resources)
	x.Resources, y.Resources = nil, nil
	return rx.Contains(ry) && ry.Contains(rx) && x.Equal(&y)
}

// validateGroup checks a LAUNCH_GROUP (Mesos master/validation.cpp
// task::group::validate).
func (r *acceptance) validateGroup(e *mesos.ExecutorInfo, tasks []*mesos.TaskInfo) ([]*launchPlan, error) {
	seen := map[string]bool{}
	for _, t := range tasks {
		if err := r.validateTaskAlone(t); err != nil {
			return nil, err
		}
		if seen[t.TaskID.Value] {
			return nil, fmt.Errorf("Task has duplicate ID: %s", t.TaskID.Value)
		}
		seen[t.TaskID.Value] = true
		if t.Executor != nil {
			return nil, errors.New("'TaskInfo.executor' must not be set")
		}
		if t.Command == nil {
			return nil, errors.New("'TaskInfo.command' must be set")
		}
	}
	if err := r.validateExecutor(e, mesos.ExecutorInfo_DEFAULT); err != nil {
		return nil, err
	}
	eres := resource.FromProtos(e.Resources)
	isNew := r.f.executors[execKey{r.agent.id, e.ExecutorID.Value}] == nil
	var total resource.Resources
	plans := make([]*launchPlan, len(tasks))
	for i, t := range tasks {
		plans[i] = &launchPlan{info: t, exec: e, newExec: isNew, res: resource.FromProtos(t.Resources), eres: eres}
		total = total.Add(plans[i].res)
	}
	if isNew {
		total = total.Add(eres)
	}
	if !r.left.Contains(total) {
		return nil, fmt.Errorf("Total resources %s required by task group and its executor are more than available %s", total, r.left)
	}
	return plans, nil
}
