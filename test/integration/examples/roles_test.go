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

package examples

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// rolesAndQuota is the example of docs/roles-and-quota.md.
type rolesAndQuota struct {
	*stage
	ads, search, tools *cluster.Cluster
	cache              *appsv1.StatefulSet
}

func TestRolesAndQuota(t *testing.T) {
	config := cluster.Quick()
	config.Agents = []mesosmaster.AgentConfig{
		{Hostname: "node-000", Resources: "cpus:4;mem:8192;disk:10000;cpus(eng/ads):2;mem(eng/ads):2048;ports:[31000-32000]"},
		{Hostname: "node-001", Resources: cluster.AgentResources},
		{Hostname: "node-002", Resources: cluster.AgentResources},
	}
	s := set(t, "roles-and-quota", config)
	e := &rolesAndQuota{stage: s, ads: s.in("ads"), search: s.in("search"), tools: s.in("tools")}
	e.apply("namespaces.yaml")
	e.updateQuota()
	e.StartScheduler()
	e.waitQuota(e.ads, "6", "2", "eng/ads", "eng")
	e.waitQuota(e.search, "6", "2", "eng/search")

	e.startCaches()
	queries := e.startQueries()
	e.applyPods()
	e.waitQuota(e.ads, "6", "6", "eng/ads", "eng")
	e.scaleDown()
	e.comeBack()

	// The quota has room again as soon as somebody leaves.
	e.search.DeletePod(queries[0])
	e.search.WaitBound(queries[1:]...)
	e.releasedByRule()
	e.releaseByHand()
	e.end()
}

// updateQuota plays the operator of Mesos.
func (e *rolesAndQuota) updateQuota() {
	e.T.Helper()
	req, err := http.NewRequestWithContext(e.T.Context(), http.MethodPost, e.Mesos.URL()+"/api/v1", bytes.NewReader(e.file("update-quota.json")))
	e.Must(err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	e.Must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	e.Must(err)
	if resp.StatusCode != http.StatusOK {
		e.T.Fatalf("UPDATE_QUOTA: %s %s", resp.Status, body)
	}
}

// waitQuota waits until the annotation of a namespace tells of its roles and of the
// cpus of the quota that holds for them.
func (e *rolesAndQuota) waitQuota(c *cluster.Cluster, hard, used string, roles ...string) {
	e.T.Helper()
	e.Eventually("the quota is told on the namespace", func() string {
		ns, err := c.Client.CoreV1().Namespaces().Get(c.T.Context(), c.Namespace, metav1.GetOptions{})
		c.Must(err)
		text := ns.Annotations["kube-mesos.io/quota"]
		var told struct {
			Roles []struct {
				Role, QuotaRole string
				Hard, Used      map[string]string
			}
		}
		if err := json.Unmarshal([]byte(text), &told); err != nil || len(told.Roles) != len(roles) {
			return fmt.Sprintf("%s says %q", c.Namespace, text)
		}
		for i, role := range told.Roles {
			if role.Role != roles[i] || role.QuotaRole != "eng" || role.Hard["cpu"] != hard || role.Used["cpu"] != used || role.Hard["memory"] != "16Gi" {
				return fmt.Sprintf("%s says %q, want hard cpu %s, used %s", c.Namespace, text, hard, used)
			}
		}
		return ""
	})
}

// wantRole checks in which role a pod's task is.
func (e *rolesAndQuota) wantRole(c *cluster.Cluster, pod, role string) {
	e.T.Helper()
	if task := c.Task(pod); task.Role != role {
		e.T.Errorf("pod %s/%s is in role %s, want %s", c.Namespace, pod, task.Role, role)
	}
	if got := c.Pod(pod).Annotations["kube-mesos.io/role"]; got != role {
		e.T.Errorf("pod %s/%s says role %q, want %s", c.Namespace, pod, got, role)
	}
}

// startCaches plays the StatefulSet controller: one pod after the other.
func (e *rolesAndQuota) startCaches() {
	e.cache = e.apply("statefulset.yaml").(*appsv1.StatefulSet)
	for i := range *e.cache.Spec.Replicas {
		name := fmt.Sprintf("cache-%d", i)
		e.addCache(name)
		e.ads.WaitBound(name)
		e.wantRole(e.ads, name, "eng/ads")
		e.waitReserved(e.ads.Pod(name).Spec.NodeName, name)
	}
}

func (e *rolesAndQuota) addCache(name string) {
	e.addPod(name, e.cache, "StatefulSet", &e.cache.Spec.Template)
}

// isReserved tells whether an agent has something reserved for a pod.
func (e *rolesAndQuota) isReserved(host, pod string) bool {
	return strings.Contains(e.total(host), "kube-mesos.io/pod: "+pod)
}

func (e *rolesAndQuota) waitReserved(host, pod string) {
	e.T.Helper()
	e.Eventually("a reservation", func() string {
		if !e.isReserved(host, pod) {
			return fmt.Sprintf("%s has none for %s: %s", host, pod, e.total(host))
		}
		return ""
	})
}

func (e *rolesAndQuota) waitReleased(host, pod string) {
	e.T.Helper()
	e.Eventually("the reservation given back", func() string {
		if e.isReserved(host, pod) {
			return fmt.Sprintf("%s still has that of %s: %s", host, pod, e.total(host))
		}
		return ""
	})
}

// startQueries starts one pod more than the quota lets run. The one that waits is
// the last of those returned.
func (e *rolesAndQuota) startQueries() []string {
	query := e.apply("deployment.yaml").(*appsv1.Deployment)
	names := e.addPods(int(*query.Spec.Replicas), query, "ReplicaSet", &query.Spec.Template)
	bound, waiting := e.waitSome(e.search, 2, names)
	for _, name := range bound {
		e.wantRole(e.search, name, "eng/search")
	}
	e.search.WaitUnscheduled(waiting[0], "Mesos quota of the role exhausted: cpu")
	return append(bound, waiting...)
}

// applyPods starts the single pods of the example.
func (e *rolesAndQuota) applyPods() {
	e.apply("pods.yaml")
	e.ads.WaitBound("report")
	e.wantRole(e.ads, "report", "eng/ads")
	if node := e.ads.Pod("report").Spec.NodeName; node != "node-000" {
		e.T.Errorf("pod report is on %s, and what is reserved for eng/ads on node-000", node)
	}
	e.tools.WaitBound("shell")
	e.wantRole(e.tools, "shell", "k8s")
	e.tools.WaitUnscheduled("intruder", "kube-mesos.io/role", "eng/ads", `has only "k8s"`)
}

// scaleDown makes the StatefulSet smaller by one pod.
func (e *rolesAndQuota) scaleDown() {
	patch := []byte(`{"spec":{"replicas":1}}`)
	_, err := e.Client.AppsV1().StatefulSets("ads").Patch(e.T.Context(), "cache", types.MergePatchType, patch, metav1.PatchOptions{})
	e.Must(err)
	e.ads.DeletePod("cache-1")
}

// comeBack restarts a cache while somebody else wants its node.
func (e *rolesAndQuota) comeBack() {
	home := e.ads.Pod("cache-0").Spec.NodeName
	atHome := func(pod *v1.Pod) {
		pod.Spec.Affinity = &v1.Affinity{NodeAffinity: &v1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &v1.NodeSelector{
			NodeSelectorTerms: []v1.NodeSelectorTerm{{MatchFields: []v1.NodeSelectorRequirement{{
				Key: "metadata.name", Operator: v1.NodeSelectorOpIn, Values: []string{home}}}}}}}}
	}
	e.tools.AddPod("greedy", "3500m", "1Gi", atHome)
	e.tools.WaitUnscheduled("greedy", "short of cpu")
	before := e.ads.Task("cache-0").TaskID
	e.ads.DeletePod("cache-0")
	e.addCache("cache-0")
	e.ads.WaitBound("cache-0")
	if node := e.ads.Pod("cache-0").Spec.NodeName; node != home {
		e.T.Errorf("cache-0 was on %s and is on %s", home, node)
	}
	if e.ads.Task("cache-0").TaskID == before {
		e.T.Error("the second cache-0 has the task of the first")
	}
	if pod := e.tools.Pod("greedy"); pod.Spec.NodeName != "" {
		e.T.Error("somebody else got what was reserved")
	}
	e.tools.DeletePod("greedy")
}

// releasedByRule waits for the end of the reservation of the pod that was scaled
// away.
func (e *rolesAndQuota) releasedByRule() {
	for _, host := range []string{"node-000", "node-001", "node-002"} {
		e.waitReleased(host, "cache-1")
	}
}

// releaseByHand moves the other cache away from its node.
func (e *rolesAndQuota) releaseByHand() {
	home := e.ads.Pod("cache-0").Spec.NodeName
	e.patchNode(home, `{"spec":{"unschedulable":true}}`)
	e.patchNode(home, `{"metadata":{"annotations":{"kube-mesos.io/release-reservations":"ads/cache-0"}}}`)
	if !e.isReserved(home, "cache-0") {
		e.T.Error("a reservation was given back that a pod uses")
	}
	e.ads.DeletePod("cache-0")
	e.addCache("cache-0")
	e.waitReleased(home, "cache-0")
	e.Eventually("the annotation is gone", func() string {
		node, err := e.Client.CoreV1().Nodes().Get(e.T.Context(), home, metav1.GetOptions{})
		e.Must(err)
		return node.Annotations["kube-mesos.io/release-reservations"]
	})
	e.WaitNodeEvent(home, "MesosReservationReleased", "ads/cache-0")
	e.ads.WaitBound("cache-0")
	e.waitReserved(e.ads.Pod("cache-0").Spec.NodeName, "cache-0")
}

func (e *rolesAndQuota) patchNode(name, patch string) {
	e.T.Helper()
	_, err := e.Client.CoreV1().Nodes().Patch(e.T.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	e.Must(err)
}
