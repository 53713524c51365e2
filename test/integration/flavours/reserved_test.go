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

package flavours

import (
	"slices"
	"strings"
	"testing"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
)

const policy = "kube-mesos.io/reservation-policy"

// adsArgs make us the role eng/ads, which may use what is reserved for eng, too.
const adsArgs = `
      framework: {role: eng/ads}`

// adsAgent has 7 cores: 2 of them for eng, 1 for eng/ads.
const adsAgent = "cpus(eng):2;mem(eng):2048;cpus(eng/ads):1;cpus:4;mem:8192;disk:10000;ports:[31000-32000]"

const (
	engCPUs = "cpus(reservations: [(STATIC,eng)]):"
	adsCPUs = "cpus(reservations: [(STATIC,eng/ads)]):"
	engMem  = "mem(reservations: [(STATIC,eng)]):"
)

func TestReservations(t *testing.T) {
	kube := cluster.StartKube(t)
	t.Run("reserved first is the default", func(t *testing.T) { reservedFirst(stage(t, kube, adsAgent)) })
	t.Run("other policies by args and by pods", func(t *testing.T) {
		for _, args := range []string{"ReservedOnly", "UnreservedFirst"} {
			t.Run(args, func(t *testing.T) { policies(stage(t, kube, adsAgent), args) })
		}
	})
	t.Run("a policy that there is not", func(t *testing.T) {
		c := stage(t, kube, adsAgent)
		c.Args = adsArgs
		c.StartScheduler()
		c.AddPod("one", "1", "512Mi", annotated(policy, "reservedFirst"))
		waits(c, "one", policy, "reservedFirst", "ReservedOnly")
		finish(c)
	})
	t.Run("dynamic ones of operators", func(t *testing.T) { dynamic(stage(t, kube, "cpus:4;mem:8192")) })
	t.Run("those of others", func(t *testing.T) { others(stage(t, kube, "cpus(ops):4;mem(ops):8192;cpus:1;mem:1024")) })
}

func reservedFirst(c *cluster.Cluster) {
	c.Args = adsArgs
	c.StartScheduler()
	c.AddPod("mixed", "5", "3Gi")
	wantParts(c, "mixed", engCPUs+"2", adsCPUs+"1", "cpus:2", engMem+"2048", "mem:1024")
	c.AddPod("rest", "2", "1Gi")
	wantParts(c, "rest", "cpus:2", "mem:1024")
	c.WaitSettled()
	if role := c.Pod("mixed").Annotations["kube-mesos.io/role"]; role != "eng/ads" {
		c.T.Errorf("the pod is in role %q", role)
	}
	c.DeletePod("mixed")
	c.DeletePod("rest")
	c.AddPod("unreserved", "1", "512Mi", annotated(policy, "UnreservedFirst"))
	wantParts(c, "unreserved", "cpus:1", "mem:512")
	c.AddPod("only", "3", "1Gi", annotated(policy, "ReservedOnly"))
	wantParts(c, "only", engCPUs+"2", adsCPUs+"1", engMem+"1024")
	c.AddPod("late", "1", "512Mi", annotated(policy, "ReservedOnly"))
	// The role has unreserved cpus still: they are not for this pod.
	waits(c, "late", "short of reserved cpu")
	c.DeletePod("only")
	c.WaitBound("late")
	for _, part := range parts(c, "late") {
		if !strings.Contains(part, "STATIC") {
			c.T.Errorf("the task of a pod with ReservedOnly has %s", part)
		}
	}
	finish(c)
}

func policies(c *cluster.Cluster, args string) {
	c.Args = adsArgs + "\n      reservations: {policy: " + args + "}"
	c.StartScheduler()
	c.AddPod("args", "1500m", "512Mi")
	c.WaitBound("args")
	c.AddPod("first", "3", "2Gi", annotated(policy, "ReservedFirst"))
	c.WaitBound("first")
	got := parts(c, "args")
	reserved := slices.ContainsFunc(got, func(p string) bool { return strings.Contains(p, "STATIC") })
	plain := slices.ContainsFunc(got, func(p string) bool { return !strings.Contains(p, "STATIC") })
	if want := args == "ReservedOnly"; reserved != want || plain == want {
		c.T.Errorf("with policy %s the pod has %q", args, got)
	}
	if got := strings.Join(parts(c, "first"), "; "); !strings.Contains(got, "STATIC") {
		c.T.Errorf("the pod's own policy ReservedFirst got it %s", got)
	}
	c.WaitSettled()
	finish(c)
}

// dynamic: an operator's reservations without labels are the role's; with labels
// they are somebody's own.
func dynamic(c *cluster.Cluster) {
	c.Args = adsArgs
	c.StartScheduler()
	reserve(c, cluster.Host(0), "eng/ads", 1, "")
	reserve(c, cluster.Host(0), "eng", 0.5, "")
	reserve(c, cluster.Host(0), "eng/ads", 2, `, "labels": {"labels": [{"key": "who", "value": "kafka"}]}`)
	c.AddPod("one", "2", "1Gi")
	wantParts(c, "one", "cpus(reservations: [(DYNAMIC,eng/ads)]):1", "cpus(reservations: [(DYNAMIC,eng)]):0.5", "cpus:0.5", "mem:1024")
	c.AddPod("two", "500m", "512Mi")
	waits(c, "two", "1 Mesos offer short of cpu")
	c.AddPod("only", "500m", "512Mi", annotated(policy, "ReservedOnly"))
	waits(c, "only", "1 Mesos offer short of reserved cpu")
	c.DeletePod("one")
	c.WaitBound("two")
	c.WaitSettled()
	finish(c)
	if total := c.Mesos.Agents()[0].Total; !strings.Contains(total, "{who: kafka}") {
		c.T.Errorf("the reservation of somebody else is gone: %s", total)
	}
}

func others(c *cluster.Cluster) {
	c.Args = adsArgs
	c.StartScheduler()
	c.AddPod("big", "2", "512Mi")
	waits(c, "big", "1 Mesos agent short of cpu")
	c.AddPod("small", "1", "512Mi")
	wantParts(c, "small", "cpus:1", "mem:512")
	finish(c)
}
