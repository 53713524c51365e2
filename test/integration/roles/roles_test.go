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

package roles

import (
	"fmt"
	"slices"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/allocator"
)

// swift lets roles come and go without much delay; "kube" is for namespaces that say
// nothing.
const swift = `
      framework: {role: kube}
      roles: {updatePeriod: 1s, keepUnused: 0s, fallbackAfter: 0s}
`

func TestRoles(t *testing.T) {
	kube := cluster.StartKube(t)
	t.Run("pods use the roles of their namespaces", func(t *testing.T) { assigned(kube.New(t, 2, cluster.Quick())) })
	t.Run("a pod falls back to its second role", func(t *testing.T) { fallsBack(kube.New(t, 1, starved())) })
	t.Run("a role taken away", func(t *testing.T) { takenAway(kube.New(t, 2, cluster.Quick())) })
	t.Run("a pod follows its namespace while it waits", func(t *testing.T) { follows(kube.New(t, 1, cluster.Quick())) })
	t.Run("a new scheduler has all roles", func(t *testing.T) { restarts(kube.New(t, 3, cluster.Quick())) })
}

const podRole = "kube-mesos.io/role"

// inRole lets a pod choose a role.
func inRole(role string) func(*v1.Pod) {
	return func(p *v1.Pod) { p.Annotations = map[string]string{podRole: role} }
}

// wantRole checks which role's resources the pod's task has, and what the binding
// says of it.
func wantRole(c *cluster.Cluster, pod, role string) {
	c.T.Helper()
	if task := c.Task(pod); task.Role != role {
		c.T.Errorf("the task of pod %s/%s has role %q, want %q", c.Namespace, pod, task.Role, role)
	}
	if got := c.Pod(pod).Annotations[podRole]; got != role {
		c.T.Errorf("pod %s/%s was bound with role %q, want %q", c.Namespace, pod, got, role)
	}
}

// assigned: the annotation of the namespace goes before rules, these before the
// default, and a pod may choose among the roles of its namespace and no others.
func assigned(c *cluster.Cluster) {
	c.Args = `
      framework: {role: kube}
      roles:
        updatePeriod: 1s
        fallbackAfter: 10m
        rules:
        - {namespaceSelector: {matchLabels: {tenant: "yes"}}, roles: ["k8s/{namespace}", "spare"]}
`
	tenant := func(ns *v1.Namespace) { ns.Labels = map[string]string{"tenant": "yes"} }
	eng := c.AddNamespace("eng", cluster.WithRoles("eng/ads", " eng"), tenant)
	byRule := c.AddNamespace("tenant", tenant)
	c.StartScheduler()
	c.AddPod("one", "1", "1Gi")
	eng.AddPod("first", "500m", "1Gi")
	eng.AddPod("second", "500m", "1Gi", inRole("eng"))
	eng.AddPod("third", "500m", "1Gi", inRole("ops"))
	byRule.AddPod("one", "1", "1Gi")
	c.WaitBound("one")
	eng.WaitBound("first", "second")
	byRule.WaitBound("one")
	eng.WaitUnscheduled("third", `names the Mesos role "ops"`, `"eng/ads", "eng"`)
	wantRole(c, "one", "kube")
	wantRole(eng, "first", "eng/ads")
	wantRole(eng, "second", "eng")
	wantRole(byRule, "one", "k8s/"+byRule.Namespace)
	c.WaitSettled()
	// Nobody was asked for the roles that no pod came to.
	c.WaitRoles("eng", "eng/ads", "k8s/"+byRule.Namespace, "kube", "spare")
	eng.AnnotatePod("third", podRole, "eng")
	eng.WaitBound("third")
	wantRole(eng, "third", "eng")
	c.WaitIdle()
	c.Finish()
}

// starved is a master where role "poor" may have nothing.
func starved() mesosmaster.Config {
	config := cluster.Quick()
	config.Quotas = map[string]allocator.Quota{"poor": {Limits: allocator.LimitsOf(map[string]int64{"cpus": 0, "mem": 0})}}
	return config
}

// fallsBack: we do not look at the quota here, so nothing but time tells that the
// first role gets no offers.
func fallsBack(c *cluster.Cluster) {
	const after = time.Second
	c.Args = "      framework: {role: kube}\n      quota: {enforce: false}\n" +
		fmt.Sprintf("      roles: {updatePeriod: 1s, fallbackAfter: %v}\n", after)
	ns := c.AddNamespace("fallen", cluster.WithRoles("poor", "rich"))
	ns.AddPod("one", "1", "1Gi")
	c.StartScheduler()
	ns.WaitBound("one")
	wantRole(ns, "one", "rich")
	c.WaitSettled()
	first, second := revived(c, "poor"), revived(c, "rich")
	if first.IsZero() || second.IsZero() || second.Sub(first) < after-100*time.Millisecond {
		c.T.Errorf("offers were asked for in the first role at %v, in the second at %v, want %v between them", first, second, after)
	}
	// A pod that insists on the first role stays there.
	ns.AddPod("stubborn", "1", "1Gi", inRole("poor"))
	ns.WaitUnscheduled("stubborn", "no Mesos offer")
	ns.AddPod("two", "1", "1Gi")
	ns.WaitBound("two")
	wantRole(ns, "two", "rich")
	if ns.Pod("stubborn").Spec.NodeName != "" {
		c.T.Error("a pod was placed in a role that it did not choose")
	}
	c.WaitSettled()
	c.Finish()
}

// revived is when offers were first asked for in a role: by a REVIVE, or by a
// SUBSCRIBE or UPDATE_FRAMEWORK that does not suppress it.
func revived(c *cluster.Cluster, role string) time.Time {
	for _, r := range c.Mesos.Calls() {
		switch {
		case r.Call.GetRevive() != nil && slices.Contains(r.Call.GetRevive().Roles, role):
			return r.Time
		case r.Call.GetSubscribe() != nil && slices.Contains(r.Call.GetSubscribe().FrameworkInfo.Roles, role) &&
			!slices.Contains(r.Call.GetSubscribe().SuppressedRoles, role):
			return r.Time
		case r.Call.GetUpdateFramework() != nil && slices.Contains(r.Call.GetUpdateFramework().FrameworkInfo.Roles, role) &&
			!slices.Contains(r.Call.GetUpdateFramework().SuppressedRoles, role):
			return r.Time
		}
	}
	return time.Time{}
}

// takenAway: pods keep running in a role that their namespace lost, and the role
// stays until the last of them ends.
func takenAway(c *cluster.Cluster) {
	c.Args = swift
	ns := c.AddNamespace("team", cluster.WithRoles("eng/ads"))
	c.StartScheduler()
	ns.AddPod("old", "1", "1Gi")
	ns.AddPod("older", "1", "1Gi")
	ns.WaitBound("old", "older")
	ns.SetPhase("old", v1.PodRunning)
	old, older := ns.Task("old"), ns.Task("older")
	ns.AnnotateNamespace("kube-mesos.io/roles", "ops")
	ns.AddPod("new", "1", "1Gi")
	ns.WaitBound("new")
	wantRole(ns, "new", "ops")
	c.WaitRoles("eng/ads", "kube", "ops")
	if again := ns.Task("old"); again.TaskID != old.TaskID || again.State != "TASK_RUNNING" || again.Role != "eng/ads" {
		c.T.Errorf("the task of a pod whose role was taken away is %+v, was %+v", again, old)
	}
	c.WaitSettled()
	ns.FinishPod("older")
	c.WaitSettled()
	ns.DeletePod("old")
	c.WaitSettled()
	c.WaitRoles("kube", "ops")
	for _, task := range c.LiveTasks() {
		if task.TaskID == old.TaskID || task.TaskID == older.TaskID {
			c.T.Errorf("the task of an ended pod lives: %+v", task)
		}
	}
	c.Finish()
	c.WaitRoles("kube")
}

// follows: what a pod waits for is what its namespace says now.
func follows(c *cluster.Cluster) {
	c.Args = swift
	ns := c.AddNamespace("team", cluster.WithRoles("eng"))
	c.AddPod("all", "4", "1Gi")
	c.StartScheduler()
	c.WaitBound("all")
	ns.AddPod("one", "1", "1Gi")
	ns.WaitUnscheduled("one", "Mesos offer")
	c.WaitRoles("eng", "kube")
	ns.AnnotateNamespace("kube-mesos.io/roles", "ops")
	c.WaitRoles("kube", "ops")
	c.DeletePod("all")
	ns.WaitBound("one")
	wantRole(ns, "one", "ops")
	// The default role is for namespaces without the annotation.
	ns.AnnotateNamespace("kube-mesos.io/roles", "")
	ns.AddPod("two", "1", "1Gi")
	ns.WaitBound("two")
	wantRole(ns, "two", "kube")
	c.WaitSettled()
	c.Finish()
}

// restarts: pods of several roles outlive their scheduler, and those that came
// meanwhile are placed by the next one, in their roles. Pods that ended meanwhile
// are released.
func restarts(c *cluster.Cluster) {
	c.Args = swift
	spaces := []*cluster.Cluster{c}
	names := []string{"kube"}
	for i := range 4 {
		names = append(names, fmt.Sprintf("eng/team-%d", i))
		spaces = append(spaces, c.AddNamespace("team", cluster.WithRoles(names[i+1])))
	}
	first := c.StartScheduler()
	for _, ns := range spaces {
		ns.AddPod("one", "500m", "512Mi")
		ns.AddPod("ends", "500m", "512Mi")
	}
	tasks := map[string]bool{}
	for i, ns := range spaces {
		ns.WaitBound("one", "ends")
		wantRole(ns, "one", names[i])
		ns.SetPhase("one", v1.PodRunning)
		tasks[ns.Task("one").TaskID] = true
	}
	c.WaitSettled()
	first.Kill()
	before := c.Mesos.CallCount("SUBSCRIBE")
	for _, ns := range spaces {
		ns.DeletePod("ends")
		ns.AddPod("two", "500m", "512Mi")
	}
	// One of them lost its role while nobody looked.
	spaces[4].AnnotateNamespace("kube-mesos.io/roles", "ops")
	c.StartScheduler()
	for i, ns := range spaces {
		ns.WaitBound("two")
		want := names[i]
		if i == 4 {
			want = "ops"
		}
		wantRole(ns, "two", want)
	}
	c.WaitSettled()
	live := map[string]bool{}
	for _, task := range c.LiveTasks() {
		live[task.TaskID] = true
	}
	for id := range tasks {
		if !live[id] {
			c.T.Errorf("task %s was lost in the restart", id)
		}
	}
	if n := c.Mesos.CallCount("SUBSCRIBE"); n != before+1 {
		c.T.Errorf("%d subscriptions, want one more than %d", n, before)
	}
	c.WaitRoles(append(names, "ops")...)
	c.Finish()
	c.WaitRoles("kube")
}
