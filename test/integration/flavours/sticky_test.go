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
	"fmt"
	"slices"
	"strings"
	"testing"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
)

const reserveAnnotation = "kube-mesos.io/reserve"

// dbArgs make reservations for the role db that go as soon as they are not needed.
const dbArgs = `
      framework: {role: db}
      reservations: {releaseAfter: 0s}`

// patientArgs leave reservations be for longer than any test.
const patientArgs = `
      framework: {role: db}
      reservations: {releaseAfter: 1h}`

const plainAgent = "cpus:4;mem:8192;disk:10000;ports:[31000-32000]"

func TestSticky(t *testing.T) {
	kube := cluster.StartKube(t)
	three := func(t *testing.T) *cluster.Cluster { return stage(t, kube, plainAgent, plainAgent, plainAgent) }
	t.Run("a pod comes back to its node", func(t *testing.T) { comesBack(three(t), false) })
	t.Run("a pod comes back after a restart of the scheduler", func(t *testing.T) { comesBack(three(t), true) })
	t.Run("the StatefulSet goes", func(t *testing.T) { setGoes(three(t)) })
	t.Run("the volume claim goes", func(t *testing.T) { claimGoes(three(t)) })
	t.Run("by hand", func(t *testing.T) { byHand(three(t)) })
	t.Run("refused", func(t *testing.T) { refused(three(t)) })
}

// statefulSet is a StatefulSet whose controller is the test.
type statefulSet struct {
	c   *cluster.Cluster
	set *appsv1.StatefulSet
}

func newSet(c *cluster.Cluster, name string, claims ...string) *statefulSet {
	c.T.Helper()
	labels := map[string]string{"app": name}
	set := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: c.Namespace},
		Spec: appsv1.StatefulSetSpec{
			Replicas: ptr.To[int32](1), Selector: &metav1.LabelSelector{MatchLabels: labels}, ServiceName: name,
			Template: v1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       v1.PodSpec{Containers: []v1.Container{{Name: "main", Image: "none"}}},
			},
		},
	}
	for _, claim := range claims {
		set.Spec.VolumeClaimTemplates = append(set.Spec.VolumeClaimTemplates, v1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Name: claim}, Spec: claimSpec})
	}
	created, err := c.Client.AppsV1().StatefulSets(c.Namespace).Create(c.T.Context(), set, metav1.CreateOptions{})
	c.Must(err)
	return &statefulSet{c, created}
}

var claimSpec = v1.PersistentVolumeClaimSpec{
	AccessModes: []v1.PersistentVolumeAccessMode{v1.ReadWriteOnce}, StorageClassName: ptr.To("none"),
	Resources: v1.VolumeResourceRequirements{Requests: v1.ResourceList{v1.ResourceStorage: resource.MustParse("1Gi")}},
}

// pod makes the StatefulSet's first pod and returns its name.
func (s *statefulSet) pod(cpu, memory string, change ...func(*v1.Pod)) string {
	s.c.T.Helper()
	name := s.set.Name + "-0"
	s.c.AddPod(name, cpu, memory, append([]func(*v1.Pod){func(pod *v1.Pod) {
		pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(s.set, appsv1.SchemeGroupVersion.WithKind("StatefulSet"))}
		pod.Annotations = map[string]string{reserveAnnotation: "true"}
	}}, change...)...)
	return name
}

// delete deletes the StatefulSet and leaves what it made.
func (s *statefulSet) delete() {
	s.c.T.Helper()
	s.c.Must(s.c.Client.AppsV1().StatefulSets(s.c.Namespace).Delete(s.c.T.Context(), s.set.Name,
		metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationOrphan)}))
	// Nobody collects garbage here, which is what takes this finalizer away.
	set, err := s.c.Client.AppsV1().StatefulSets(s.c.Namespace).Get(s.c.T.Context(), s.set.Name, metav1.GetOptions{})
	s.c.Must(err)
	set.Finalizers = nil
	_, err = s.c.Client.AppsV1().StatefulSets(s.c.Namespace).Update(s.c.T.Context(), set, metav1.UpdateOptions{})
	s.c.Must(err)
}

// labels is what the StatefulSet's reservations have, in Mesos' text form.
func (s *statefulSet) labels() string {
	return fmt.Sprintf("kube-mesos.io/pod: %s-0, kube-mesos.io/statefulset: %s, kube-mesos.io/statefulset-uid: %s", s.set.Name, s.set.Name, s.set.UID)
}

// reserved is what is reserved for the StatefulSet, as texts of amounts, by agent.
func (s *statefulSet) reserved() (list []string) {
	for _, r := range reservations(s.c) {
		if strings.Contains(r, s.labels()) {
			host, rest, _ := strings.Cut(r, " ")
			list = append(list, host+" "+amountOf(rest))
		}
	}
	slices.Sort(list)
	return list
}

// amountOf leaves the flavour out of a resource's text.
func amountOf(part string) string {
	name, _, _ := strings.Cut(part, "(")
	return name + part[strings.LastIndexByte(part, ':'):]
}

// wantReserved waits until exactly that is reserved for the StatefulSet.
func (s *statefulSet) wantReserved(want ...string) {
	s.c.T.Helper()
	s.c.Eventually("reserved for "+s.set.Name, func() string {
		if got := s.reserved(); !slices.Equal(got, want) {
			return fmt.Sprintf("%q, want %q", got, want)
		}
		return ""
	})
}

// operationsOf are the operations of the ACCEPT that launched the task.
func operationsOf(c *cluster.Cluster, taskID string) (types []string) {
	for _, record := range c.Mesos.Calls() {
		operations := record.Call.GetAccept().GetOperations()
		launches := func(o mesos.Offer_Operation) bool {
			return slices.ContainsFunc(o.GetLaunch().GetTaskInfos(), func(t mesos.TaskInfo) bool { return t.TaskID.Value == taskID })
		}
		if slices.ContainsFunc(operations, launches) {
			for i := range operations {
				types = append(types, operations[i].Type.String())
			}
		}
	}
	return types
}

// wantSticky checks that all of the pod's task is reserved for its StatefulSet.
func (s *statefulSet) wantSticky(pod string, operations ...string) {
	s.c.T.Helper()
	for _, part := range parts(s.c, pod) {
		if !strings.Contains(part, s.labels()) {
			s.c.T.Errorf("the task of pod %s has %s, not reserved for it", pod, part)
		}
	}
	if got := operationsOf(s.c, s.c.Task(pod).TaskID); !slices.Equal(got, operations) {
		s.c.T.Errorf("the ACCEPT of pod %s had operations %q, want %q", pod, got, operations)
	}
}

func comesBack(c *cluster.Cluster, restart bool) {
	c.Args = patientArgs
	s := c.StartScheduler()
	web := newSet(c, "web")
	pod := web.pod("1", "1Gi")
	c.WaitBound(pod)
	web.wantSticky(pod, "RESERVE", "LAUNCH")
	home := c.Pod(pod).Spec.NodeName
	web.wantReserved(home+" cpus:1", home+" mem:1024")
	c.WaitSettled()
	c.DeletePod(pod)
	// All that is not reserved there goes to somebody else; the others are empty.
	c.AddPod("filler", "3", "1Gi", func(p *v1.Pod) {
		i := slices.IndexFunc([]int{0, 1, 2}, func(i int) bool { return cluster.Host(i) == home })
		on(i)(p)
	})
	c.WaitBound("filler")
	c.WaitSettled()
	c.WaitIdle()
	if restart {
		s.Kill()
		c.StartScheduler()
		c.WaitCalls("SUBSCRIBE", 2)
	}
	for range 3 {
		web.pod("1", "1Gi")
		c.WaitBound(pod)
		web.wantSticky(pod, "LAUNCH")
		if node := c.Pod(pod).Spec.NodeName; node != home {
			c.T.Fatalf("the pod came back to %s, its reservation is on %s", node, home)
		}
		web.wantReserved(home+" cpus:1", home+" mem:1024")
		c.WaitSettled()
		c.DeletePod(pod)
		c.WaitSettled()
	}
	// A pod that is not the StatefulSet's never gets it.
	c.AddPod("big", "4", "1Gi", func(p *v1.Pod) { p.Spec.Affinity = c.Pod("filler").Spec.Affinity })
	waits(c, "big", "MesosOffers", "0/3")
	c.DeletePod("big")
	release(c, home, c.Namespace+"/"+pod)
	finish(c)
}

// release gives reservations back by hand.
func release(c *cluster.Cluster, node, value string) {
	c.T.Helper()
	patch := fmt.Sprintf(`{"metadata": {"annotations": {"kube-mesos.io/release-reservations": %q}}}`, value)
	_, err := c.Client.CoreV1().Nodes().Patch(c.T.Context(), node, "application/merge-patch+json", []byte(patch), metav1.PatchOptions{})
	c.Must(err)
}

func setGoes(c *cluster.Cluster) {
	c.Args = dbArgs
	c.StartScheduler()
	lives, goes, stays := newSet(c, "lives"), newSet(c, "goes"), newSet(c, "stays")
	for _, set := range []*statefulSet{lives, goes, stays} {
		set.pod("1", "1Gi")
	}
	c.WaitBound("lives-0", "goes-0", "stays-0")
	homes := map[string]string{}
	for _, pod := range c.Pods() {
		homes[pod.Name] = pod.Spec.NodeName
	}
	c.WaitSettled()
	// The pod of one StatefulSet lives on after it, that of another is gone before.
	lives.delete()
	c.DeletePod("stays-0")
	c.DeletePod("goes-0")
	c.WaitSettled()
	c.WaitIdle()
	goes.wantReserved(homes["goes-0"]+" cpus:1", homes["goes-0"]+" mem:1024")
	goes.delete()
	goes.wantReserved()
	lives.wantReserved(homes["lives-0"]+" cpus:1", homes["lives-0"]+" mem:1024")
	stays.wantReserved(homes["stays-0"]+" cpus:1", homes["stays-0"]+" mem:1024")
	c.DeletePod("lives-0")
	lives.wantReserved()
	stays.wantReserved(homes["stays-0"]+" cpus:1", homes["stays-0"]+" mem:1024")
	stays.delete()
	finish(c)
}

func claimGoes(c *cluster.Cluster) {
	c.Args = dbArgs
	c.StartScheduler()
	var sets []*statefulSet
	claims := c.Client.CoreV1().PersistentVolumeClaims(c.Namespace)
	for _, name := range []string{"web", "other"} {
		set := newSet(c, name, "data")
		sets = append(sets, set)
		_, err := claims.Create(c.T.Context(), &v1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data-" + name + "-0"}, Spec: claimSpec}, metav1.CreateOptions{})
		c.Must(err)
		set.pod("1", "1Gi")
	}
	c.WaitBound("web-0", "other-0")
	c.WaitSettled()
	home := c.Pod("other-0").Spec.NodeName
	c.DeletePod("web-0")
	c.DeletePod("other-0")
	c.WaitIdle()
	drop := func(name string) {
		c.Must(claims.Delete(c.T.Context(), name, metav1.DeleteOptions{}))
		c.Eventually("claim gone", func() string {
			claim, err := claims.Get(c.T.Context(), name, metav1.GetOptions{})
			if err != nil {
				return ""
			}
			// The controller that protects claims is not here.
			claim.Finalizers = nil
			_, _ = claims.Update(c.T.Context(), claim, metav1.UpdateOptions{})
			return "still there"
		})
	}
	drop("data-web-0")
	sets[0].wantReserved()
	sets[1].wantReserved(home+" cpus:1", home+" mem:1024")
	c.WaitIdle()
	drop("data-other-0")
	finish(c)
}

func byHand(c *cluster.Cluster) {
	c.Args = patientArgs
	c.StartScheduler()
	web, db := newSet(c, "web"), newSet(c, "db")
	web.pod("1", "1Gi", on(0))
	db.pod("1", "1Gi", on(0))
	c.WaitBound("web-0", "db-0")
	c.WaitSettled()
	host := cluster.Host(0)
	// What a task uses stays until it ends.
	release(c, host, c.Namespace+"/web-0")
	c.DeletePod("db-0")
	c.WaitSettled()
	web.wantReserved(host+" cpus:1", host+" mem:1024")
	c.DeletePod("web-0")
	web.wantReserved()
	db.wantReserved(host+" cpus:1", host+" mem:1024")
	// The pod starts anew elsewhere.
	web.pod("1", "1Gi", on(1))
	c.WaitBound("web-0")
	web.wantSticky("web-0", "RESERVE", "LAUNCH")
	c.DeletePod("web-0")
	c.WaitSettled()
	c.Eventually("the annotation is done", func() string {
		node, err := c.Client.CoreV1().Nodes().Get(c.T.Context(), host, metav1.GetOptions{})
		c.Must(err)
		return node.Annotations["kube-mesos.io/release-reservations"]
	})
	release(c, host, "*")
	release(c, cluster.Host(1), "*")
	finish(c)
}

func refused(c *cluster.Cluster) {
	c.Args = `
      framework: {role: "*"}
      revocable: {enabled: true}`
	s := c.StartScheduler()
	web := newSet(c, "web")
	web.pod("1", "1Gi")
	waits(c, "web-0", reserveAnnotation, "role *")
	c.AddPod("lonely", "1", "1Gi", annotated(reserveAnnotation, "true"))
	waits(c, "lonely", reserveAnnotation, "StatefulSet")
	newSet(c, "typo").pod("1", "1Gi", annotated(reserveAnnotation, "yes"))
	waits(c, "typo-0", reserveAnnotation, `"yes"`)
	newSet(c, "riding").pod("1", "1Gi", annotated("kube-mesos.io/revocable", "Required"))
	waits(c, "riding-0", reserveAnnotation, "revocable")
	finish(c)
	s.Kill()
	c.Args = `
      framework: {role: db}
      reservations: {sticky: false}`
	c.StartScheduler()
	web.pod("1", "1Gi")
	waits(c, "web-0", "reservations.sticky")
	finish(c)
}
