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
)

// TestManyRoles is about what changes of roles cost and about roles that cannot be
// had.
func TestManyRoles(t *testing.T) {
	kube := cluster.StartKube(t)
	t.Run("namespaces in a burst", func(t *testing.T) { burst(kube.New(t, 6, cluster.Quick())) })
	t.Run("namespaces that are there", func(t *testing.T) { there(kube.New(t, 6, cluster.Quick())) })
	t.Run("illegal roles", func(t *testing.T) { illegal(kube.New(t, 1, cluster.Quick())) })
	t.Run("roles that are not whitelisted", func(t *testing.T) { notWhitelisted(kube.New(t, 1, whitelist())) })
	t.Run("roles that are not allowed", func(t *testing.T) { notAllowed(kube.New(t, 1, cluster.Quick())) })
}

const manyNamespaces = 30

// perNamespace gives each namespace that is labelled so a role of its own.
const perNamespace = `
      framework: {role: kube}
      roles:
        updatePeriod: 2s
        keepUnused: 1s
        rules: [{namespaceSelector: {matchLabels: {own: role}}, roles: ["k8s/{namespace}"]}]
`

func ownRole(ns *v1.Namespace) { ns.Labels = map[string]string{"own": "role"} }

// burst: a role for each namespace, but not a broadcast for each. When all pods are
// gone the roles go, in few broadcasts too.
func burst(c *cluster.Cluster) {
	c.Args = perNamespace
	c.StartScheduler()
	c.WaitCalls("SUBSCRIBE", 1)
	begun, changes := time.Now(), roleChanges(c)
	var spaces []*cluster.Cluster
	for range manyNamespaces {
		ns := c.AddNamespace("burst", ownRole)
		ns.AddPod("one", "300m", "256Mi")
		ns.AddPod("two", "300m", "256Mi")
		spaces = append(spaces, ns)
	}
	lasted := time.Since(begun)
	want := []string{"kube"}
	for _, ns := range spaces {
		ns.WaitBound("one", "two")
		wantRole(ns, "one", "k8s/"+ns.Namespace)
		want = append(want, "k8s/"+ns.Namespace)
	}
	c.WaitSettled()
	c.WaitRoles(want...)
	// The first at once, one for each period of the burst, and one for the rest.
	most := 2 + int(lasted/(2*time.Second))
	if n := roleChanges(c) - changes; n > most {
		c.T.Errorf("%d UPDATE_FRAMEWORK for %d namespaces in %v, want %d at most", n, manyNamespaces, lasted, most)
	}
	c.WaitIdle()
	begun, changes = time.Now(), roleChanges(c)
	c.Finish()
	c.WaitRoles("kube")
	most = 2 + int(time.Since(begun)/(2*time.Second))
	if n := roleChanges(c) - changes; n > most {
		c.T.Errorf("%d UPDATE_FRAMEWORK to give up %d roles, want %d at most", n, manyNamespaces, most)
	}
	// A role that went comes again.
	spaces[0].AddPod("three", "300m", "256Mi")
	spaces[0].WaitBound("three")
	wantRole(spaces[0], "three", "k8s/"+spaces[0].Namespace)
	c.Finish()
}

// roleChanges counts the calls that changed the framework's roles after its
// subscription.
func roleChanges(c *cluster.Cluster) (n int) {
	var last []string
	for _, r := range c.Mesos.Calls() {
		switch {
		case r.Call.GetSubscribe() != nil:
			last = r.Call.GetSubscribe().FrameworkInfo.Roles
		case r.Call.GetUpdateFramework() != nil:
			if is := r.Call.GetUpdateFramework().FrameworkInfo.Roles; !slices.Equal(is, last) {
				last = is
				n++
			}
		}
	}
	return n
}

// there: a scheduler that finds namespaces and pods subscribes with all their roles
// at once.
func there(c *cluster.Cluster) {
	c.Args = perNamespace
	var spaces []*cluster.Cluster
	for range manyNamespaces {
		ns := c.AddNamespace("there", ownRole)
		ns.AddPod("one", "300m", "256Mi")
		spaces = append(spaces, ns)
	}
	unused := c.AddNamespace("unused", ownRole)
	c.StartScheduler()
	for _, ns := range spaces {
		ns.WaitBound("one")
	}
	c.WaitSettled()
	if n := roleChanges(c); n > 0 {
		c.T.Errorf("%d UPDATE_FRAMEWORK for namespaces that were there", n)
	}
	if slices.Contains(c.Roles(), "k8s/"+unused.Namespace) {
		c.T.Error("subscribed to the role of a namespace without pods")
	}
	c.Finish()
}

// illegal: names that are none are told to namespaces and pods; what is legal beside
// them counts.
func illegal(c *cluster.Cluster) {
	c.Args = swift
	bad := c.AddNamespace("bad", cluster.WithRoles("a//b", ".."))
	half := c.AddNamespace("half", cluster.WithRoles("/x", "eng"))
	good := c.AddNamespace("good", cluster.WithRoles("ops"))
	c.StartScheduler()
	bad.AddPod("one", "500m", "256Mi")
	half.AddPod("one", "500m", "256Mi")
	good.AddPod("one", "500m", "256Mi")
	half.WaitBound("one")
	good.WaitBound("one")
	wantRole(half, "one", "eng")
	wantRole(good, "one", "ops")
	bad.WaitUnscheduled("one", "no Mesos role", `"a//b"`, "kube-mesos.io/roles")
	bad.WaitNamespaceEvent("MesosRoleRefused", `"a//b"`, `".."`)
	half.WaitNamespaceEvent("MesosRoleRefused", `"/x"`)
	if roles := c.Roles(); slices.Contains(roles, "a//b") || slices.Contains(roles, "/x") || c.Mesos.Crashed() != "" {
		c.T.Errorf("roles %q, crash %q", roles, c.Mesos.Crashed())
	}
	// Made good, it counts at once.
	bad.AnnotateNamespace("kube-mesos.io/roles", "eng/b")
	bad.WaitBound("one")
	wantRole(bad, "one", "eng/b")
	c.WaitSettled()
	c.Finish()
}

// whitelist is a master with --roles.
func whitelist() mesosmaster.Config {
	config := cluster.Quick()
	config.Roles = []string{"kube", "eng", "ops"}
	return config
}

// notWhitelisted: roles that the master does not know keep nobody else waiting, be
// they wanted before the subscription or after it.
func notWhitelisted(c *cluster.Cluster) {
	c.Args = swift
	out := c.AddNamespace("out", cluster.WithRoles("outside"))
	eng := c.AddNamespace("eng", cluster.WithRoles("elsewhere", "eng"))
	out.AddPod("one", "500m", "256Mi")
	c.AddPod("one", "500m", "256Mi")
	c.StartScheduler()
	c.WaitBound("one")
	wantRole(c, "one", "kube")
	eng.AddPod("one", "500m", "256Mi")
	late := c.AddNamespace("late", cluster.WithRoles("abroad"))
	ops := c.AddNamespace("ops", cluster.WithRoles("ops"))
	late.AddPod("one", "500m", "256Mi")
	ops.AddPod("one", "500m", "256Mi")
	eng.WaitBound("one")
	ops.WaitBound("one")
	wantRole(eng, "one", "eng")
	wantRole(ops, "one", "ops")
	for ns, role := range map[*cluster.Cluster]string{out: "outside", late: "abroad"} {
		ns.WaitUnscheduled("one", fmt.Sprintf("the Mesos master refuses the role %q", role), "--roles")
		ns.WaitNamespaceEvent("MesosRoleRefused", role)
	}
	eng.WaitNamespaceEvent("MesosRoleRefused", "elsewhere")
	c.WaitSettled()
	c.WaitRoles("eng", "kube", "ops")
	c.Finish()
}

// notAllowed: a master that refuses whoever asks for a role (by its authorizer, 403)
// does not say which role it is.
func notAllowed(c *cluster.Cluster) {
	c.Args = swift
	c.MesosAPI = refusing("secret") //nolint:bodyclose // The proxy closes the bodies of answers.
	c.StartScheduler()
	c.WaitCalls("SUBSCRIBE", 1)
	secret := c.AddNamespace("secret", cluster.WithRoles("secret"))
	eng := c.AddNamespace("eng", cluster.WithRoles("eng"))
	ops := c.AddNamespace("ops", cluster.WithRoles("ops"))
	for _, ns := range []*cluster.Cluster{secret, eng, ops} {
		ns.AddPod("one", "500m", "256Mi")
	}
	eng.WaitBound("one")
	ops.WaitBound("one")
	secret.WaitUnscheduled("one", `the Mesos master refuses the role "secret"`, "Not authorized")
	secret.WaitNamespaceEvent("MesosRoleRefused", "secret")
	c.WaitSettled()
	c.WaitRoles("eng", "kube", "ops")
	c.Finish()
}
