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
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"testing"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
)

// watchful reads quotas often.
const watchful = `
      framework: {role: kube}
      roles: {updatePeriod: 1s, keepUnused: 1s, fallbackAfter: 10m}
`

func quotaArgs(more string) string { return watchful + "      quota: {pollPeriod: 1s" + more + "}\n" }

func TestQuota(t *testing.T) {
	kube := cluster.StartKube(t)
	t.Run("a limit holds for the roles below", func(t *testing.T) { limited(kube.New(t, 2, cluster.Quick())) })
	t.Run("a limit holds from the first pod on", func(t *testing.T) { fromTheFirst(kube.New(t, 2, cluster.Quick())) })
	t.Run("what others use counts", func(t *testing.T) { fallsBackForQuota(kube.New(t, 2, cluster.Quick())) })
	t.Run("namespaces show the quota", func(t *testing.T) { shown(kube.New(t, 1, cluster.Quick())) })
	t.Run("a ResourceQuota follows", func(t *testing.T) { mirrored(kube.New(t, 2, cluster.Quick())) })
	t.Run("a ResourceQuota is pushed", func(t *testing.T) { pushed(kube.New(t, 2, cluster.Quick())) })
}

// limits are limits of a role by Mesos name.
type limits map[string]float64

// setQuota is an operator's UPDATE_QUOTA. No limits reset the quota.
func setQuota(c *cluster.Cluster, role string, l limits) {
	c.T.Helper()
	values := map[string]any{}
	for name, value := range l {
		values[name] = map[string]any{"value": value}
	}
	body, err := json.Marshal(map[string]any{"type": "UPDATE_QUOTA", "update_quota": map[string]any{
		"force": true, "quota_configs": []any{map[string]any{"role": role, "limits": values}}}})
	c.Must(err)
	operate(c, body)
}

// operate makes an operator's call.
func operate(c *cluster.Cluster, body []byte) []byte {
	c.T.Helper()
	req, err := http.NewRequestWithContext(c.T.Context(), http.MethodPost, c.Mesos.URL()+"/api/v1", bytes.NewReader(body))
	c.Must(err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := http.DefaultClient.Do(req)
	c.Must(err)
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	c.Must(err)
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusAccepted {
		c.T.Fatalf("the master answers %s to %s: %s", resp.Status, body, answer)
	}
	return answer
}

// quotaOf reads the limits of a role from the master.
func quotaOf(c *cluster.Cluster, role string) limits {
	c.T.Helper()
	var answer struct {
		GetQuota struct {
			Status struct {
				Configs []struct {
					Role   string
					Limits map[string]struct{ Value float64 }
				}
			}
		} `json:"get_quota"`
	}
	c.Must(json.Unmarshal(operate(c, []byte(`{"type":"GET_QUOTA"}`)), &answer))
	l := limits{}
	for _, config := range answer.GetQuota.Status.Configs {
		if config.Role == role {
			for name, value := range config.Limits {
				l[name] = value.Value
			}
		}
	}
	return l
}

func waitQuota(c *cluster.Cluster, role string, want limits) {
	c.T.Helper()
	c.Eventually("quota of role "+role, func() string {
		if is := quotaOf(c, role); !maps.Equal(is, want) {
			return fmt.Sprintf("it is %v, want %v", is, want)
		}
		return ""
	})
}

// wantUsed checks what the tasks of our framework use, by role.
func wantUsed(c *cluster.Cluster, cpus float64, roles ...string) {
	c.T.Helper()
	var used float64
	for _, task := range c.LiveTasks() {
		for _, role := range roles {
			if task.Role == role {
				used += task.CPUs
			}
		}
	}
	if used != cpus {
		c.T.Errorf("roles %q use %v cpus, want %v: %+v", roles, used, cpus, c.LiveTasks())
	}
}

const exhausted = "Mesos quota of the role exhausted: "

// limited: Mesos does not count eng/ads and eng/dev towards the limit of eng, we do.
func limited(c *cluster.Cluster) {
	c.Args = quotaArgs("")
	setQuota(c, "eng", limits{"cpus": 2, "mem": 4096})
	ads := c.AddNamespace("ads", cluster.WithRoles("eng/ads"))
	dev := c.AddNamespace("dev", cluster.WithRoles("eng/dev/web"))
	c.StartScheduler()
	ads.AddPod("one", "1", "1Gi")
	ads.WaitBound("one")
	dev.AddPod("one", "1", "1Gi")
	dev.WaitBound("one")
	ads.AddPod("two", "1", "512Mi")
	dev.AddPod("two", "500m", "512Mi")
	ads.WaitUnscheduled("two", exhausted+"cpu")
	dev.WaitUnscheduled("two", exhausted+"cpu")
	// The limit is no one's else.
	c.AddPod("one", "1", "1Gi")
	c.WaitBound("one")
	c.WaitSettled()
	wantUsed(c, 2, "eng", "eng/ads", "eng/dev/web")
	// Nobody is offered what nobody may use.
	c.WaitIdle()

	// Another pod's end makes room for one of them.
	dev.FinishPod("one")
	c.Eventually("one of the two is placed", func() string {
		a, b := ads.Pod("two"), dev.Pod("two")
		if a.Spec.NodeName == "" && b.Spec.NodeName == "" {
			return "none is bound"
		}
		return ""
	})
	c.WaitSettled()
	// A higher limit makes room for both.
	setQuota(c, "eng", limits{"cpus": 3, "mem": 4096})
	ads.WaitBound("two")
	dev.WaitBound("two")
	c.WaitSettled()
	wantUsed(c, 2.5, "eng", "eng/ads", "eng/dev/web")
	// Memory is limited too.
	ads.AddPod("large", "100m", "3Gi")
	ads.WaitUnscheduled("large", exhausted+"memory")
	// Without a quota there is no limit.
	setQuota(c, "eng", nil)
	ads.WaitBound("large")
	c.WaitSettled()
	c.Finish()
}

// fromTheFirst: pods that wait for a scheduler are no reason to exceed a limit that
// it does not know yet; nor is a scheduler that starts again.
func fromTheFirst(c *cluster.Cluster) {
	c.Args = quotaArgs("")
	setQuota(c, "eng", limits{"cpus": 2, "mem": 4096})
	ads := c.AddNamespace("ads", cluster.WithRoles("eng/ads"))
	var names []string
	for i := range 6 {
		names = append(names, fmt.Sprintf("pod-%d", i))
		ads.AddPod(names[i], "1", "256Mi")
	}
	bound := func() (n int) {
		for _, pod := range ads.Pods() {
			if pod.Spec.NodeName != "" {
				n++
			}
		}
		return n
	}
	told := func() string {
		waiting := 0
		for _, name := range names {
			if message := ads.Unscheduled(name); message != "" && bytes.Contains([]byte(message), []byte(exhausted+"cpu")) {
				waiting++
			}
		}
		if n := bound(); n != 2 || waiting != 4 {
			return fmt.Sprintf("%d are bound, %d wait for the quota", n, waiting)
		}
		return ""
	}
	first := c.StartScheduler()
	c.Eventually("two pods fit the quota", told)
	c.WaitSettled()
	first.Kill()
	c.StartScheduler()
	c.Eventually("two pods fit the quota", told)
	c.WaitSettled()
	if n := len(c.Launched()); n != 2 {
		c.T.Errorf("%d tasks were launched, want the 2 that fit", n)
	}
	wantUsed(c, 2, "eng/ads")
	setQuota(c, "eng", limits{"cpus": 6, "mem": 4096})
	ads.WaitBound(names...)
	c.WaitSettled()
	c.Finish()
}

// fallsBackForQuota: a pod does not wait for offers in a role whose quota is used up.
func fallsBackForQuota(c *cluster.Cluster) {
	c.Args = quotaArgs("")
	setQuota(c, "eng", limits{"cpus": 1})
	other := c.AddNamespace("other", cluster.WithRoles("eng"))
	ns := c.AddNamespace("both", cluster.WithRoles("eng/ads", "ops"))
	c.StartScheduler()
	other.AddPod("one", "1", "1Gi")
	other.WaitBound("one")
	ns.AddPod("one", "1", "1Gi")
	ns.WaitBound("one")
	wantRole(ns, "one", "ops")
	c.WaitSettled()
	c.Finish()
}

// waitShown waits until the namespace shows a quota.
func waitShown(c *cluster.Cluster, role, hard, used string) {
	c.T.Helper()
	c.Eventually("the quota shown", func() string {
		text := c.NamespaceAnnotation("kube-mesos.io/quota")
		var status struct {
			Roles []struct {
				Role, QuotaRole string
				Hard, Used      v1.ResourceList
			}
		}
		if text != "" {
			c.Must(json.Unmarshal([]byte(text), &status))
		}
		if hard == "" && text == "" {
			return ""
		}
		if len(status.Roles) == 1 {
			is := status.Roles[0]
			h, u := is.Hard[v1.ResourceCPU], is.Used[v1.ResourceCPU]
			if is.Role == role && is.QuotaRole == "eng" && h.String() == hard && u.String() == used {
				return ""
			}
		}
		return fmt.Sprintf("it is %q, want cpu %q of %q for %s", text, used, hard, role)
	})
}

// shown: the annotation follows quota and use, and goes with the quota.
func shown(c *cluster.Cluster) {
	c.Args = quotaArgs("")
	setQuota(c, "eng", limits{"cpus": 2, "mem": 4096})
	ads := c.AddNamespace("ads", cluster.WithRoles("eng/ads"))
	c.StartScheduler()
	waitShown(ads, "eng/ads", "2", "0")
	ads.AddPod("one", "500m", "1Gi")
	ads.WaitBound("one")
	waitShown(ads, "eng/ads", "2", "500m")
	if text := c.NamespaceAnnotation("kube-mesos.io/quota"); text != "" {
		c.T.Errorf("a namespace without a quota shows %q", text)
	}
	setQuota(c, "eng", limits{"cpus": 3})
	waitShown(ads, "eng/ads", "3", "500m")
	ads.AnnotateNamespace("kube-mesos.io/roles", "eng/dev")
	waitShown(ads, "eng/dev", "3", "500m")
	setQuota(c, "eng", nil)
	waitShown(ads, "", "", "")
	c.WaitSettled()
	c.Finish()
}

// waitHard waits until the ResourceQuota of the namespace, and what the API server
// goes by, allow so much.
func waitHard(c *cluster.Cluster, cpu, memory string) {
	c.T.Helper()
	c.Eventually("the ResourceQuota", func() string {
		q, err := c.Client.CoreV1().ResourceQuotas(c.Namespace).Get(c.T.Context(), "kube-mesos", metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err) && cpu == "":
			return ""
		case err != nil:
			return err.Error()
		}
		for name, want := range map[v1.ResourceName]string{v1.ResourceRequestsCPU: cpu, v1.ResourceRequestsMemory: memory} {
			spec, status := q.Spec.Hard[name], q.Status.Hard[name]
			if spec.String() != want || status.Cmp(spec) != 0 {
				return fmt.Sprintf("%s is %s, admitted up to %s, want %s", name, spec.String(), status.String(), want)
			}
		}
		return ""
	})
}

// mirrored: a ResourceQuota of our making refuses pods at admission that the Mesos
// quota has no room for.
func mirrored(c *cluster.Cluster) {
	c.Args = quotaArgs(", resourceQuota: true")
	startQuotaController(c)
	setQuota(c, "eng", limits{"cpus": 2, "mem": 4096})
	ads := c.AddNamespace("ads", cluster.WithRoles("eng/ads"))
	dev := c.AddNamespace("dev", cluster.WithRoles("eng/dev"))
	c.StartScheduler()
	waitHard(ads, "2", "4Gi")
	waitHard(dev, "2", "4Gi")
	ads.AddPod("one", "1500m", "1Gi")
	ads.WaitBound("one")
	// What one namespace holds, the other one cannot have.
	waitHard(dev, "500m", "3Gi")
	waitHard(ads, "2", "4Gi")
	wantForbidden(dev, "two", "1", "1Gi")
	wantForbidden(ads, "two", "1", "1Gi")
	dev.AddPod("fits", "500m", "1Gi")
	dev.WaitBound("fits")
	c.WaitSettled()
	waitHard(ads, "1500m", "3Gi")
	// It rises with the limit, and goes with it.
	setQuota(c, "eng", limits{"cpus": 4, "mem": 4096})
	waitHard(ads, "3500m", "3Gi")
	ads.AddPod("two", "1", "1Gi")
	ads.WaitBound("two")
	setQuota(c, "eng", nil)
	waitHard(ads, "", "")
	waitHard(dev, "", "")
	c.WaitSettled()
	c.Finish()
}

// wantForbidden wants the API server to refuse a pod.
func wantForbidden(c *cluster.Cluster, name, cpu, memory string) {
	c.T.Helper()
	_, err := c.Client.CoreV1().Pods(c.Namespace).Create(c.T.Context(), &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1.PodSpec{SchedulerName: cluster.SchedulerName, Containers: []v1.Container{{Name: "main", Image: "none",
			Resources: v1.ResourceRequirements{Requests: v1.ResourceList{v1.ResourceCPU: resource.MustParse(cpu), v1.ResourceMemory: resource.MustParse(memory)}}}}},
	}, metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) {
		c.T.Errorf("pod %s/%s: %v, want that the API server forbids it", c.Namespace, name, err)
	}
}

// askQuota makes or changes a ResourceQuota that is to be pushed.
func askQuota(c *cluster.Cluster, cpu, memory string) {
	c.T.Helper()
	api := c.Client.CoreV1().ResourceQuotas(c.Namespace)
	q := &v1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "team", Labels: map[string]string{"kube-mesos.io/push": "true"}},
		Spec: v1.ResourceQuotaSpec{Hard: v1.ResourceList{
			v1.ResourceRequestsCPU: resource.MustParse(cpu), v1.ResourceRequestsMemory: resource.MustParse(memory)}},
	}
	_, err := api.Create(c.T.Context(), q, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, err = api.Update(c.T.Context(), q, metav1.UpdateOptions{})
	}
	c.Must(err)
}

// pushed: the quota of a role in Mesos follows ResourceQuotas; what an operator set
// stays, and what the master refuses is told.
func pushed(c *cluster.Cluster) {
	c.Args = quotaArgs(", push: true")
	setQuota(c, "ops", limits{"cpus": 1})
	eng := c.AddNamespace("eng", cluster.WithRoles("eng/ads"))
	dev := c.AddNamespace("dev", cluster.WithRoles("eng/dev"))
	ops := c.AddNamespace("ops", cluster.WithRoles("ops"))
	c.StartScheduler()
	askQuota(eng, "2", "2Gi")
	askQuota(ops, "2", "2Gi")
	waitQuota(c, "eng", limits{"cpus": 2, "mem": 2048})
	eng.WaitEvent("team", "MesosQuotaPushed", "role eng", "cpus:2", "mem:2048")
	ops.WaitEvent("team", "MesosQuotaNotOurs", "role ops", "cpus:1")
	askQuota(dev, "1", "1Gi")
	waitQuota(c, "eng", limits{"cpus": 3, "mem": 3072})

	// Mesos lets nobody have a limit below what the role uses.
	own := c.AddNamespace("own", cluster.WithRoles("own"))
	own.AddPod("one", "2", "1Gi")
	own.WaitBound("one")
	askQuota(own, "1", "2Gi")
	own.WaitEvent("team", "MesosQuotaRefused", "role own", "cpus:1")
	waitQuota(c, "own", limits{})
	askQuota(own, "3", "2Gi")
	waitQuota(c, "own", limits{"cpus": 3, "mem": 2048})

	c.Must(c.Client.CoreV1().ResourceQuotas(dev.Namespace).Delete(c.T.Context(), "team", metav1.DeleteOptions{}))
	waitQuota(c, "eng", limits{"cpus": 2, "mem": 2048})
	c.Must(c.Client.CoreV1().ResourceQuotas(eng.Namespace).Delete(c.T.Context(), "team", metav1.DeleteOptions{}))
	waitQuota(c, "eng", limits{})
	waitQuota(c, "ops", limits{"cpus": 1})
	c.WaitSettled()
	c.Finish()
}
