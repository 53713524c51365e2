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
	"strings"
	"testing"

	"github.com/kube-mesos/kube-mesos/manifests"
	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
)

// TestRights runs our command as the service account of the manifests.
func TestRights(t *testing.T) {
	kube := cluster.StartKube(t, "--authorization-mode=RBAC")
	c := kube.New(t, 0, cluster.Quick())
	startQuotaController(c)
	c.ApplyRBAC(manifests.RBAC)
	t.Run("roles and the quota shown", func(t *testing.T) {
		shownBy(t, kube)
	})
	c.ApplyRBAC(manifests.RBACQuota)
	t.Run("a ResourceQuota", func(t *testing.T) { mirroredBy(t, kube) })
	t.Run("a quota pushed", func(t *testing.T) { pushedBy(t, kube) })
}

// startAs starts our command with the rights of the manifests, and returns how to end
// it and check that it was denied nothing.
func startAs(c *cluster.Cluster) (end func()) {
	c.T.Helper()
	c.UseConfigMap("kube-mesos-framework")
	kubeconfig := c.Kubeconfig("system:serviceaccount:kube-system:kube-mesos-scheduler",
		"system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated")
	head := "leaderElection: {leaderElect: true, resourceNamespace: kube-system, resourceName: kube-mesos-scheduler, leaseDuration: 15s, renewDeadline: 10s, retryPeriod: 1s}\n" +
		"clientConnection: {kubeconfig: " + kubeconfig + "}\n"
	p := c.StartProcess(commandVariable+"=1", "--config="+c.ConfigFile(head), "--secure-port=0")
	return func() {
		c.T.Helper()
		p.Terminate()
		if status, _ := p.Wait(); status != 0 {
			c.T.Errorf("exit status %d", status)
		}
		if strings.Contains(p.Output(), "forbidden") {
			c.T.Errorf("the command was denied something:\n%s", p.Output())
		}
	}
}

func shownBy(t *testing.T, kube *cluster.Kube) {
	c := kube.New(t, 1, cluster.Quick())
	c.Args = quotaArgs("")
	setQuota(c, "eng", limits{"cpus": 2})
	ads := c.AddNamespace("ads", cluster.WithRoles("a//b", "eng/ads"))
	ads.AddPod("one", "1", "1Gi")
	ads.AddPod("two", "1500m", "1Gi")
	end := startAs(c)
	c.Eventually("a pod is placed", func() string {
		for _, name := range []string{"one", "two"} {
			if ads.Pod(name).Spec.NodeName != "" {
				return ""
			}
		}
		return "none is"
	})
	ads.WaitNamespaceEvent("MesosRoleRefused", `"a//b"`)
	c.Eventually("the quota shown", func() string {
		if text := ads.NamespaceAnnotation("kube-mesos.io/quota"); !strings.Contains(text, `"hard":{"cpu":"2"}`) {
			return "it is " + text
		}
		return ""
	})
	c.WaitSettled()
	c.Finish()
	end()
}

func mirroredBy(t *testing.T, kube *cluster.Kube) {
	c := kube.New(t, 1, cluster.Quick())
	c.Args = quotaArgs(", resourceQuota: true")
	setQuota(c, "eng", limits{"cpus": 2, "mem": 4096})
	ads := c.AddNamespace("ads", cluster.WithRoles("eng/ads"))
	end := startAs(c)
	waitHard(ads, "2", "4Gi")
	ads.AddPod("one", "1", "1Gi")
	ads.WaitBound("one")
	wantForbidden(ads, "two", "1500m", "1Gi")
	setQuota(c, "eng", limits{"cpus": 3, "mem": 4096})
	waitHard(ads, "3", "4Gi")
	setQuota(c, "eng", nil)
	waitHard(ads, "", "")
	c.WaitSettled()
	c.Finish()
	end()
}

func pushedBy(t *testing.T, kube *cluster.Kube) {
	c := kube.New(t, 1, cluster.Quick())
	c.Args = quotaArgs(", push: true")
	ads := c.AddNamespace("ads", cluster.WithRoles("eng/ads"))
	askQuota(ads, "2", "2Gi")
	end := startAs(c)
	waitQuota(c, "eng", limits{"cpus": 2, "mem": 2048})
	ads.WaitEvent("team", "MesosQuotaPushed", "role eng")
	c.Finish()
	end()
}
