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

// Package maintenance tests what becomes of nodes and pods when operators of Mesos or
// of Kubernetes take machines out of service, and put them back.
package maintenance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
)

const (
	taintKey    = "kube-mesos.io/maintenance"
	deactivated = "kube-mesos.io/deactivated-agent"
)

// stage is a cluster with an operator of Mesos.
type stage struct{ *cluster.Cluster }

// object is a JSON object.
type object = map[string]any

// ask makes a request of the master's, and returns the status and the answer's text.
func (s stage) ask(method, path string, body any) (int, string) {
	s.T.Helper()
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		s.Must(err)
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(s.T.Context(), method, s.Mesos.URL()+path, content)
	s.Must(err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := http.DefaultClient.Do(req)
	s.Must(err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	s.Must(err)
	return resp.StatusCode, string(text)
}

// operate makes a call of the operator API that must succeed.
func (s stage) operate(call object) string {
	s.T.Helper()
	status, text := s.ask(http.MethodPost, "/api/v1", call)
	if status != http.StatusOK {
		s.T.Fatalf("%s: the master answered %d %q", call["type"], status, text)
	}
	return text
}

// agent is an agent as the master lists it.
type agent struct {
	ID          string `json:"id"`
	Hostname    string `json:"hostname"`
	PID         string `json:"pid"`
	Active      bool   `json:"active"`
	Deactivated bool   `json:"deactivated"`
	Drain       *struct {
		State string `json:"state"`
	} `json:"drain_info"`
}

func (s stage) agent(host string) agent {
	s.T.Helper()
	_, text := s.ask(http.MethodGet, "/slaves", nil)
	var list struct {
		Slaves []agent `json:"slaves"`
	}
	s.Must(json.Unmarshal([]byte(text), &list))
	i := slices.IndexFunc(list.Slaves, func(a agent) bool { return a.Hostname == host })
	if i < 0 {
		return agent{}
	}
	return list.Slaves[i]
}

// machine names the machine of a host.
func (s stage) machine(host string) object {
	s.T.Helper()
	_, address, _ := strings.Cut(s.agent(host).PID, "@")
	ip, _, _ := strings.Cut(address, ":")
	return object{"hostname": host, "ip": ip}
}

// schedule posts a schedule of these machines, none for nil.
func (s stage) schedule(start time.Time, machines ...object) {
	s.T.Helper()
	windows := []object{}
	if len(machines) > 0 {
		windows = append(windows, object{"machine_ids": machines, "unavailability": object{
			"start": object{"nanoseconds": start.UnixNano()}, "duration": object{"nanoseconds": int64(time.Hour)},
		}})
	}
	s.operate(object{"type": "UPDATE_MAINTENANCE_SCHEDULE", "update_maintenance_schedule": object{"schedule": object{"windows": windows}}})
}

func (s stage) node(name string) *v1.Node {
	s.T.Helper()
	node, err := s.Client.CoreV1().Nodes().Get(s.T.Context(), name, metav1.GetOptions{})
	s.Must(err)
	return node
}

// waitTaint waits until the node's taint has this value, "" for no taint.
func (s stage) waitTaint(name, value string) {
	s.T.Helper()
	s.Eventually("taint "+value, func() string {
		got := ""
		node := s.node(name)
		for _, t := range node.Spec.Taints {
			if t.Key == taintKey && t.Effect == v1.TaintEffectNoSchedule {
				got = t.Value
			}
		}
		if got != value || (node.Annotations[taintKey] != "") != (value != "") {
			return fmt.Sprintf("%s has the taints %v and the annotation %q", name, node.Spec.Taints, node.Annotations[taintKey])
		}
		return ""
	})
}

// cordon sets spec.unschedulable.
func (s stage) cordon(name string, on bool) {
	s.T.Helper()
	_, err := s.Client.CoreV1().Nodes().Patch(s.T.Context(), name, types.MergePatchType,
		fmt.Appendf(nil, `{"spec":{"unschedulable":%t}}`, on), metav1.PatchOptions{})
	s.Must(err)
}

// fixed binds a pod to a node by its name.
func fixed(node string) func(*v1.Pod) {
	return func(pod *v1.Pod) { pod.Spec.NodeSelector = map[string]string{v1.LabelHostname: node} }
}

// named gives nodes the label that pods choose them by.
func (s stage) named(n int) {
	s.T.Helper()
	for i := range n {
		s.LabelNode(cluster.Host(i), v1.LabelHostname, cluster.Host(i))
	}
}

// running plays the kubelet of bound pods.
func (s stage) running(names ...string) {
	s.T.Helper()
	s.WaitBound(names...)
	for _, name := range names {
		s.SetPhase(name, v1.PodRunning)
	}
}

// graceful gives a pod a grace period, so that it is there until its kubelet says that
// it is gone.
func graceful(seconds int64) func(*v1.Pod) {
	return func(pod *v1.Pod) { pod.Spec.TerminationGracePeriodSeconds = &seconds }
}

func start(t *testing.T, nodes int, args string) stage {
	t.Helper()
	s := stage{cluster.StartKube(t).New(t, nodes, cluster.Quick())}
	s.named(nodes)
	s.Args = args
	s.StartScheduler()
	return s
}

// A window is announced: the node is tainted, new pods stay away but those that end in
// time, the others leave before the start, the master hears that we agree, and takes
// the machine down without any pod on it.
func TestScheduledMaintenance(t *testing.T) {
	s := start(t, 2, `
      maintenance: {evictBefore: 12s}`)
	s.AddPod("leaves", "1", "1Gi", fixed(cluster.Host(0)))
	s.AddPod("stays", "1", "1Gi", fixed(cluster.Host(1)))
	s.running("leaves", "stays")
	s.WaitSettled()
	begin := time.Now().Add(30 * time.Second).Truncate(time.Second)
	machine := s.machine(cluster.Host(0))
	s.schedule(begin, machine)
	s.waitTaint(cluster.Host(0), begin.UTC().Format("20060102T150405Z"))

	s.AddPod("endless", "1", "1Gi", fixed(cluster.Host(0)), func(pod *v1.Pod) {
		pod.Spec.Tolerations = []v1.Toleration{{Operator: v1.TolerationOpExists}}
	})
	s.WaitUnscheduled("endless", "Mesos agent is to go down for maintenance")
	s.AddPod("short", "1", "1Gi", fixed(cluster.Host(0)), func(pod *v1.Pod) {
		pod.Spec.Tolerations = []v1.Toleration{{Key: taintKey, Operator: v1.TolerationOpExists}}
		pod.Spec.ActiveDeadlineSeconds = new(int64(2))
	})
	s.WaitBound("short")
	s.FinishPod("short")
	s.WaitCalls("DECLINE_INVERSE_OFFERS", 1)

	s.WaitGone("leaves")
	if early := time.Until(begin); early > 13*time.Second {
		t.Errorf("the pod was evicted %s before the window", early)
	}
	s.WaitCalls("ACCEPT_INVERSE_OFFERS", 1)
	s.Eventually("the answer is shown", func() string {
		if text := s.operate(object{"type": "GET_MAINTENANCE_STATUS"}); !strings.Contains(text, `"ACCEPT"`) {
			return text
		}
		return ""
	})
	s.operate(object{"type": "START_MAINTENANCE", "start_maintenance": object{"machines": []object{machine}}})
	s.waitTaint(cluster.Host(0), begin.UTC().Format("20060102T150405Z"))
	if s.Pod("stays") == nil {
		t.Error("a pod of another machine was evicted")
	}
	s.WaitEvent("leaves", "MesosMaintenance", "down for maintenance")

	s.operate(object{"type": "STOP_MAINTENANCE", "stop_maintenance": object{"machines": []object{machine}}})
	s.Must(s.Mesos.ReturnAgent(cluster.Host(0)))
	s.waitTaint(cluster.Host(0), "")
	s.WaitBound("endless")
	s.Finish()
}

// A window that is called off leaves nothing behind, also when another process of ours
// announced it; a pod that a budget protected is there still, and is marked no more.
func TestCancelledMaintenance(t *testing.T) {
	s := stage{cluster.StartKube(t).New(t, 1, cluster.Quick())}
	s.named(1)
	s.Args = `
      maintenance: {evictBefore: 20m}`
	first := s.StartScheduler()
	_, err := s.Client.PolicyV1().PodDisruptionBudgets(s.Namespace).Create(t.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "none"},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: new(intstr.FromInt32(0)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}},
		},
	}, metav1.CreateOptions{})
	s.Must(err)
	s.AddPod("protected", "1", "1Gi", func(pod *v1.Pod) { pod.Labels = map[string]string{"a": "b"} })
	s.running("protected")
	begin := time.Now().Add(10 * time.Minute)
	s.schedule(begin, s.machine(cluster.Host(0)))
	s.waitTaint(cluster.Host(0), begin.UTC().Format("20060102T150405Z"))
	disrupted := func(want v1.ConditionStatus) {
		t.Helper()
		s.Eventually("disruption", func() string {
			for _, c := range s.Pod("protected").Status.Conditions {
				if c.Type == v1.DisruptionTarget && c.Status == want && c.Reason == "MesosMaintenance" {
					return ""
				}
			}
			return fmt.Sprintf("conditions are %v", s.Pod("protected").Status.Conditions)
		})
	}
	disrupted(v1.ConditionTrue)
	first.Kill()
	s.StartScheduler()
	s.AddPod("waits", "1", "1Gi")
	s.WaitUnscheduled("waits", "maintenance")
	s.schedule(begin)
	s.waitTaint(cluster.Host(0), "")
	s.WaitBound("waits")
	disrupted(v1.ConditionFalse)
	s.Finish()
}

// A drain ends only when the pods are gone, although their tasks are gone at once; the
// pods get as long as the drain gives.
func TestDrainWaitsForPods(t *testing.T) {
	s := start(t, 2, "")
	s.AddPod("leaves", "1", "1Gi", fixed(cluster.Host(0)), graceful(3600))
	s.AddPod("stays", "1", "1Gi", fixed(cluster.Host(1)))
	s.running("leaves", "stays")
	s.WaitSettled()
	id := s.agent(cluster.Host(0)).ID
	s.operate(object{"type": "DRAIN_AGENT", "drain_agent": object{"agent_id": object{"value": id}, "max_grace_period": object{"seconds": 600, "nanos": 0}}})
	s.waitTaint(cluster.Host(0), "now")
	s.Eventually("the pod is on its way out", func() string {
		pod := s.Pod("leaves")
		switch {
		case pod == nil:
			return "it is gone"
		case pod.DeletionTimestamp == nil:
			return "nobody evicted it"
		case *pod.DeletionGracePeriodSeconds != 600:
			t.Fatalf("the pod has %d s", *pod.DeletionGracePeriodSeconds)
		}
		return ""
	})
	s.Eventually("the task is gone", func() string {
		for _, task := range s.LiveTasks() {
			if task.Hostname == cluster.Host(0) {
				return task.State
			}
		}
		return ""
	})
	if a := s.agent(cluster.Host(0)); a.Drain == nil || a.Drain.State != "DRAINING" {
		t.Fatalf("the agent is %+v while its pod is there", a)
	}
	s.WaitEvent("leaves", "MesosMaintenance", "drained")
	// Its kubelet is done.
	s.DeletePod("leaves")
	s.Eventually("drained", func() string {
		if a := s.agent(cluster.Host(0)); a.Drain == nil || a.Drain.State != "DRAINED" {
			return fmt.Sprintf("%+v", a)
		}
		return ""
	})
	if s.Pod("stays") == nil {
		t.Error("a pod of another agent was evicted")
	}
	s.AddPod("back", "1", "1Gi", fixed(cluster.Host(0)))
	s.WaitUnscheduled("back")
	s.operate(object{"type": "REACTIVATE_AGENT", "reactivate_agent": object{"agent_id": object{"value": id}}})
	s.WaitBound("back")
	s.waitTaint(cluster.Host(0), "")
	s.Finish()
}

// An agent that is to be gone for good is so when its pods are, not before.
func TestDrainToBeGoneWaitsForPods(t *testing.T) {
	s := start(t, 1, "")
	s.AddPod("leaves", "1", "1Gi", graceful(3600))
	s.running("leaves")
	s.WaitSettled()
	id := s.agent(cluster.Host(0)).ID
	s.operate(object{"type": "DRAIN_AGENT", "drain_agent": object{"agent_id": object{"value": id}, "mark_gone": true}})
	s.Eventually("the pod is on its way out", func() string {
		if pod := s.Pod("leaves"); pod == nil || pod.DeletionTimestamp == nil {
			return fmt.Sprintf("%v", pod)
		}
		return ""
	})
	if grace := *s.Pod("leaves").DeletionGracePeriodSeconds; grace != 3600 {
		t.Errorf("the pod has %d s, of a drain that sets no bound", grace)
	}
	if a := s.agent(cluster.Host(0)); a.Drain == nil || a.Drain.State != "DRAINING" {
		t.Fatalf("the agent is %+v while its pod is there", a)
	}
	s.DeletePod("leaves")
	s.Eventually("gone", func() string {
		for _, a := range s.Mesos.Agents() {
			if a.State != "gone" {
				return a.State
			}
		}
		return ""
	})
	s.waitTaint(cluster.Host(0), "")
	s.Finish()
}

// A cordoned node's offers are refused, and asked for again when it is not any more;
// its agent is left to others.
func TestCordonedNodeIsOfferedToOthers(t *testing.T) {
	s := start(t, 1, "")
	s.cordon(cluster.Host(0), true)
	s.AddPod("waits", "1", "1Gi", func(pod *v1.Pod) {
		pod.Spec.Tolerations = []v1.Toleration{{Key: v1.TaintNodeUnschedulable, Operator: v1.TolerationOpExists}}
	})
	s.WaitUnscheduled("waits")
	s.Eventually("no offer is held", func() string {
		for _, f := range s.Mesos.Frameworks() {
			if f.Name == cluster.FrameworkName && f.Offers > 0 {
				return fmt.Sprintf("%d offers", f.Offers)
			}
		}
		return ""
	})
	if a := s.agent(cluster.Host(0)); a.Deactivated {
		t.Errorf("the agent is %+v", a)
	}
	s.cordon(cluster.Host(0), false)
	s.WaitBound("waits")
	s.Finish()
}

// With the argument, the agent is deactivated as long as the node is cordoned: also
// when another process of ours sees the end of that. What an operator deactivated stays
// so.
func TestCordonDeactivatesAgents(t *testing.T) {
	s := stage{cluster.StartKube(t).New(t, 2, cluster.Quick())}
	s.named(2)
	s.Args = `
      maintenance: {cordonedNodes: Deactivate}`
	first := s.StartScheduler()
	s.AddPod("runs", "1", "1Gi", fixed(cluster.Host(0)))
	s.running("runs")
	s.Must(s.Mesos.DeactivateAgent(cluster.Host(1)))
	s.waitTaint(cluster.Host(1), "now")
	state := func(host string, off bool, note string) {
		t.Helper()
		s.Eventually("agent of "+host, func() string {
			if a, got := s.agent(host), s.node(host).Annotations[deactivated]; a.Deactivated != off || got != note {
				return fmt.Sprintf("%+v, noted %q", a, got)
			}
			return ""
		})
	}
	s.cordon(cluster.Host(0), true)
	s.cordon(cluster.Host(1), true)
	state(cluster.Host(0), true, s.agent(cluster.Host(0)).ID)
	s.WaitNodeEvent(cluster.Host(0), "MesosAgentDeactivated")
	s.waitTaint(cluster.Host(0), "now")
	s.WaitSettled() // the pod and its task go on
	first.Kill()
	s.cordon(cluster.Host(0), false)
	s.cordon(cluster.Host(1), false)
	s.StartScheduler()
	state(cluster.Host(0), false, "")
	s.waitTaint(cluster.Host(0), "")
	state(cluster.Host(1), true, "")
	s.AddPod("new", "1", "1Gi", fixed(cluster.Host(0)))
	s.WaitBound("new")
	if s.Pod("runs") == nil {
		t.Error("the pod of a deactivated agent was evicted")
	}
	s.Finish()
}

// Draining the agent of a cordoned node waits for our pods; what the master refuses is
// told on the node.
func TestCordonDrainsEmptyAgents(t *testing.T) {
	s := start(t, 1, `
      maintenance: {cordonedNodes: Drain}`)
	s.AddPod("runs", "1", "1Gi")
	s.running("runs")
	s.cordon(cluster.Host(0), true)
	s.schedule(time.Now().Add(24*time.Hour), s.machine(cluster.Host(0)))
	s.DeletePod("runs")
	s.WaitNodeEvent(cluster.Host(0), "MesosAgentUnchanged", "maintenance schedule")
	s.schedule(time.Now())
	s.Eventually("drained", func() string {
		if a := s.agent(cluster.Host(0)); a.Drain == nil || a.Drain.State != "DRAINED" {
			return fmt.Sprintf("%+v", a)
		}
		return ""
	})
	s.cordon(cluster.Host(0), false)
	s.AddPod("new", "1", "1Gi")
	s.WaitBound("new")
	s.waitTaint(cluster.Host(0), "")
	s.Finish()
}
