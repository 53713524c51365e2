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
	"fmt"
	"maps"
	"sort"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// FrameworkList is the body of GET /frameworks.
func (m *Master) FrameworkList() object {
	live, done := []any{}, []any{}
	for _, id := range sortedKeys(m.frameworks) {
		live = append(live, m.frameworkObject(m.frameworks[id]))
	}
	for _, f := range m.completed {
		done = append(done, m.frameworkObject(f))
	}
	return object{"frameworks": live, "completed_frameworks": done, "unregistered_frameworks": []any{}}
}

func (m *Master) frameworkObject(f *framework) object {
	tasks, unreachable, completed := []any{}, []any{}, []any{}
	for _, id := range sortedKeys(f.tasks) {
		tasks = append(tasks, taskObject(f.tasks[id]))
	}
	for _, id := range sortedKeys(f.unreachable) {
		unreachable = append(unreachable, taskObject(f.unreachable[id]))
	}
	for _, t := range f.completed {
		completed = append(completed, taskObject(t))
	}
	s := f.summary()
	maps.Copy(s, object{
		"user": f.info.User, "resources": flat(f.usedSum.Resources().Add(f.offeredSum.Resources())), "checkpoint": f.info.GetCheckpoint(),
		"failover_timeout": f.info.GetFailoverTimeout(), "registered_time": seconds(f.registered), "unregistered_time": seconds(f.unregistered),
		"tasks": tasks, "unreachable_tasks": unreachable, "completed_tasks": completed,
		"offers": m.offerObjects(f), "executors": executorObjects(f), "offer_constraints": raw(&f.constraints),
	})
	if f.reregistered.After(f.registered) {
		s["reregistered_time"] = seconds(f.reregistered)
	}
	if f.can(mesos.FrameworkInfo_Capability_MULTI_ROLE) {
		s["roles"] = f.info.Roles
	} else {
		s["role"] = rolesOf(f.info)[0]
	}
	if f.info.Principal != nil {
		s["principal"] = *f.info.Principal
	}
	if f.info.Labels != nil {
		s["labels"] = labelList(f.info.Labels)
	}
	return s
}

func (m *Master) offerObjects(f *framework) []any {
	list := make([]*offer, 0, len(f.offers))
	for _, o := range f.offers {
		list = append(list, o)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].seq < list[j].seq })
	out := []any{}
	for _, o := range list {
		out = append(out, object{
			"id": o.id, "framework_id": f.id, "slave_id": o.agent.id, "resources": flat(o.res), "allocation_info": object{"role": o.role},
		})
	}
	return out
}

func executorObjects(f *framework) []any {
	out := []any{}
	for key, e := range f.executors {
		o := object{
			"executor_id": key.id, "name": e.info.GetName(), "framework_id": f.id, "slave_id": key.agent,
			"source": e.info.GetSource(), "resources": flat(e.res), "role": e.role, "type": e.info.Type.String(),
		}
		if e.info.Command != nil {
			o["command"] = raw(e.info.Command)
		}
		out = append(out, o)
	}
	sort.Slice(out, func(i, j int) bool { return fmt.Sprint(out[i]) < fmt.Sprint(out[j]) })
	return out
}

func taskObject(t *task) object {
	s := object{
		"id": t.id, "name": t.name, "framework_id": t.fw.id, "executor_id": t.executorID, "slave_id": t.agentID,
		"state": t.state.String(), "resources": flat(t.res), "role": t.role,
	}
	statuses := []any{}
	for i := range t.statuses {
		statuses = append(statuses, statusObject(&t.statuses[i]))
	}
	s["statuses"] = statuses
	if l := t.info.GetLabels(); l != nil {
		s["labels"] = labelList(l)
	}
	if t.info.GetDiscovery() != nil {
		s["discovery"] = raw(t.info.Discovery)
	}
	if t.info.GetContainer() != nil {
		s["container"] = raw(t.info.Container)
	}
	if t.info.GetHealthCheck() != nil {
		s["health_check"] = raw(t.info.HealthCheck)
	}
	return s
}

func statusObject(st *mesos.TaskStatus) object {
	s := object{"state": st.GetState().String(), "timestamp": st.GetTimestamp()}
	if cs := st.ContainerStatus; cs != nil {
		shown := *cs
		shown.ExecutorPID = nil
		s["container_status"] = raw(&shown)
	}
	if st.Labels != nil {
		s["labels"] = labelList(st.Labels)
	}
	if st.Healthy != nil {
		s["healthy"] = *st.Healthy
	}
	return s
}

func labelList(l *mesos.Labels) []any {
	out := []any{}
	for _, x := range l.Labels {
		o := object{"key": x.Key}
		if x.Value != nil {
			o["value"] = *x.Value
		}
		out = append(out, o)
	}
	return out
}

// TaskList is the body of GET /tasks: running, completed and unreachable tasks,
// of one framework or with one id if asked for. limit 0 means 100, as in Mesos.
func (m *Master) TaskList(frameworkID, taskID string, limit, offset int) object {
	if limit <= 0 {
		limit = 100
	}
	all := make([]*framework, 0, len(m.frameworks)+len(m.completed))
	for _, id := range sortedKeys(m.frameworks) {
		all = append(all, m.frameworks[id])
	}
	list := []any{}
	add := func(t *task) {
		if taskID != "" && t.id != taskID {
			return
		}
		if offset--; offset < 0 && len(list) < limit {
			list = append(list, taskObject(t))
		}
	}
	for _, f := range append(all, m.completed...) {
		if frameworkID != "" && f.id != frameworkID {
			continue
		}
		for _, id := range sortedKeys(f.tasks) {
			add(f.tasks[id])
		}
		for _, t := range f.completed {
			add(t)
		}
		for _, id := range sortedKeys(f.unreachable) {
			add(f.unreachable[id])
		}
	}
	return object{"tasks": list}
}

// RoleList is the body of GET /roles.
func (m *Master) RoleList() object {
	known := m.knownRoles()
	list := []any{}
	for _, name := range sortedKeys(known) {
		h := known[name]
		frameworks := h.frameworks
		if frameworks == nil {
			frameworks = []string{}
		}
		list = append(list, object{
			"name": name, "weight": m.weightOf(name), "frameworks": frameworks, "allocated": quantities(h.used), "offered": quantities(h.offered),
			"resources": quantities(h.used.Add(h.offered)), "reserved": quantities(h.reserved),
			"quota": m.quotaObject(name, h),
		})
	}
	return object{"roles": list}
}
