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

package quota

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

func resourceList(pairs ...string) v1.ResourceList {
	list := v1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		list[v1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}

func resourceQuota(namespace, name string, labels map[string]string, pairs ...string) *v1.ResourceQuota {
	return &v1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec:       v1.ResourceQuotaSpec{Hard: resourceList(pairs...)},
	}
}

func TestNext(t *testing.T) {
	four, two := Limits{"cpus": 4000}, Limits{"cpus": 2000}
	for _, test := range []struct {
		name string
		is   present
		want Limits
		ours []Limits
		next step
	}{
		{name: "nothing at all", next: keep},
		{name: "first push", want: four, next: set},
		{name: "an operator's", is: present{limits: two}, want: four, next: refuse},
		{name: "an operator's guarantee", is: present{guaranteed: true}, want: four, next: refuse},
		{name: "an operator added a guarantee to ours", is: present{limits: two, guaranteed: true}, want: four, ours: []Limits{two}, next: refuse},
		{name: "an operator changed ours", is: present{limits: Limits{"cpus": 3000}}, want: four, ours: []Limits{two}, next: refuse},
		{name: "an operator has just that", is: present{limits: four}, want: four, next: keep},
		{name: "ours, changed", is: present{limits: two}, want: four, ours: []Limits{two}, next: set},
		{name: "ours, of a push that was cut short", is: present{limits: two}, want: four, ours: []Limits{four, two}, next: set},
		{name: "ours, as it is to be", is: present{limits: four}, want: four, ours: []Limits{two, four}, next: confirm},
		{name: "ours, one name more", is: present{limits: two}, want: Limits{"cpus": 2000, "mem": 1}, ours: []Limits{two}, next: set},
		{name: "somebody took ours away", want: four, ours: []Limits{four}, next: set},
		{name: "not asked for any more", is: present{limits: four}, ours: []Limits{four}, next: set},
		{name: "reset already", ours: []Limits{four}, next: forget},
		{name: "not asked for, an operator's by now", is: present{limits: two}, ours: []Limits{four}, next: forget},
		{name: "not asked for, guaranteed by now", is: present{limits: four, guaranteed: true}, ours: []Limits{four}, next: forget},
		{name: "not asked for, never ours", is: present{limits: two}, next: keep},
		{name: "a limit of nothing is a limit", is: present{limits: Limits{"gpus": 0}}, want: four, next: refuse},
	} {
		if got := test.is.next(test.want, test.ours); got != test.next {
			t.Errorf("%s: next is %d, want %d", test.name, got, test.next)
		}
	}
}

func TestDemand(t *testing.T) {
	names := &Names{Extended: map[string]v1.ResourceName{"fpgas": "example.com/fpga"}}
	for _, test := range []struct {
		name   string
		quotas []*v1.ResourceQuota
		want   Limits
	}{
		{"none", nil, nil},
		{"all names", []*v1.ResourceQuota{resourceQuota("a", "q", nil, "requests.cpu", "1500m", "requests.memory", "1Gi", "requests.ephemeral-storage", "2Gi", "requests.nvidia.com/gpu", "2", "requests.example.com/fpga", "3", "pods", "5", "limits.cpu", "1")},
			Limits{"cpus": 1500, "mem": 1024000, "disk": 2048000, "gpus": 2000, "fpgas": 3000}},
		{"short names", []*v1.ResourceQuota{resourceQuota("a", "q", nil, "cpu", "1", "memory", "1Mi", "ephemeral-storage", "1Mi", "nvidia.com/gpu", "7")},
			Limits{"cpus": 1000, "mem": 1000, "disk": 1000}},
		{"both names", []*v1.ResourceQuota{resourceQuota("a", "q", nil, "cpu", "1", "requests.cpu", "2")}, Limits{"cpus": 1000}},
		{"a sum", []*v1.ResourceQuota{resourceQuota("a", "q", nil, "cpu", "1"), resourceQuota("b", "q", nil, "cpu", "2")}, Limits{"cpus": 3000}},
		{"several in one namespace", []*v1.ResourceQuota{resourceQuota("a", "q", nil, "cpu", "5", "memory", "1Mi"), resourceQuota("a", "r", nil, "cpu", "2"), resourceQuota("b", "q", nil, "cpu", "1", "memory", "1Mi")},
			Limits{"cpus": 3000, "mem": 2000}},
		{"only what all limit", []*v1.ResourceQuota{resourceQuota("a", "q", nil, "cpu", "1", "memory", "1Mi"), resourceQuota("b", "q", nil, "cpu", "2")}, Limits{"cpus": 3000}},
		{"nothing in common", []*v1.ResourceQuota{resourceQuota("a", "q", nil, "cpu", "1"), resourceQuota("b", "q", nil, "memory", "2Mi")}, Limits{}},
		{"of nothing", []*v1.ResourceQuota{resourceQuota("a", "q", nil, "cpu", "0")}, Limits{"cpus": 0}},
		{"more than Mesos can count", []*v1.ResourceQuota{resourceQuota("a", "q", nil, "cpu", "9E"), resourceQuota("b", "q", nil, "cpu", "9E")}, Limits{"cpus": resources.MaxScalar}},
	} {
		var d demand
		for _, q := range test.quotas {
			d.add(q, names.limitsOf(q))
		}
		if diff := cmp.Diff(test.want, d.limits()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestUnusable(t *testing.T) {
	plain := resourceQuota("a", "q", nil, "cpu", "1")
	scoped := plain.DeepCopy()
	scoped.Spec.Scopes = []v1.ResourceQuotaScope{v1.ResourceQuotaScopeBestEffort}
	selected := plain.DeepCopy()
	selected.Spec.ScopeSelector = &v1.ScopeSelector{}
	for name, test := range map[string]struct {
		quota      *v1.ResourceQuota
		role, want string
	}{
		"plain": {plain, "eng", ""}, "no role": {plain, "", "no role"}, "star": {plain, "*", "role *"},
		"scoped": {scoped, "eng", "scopes"}, "selected": {selected, "eng", "scopes"}, "pods": {resourceQuota("a", "q", nil, "pods", "1"), "eng", "limits no requests"},
	} {
		got := unusable(test.quota, (&Names{}).limitsOf(test.quota), test.role)
		if !strings.Contains(got, test.want) || (got == "") != (test.want == "") {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestHard(t *testing.T) {
	var book Book
	book.Set([]Role{
		{Name: "eng", Limit: of(8, 1024), Limited: limited("cpus", "mem"), Consumed: of(3, 24)},
		{Name: "ops", Limit: of(2, 0).Add(scalar("fpgas", 3)).Add(scalar("bandwidth", 3)), Limited: limited("cpus", "gpus", "fpgas", "bandwidth")},
		{Name: "full", Limit: of(1, 0), Limited: limited("cpus"), Consumed: of(5, 0)},
		{Name: "half", Limit: resources.Bundle{Vector: resources.Vector{resources.GPU: 1500}}, Limited: limited("gpus")},
		{Name: "held", Guarantee: of(1, 0)},
	}, held{"eng/ads": of(1, 0)}, time.Unix(1, 0))
	ours := used(held{"eng/ads": of(2, 0)})
	names := &Names{Extended: map[string]v1.ResourceName{"fpgas": "example.com/fpga"}}
	for _, test := range []struct {
		name    string
		roles   []string
		claimed resources.Bundle
		want    v1.ResourceList
	}{
		{"no role", nil, of(1, 0), nil},
		{"no quota", []string{"free"}, of(1, 0), nil},
		{"no limit", []string{"held"}, of(1, 0), nil},
		{"own claims and the rest", []string{"eng/ads"}, of(2, 100), resourceList("requests.cpu", "6", "requests.memory", "1100Mi")},
		{"other names", []string{"ops"}, scalar("fpgas", 2), resourceList("requests.cpu", "2", "requests.nvidia.com/gpu", "0", "requests.example.com/fpga", "5")},
		{"whole devices", []string{"half"}, of(0, 0), resourceList("requests.nvidia.com/gpu", "1")},
		{"exceeded", []string{"full"}, of(4, 0), resourceList("requests.cpu", "4")},
		{"one tree counts once", []string{"eng/ads", "eng"}, of(0, 0), resourceList("requests.cpu", "4", "requests.memory", "1000Mi")},
		{"two trees", []string{"eng", "ops/x"}, of(1, 0), resourceList("requests.cpu", "7")},
		{"a tree without limits", []string{"eng", "free"}, of(1, 0), nil},
		{"a tree without limits first", []string{"free", "eng"}, of(1, 0), nil},
	} {
		got := hard(test.roles, test.claimed, &book, ours, names)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestRecords(t *testing.T) {
	for text, want := range map[string]map[string]record{
		`{"eng":{"limits":{"cpus":4.5},"before":{"mem":1}}}`: {"eng": newRecord(Limits{"cpus": 4500}, Limits{"mem": 1000})},
		`{`: nil, `7`: nil, `{"eng":7}`: nil,
	} {
		ns := &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{PushedAnnotation: text}}}
		if diff := cmp.Diff(want, recordsOf(ns)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	if got := fromMesosUnits(map[string]float64{"cpus": -1, "mem": 0.001}); !cmp.Equal(got, Limits{"mem": 1}) {
		t.Errorf("limits of a forged record are %v", got)
	}
}
