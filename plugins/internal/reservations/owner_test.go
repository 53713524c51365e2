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

package reservations

import (
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

const us = "f-0001"

func ownerOf(pod string) Owner {
	return Owner{Namespace: "shop", Pod: pod, StatefulSet: "db", StatefulSetUID: "u1"}
}

var db0 = ownerOf("db-0")

// podOf is a pod of a StatefulSet that asks for a reservation.
func podOf(namespace, name, set string, uid types.UID) *v1.Pod {
	yes := true
	return &v1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: name, Annotations: map[string]string{Annotation: "true"},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: set, UID: uid, Controller: &yes}},
	}}
}

func TestOwnerOf(t *testing.T) {
	pod := podOf("shop", "db-0", "db", "u1")
	if owner, err := OwnerOf(pod); err != nil || owner != db0 || !Asked(pod) {
		t.Errorf("OwnerOf = %+v, %v", owner, err)
	}
	for name, test := range map[string]struct {
		change func(*v1.Pod)
		asked  bool
		text   string
	}{
		"no":         {func(p *v1.Pod) { p.Annotations[Annotation] = "false" }, false, `"false"`},
		"absent":     {func(p *v1.Pod) { p.Annotations = nil }, false, `is ""`},
		"other":      {func(p *v1.Pod) { p.Annotations[Annotation] = "yes" }, true, `"yes"; it must be`},
		"bare":       {func(p *v1.Pod) { p.OwnerReferences = nil }, true, "needs a StatefulSet"},
		"replicaset": {func(p *v1.Pod) { p.OwnerReferences[0].Kind = "ReplicaSet" }, true, "needs a StatefulSet"},
		"other group": {func(p *v1.Pod) { p.OwnerReferences[0].APIVersion = "apps.kruise.io/v1" },
			true, "needs a StatefulSet"},
		"not controlled": {func(p *v1.Pod) { p.OwnerReferences[0].Controller = nil }, true, "needs a StatefulSet"},
	} {
		t.Run(name, func(t *testing.T) {
			pod := podOf("shop", "db-0", "db", "u1")
			test.change(pod)
			if got := Asked(pod); got != test.asked {
				t.Errorf("Asked = %t", got)
			}
			if owner, err := OwnerOf(pod); err == nil || !strings.Contains(err.Error(), test.text) {
				t.Errorf("OwnerOf = %+v, %v; want an error with %q", owner, err, test.text)
			}
		})
	}
}

func TestKeysDiffer(t *testing.T) {
	keys := map[string]bool{}
	for _, o := range []Owner{db0, ownerOf("db-1"), {"shop2", "db-0", "db", "u1"}, {"shop", "db-0", "db", "u2"}} {
		if keys[o.Key()] {
			t.Errorf("key %q twice", o.Key())
		}
		keys[o.Key()] = true
	}
}

// changed is the flavour of db0's reservation with a change.
func changed(change func(*resources.Flavour)) *resources.Flavour {
	f := Flavour(us, "eng", "kube", db0)
	change(f)
	return f
}

func TestParseAndClassify(t *testing.T) {
	last := func(f *resources.Flavour) *resources.Reservation { return f.Reserved() }
	for name, test := range map[string]struct {
		flavour *resources.Flavour
		key     string
		usable  bool
	}{
		"unreserved": {nil, "", true},
		"revocable":  {resources.RevocableFlavour, "", true},
		"static":     {&resources.Flavour{Reservations: []resources.Reservation{{Role: "eng"}}}, "", true},
		"dynamic":    {&resources.Flavour{Reservations: []resources.Reservation{{Role: "eng", Dynamic: true, Principal: "ops"}}}, "", true},
		"refined": {&resources.Flavour{Reservations: []resources.Reservation{{Role: "eng"}, {Role: "eng/ads", Dynamic: true}}},
			"", true},
		"ours":                   {Flavour(us, "eng", "kube", db0), db0.Key(), true},
		"ours, no principal":     {Flavour(us, "eng", "", db0), db0.Key(), true},
		"ours, labels reordered": {changed(func(f *resources.Flavour) { slices.Reverse(last(f).Labels) }), db0.Key(), true},
		"ours, as the master wrote it": {changed(func(f *resources.Flavour) { f.Wire = "x" }),
			db0.Key(), true},
		"ours, refined": {changed(func(f *resources.Flavour) {
			f.Reservations = slices.Insert(f.Reservations, 0, resources.Reservation{Role: "e"})
		}), db0.Key(), true},
		"below somebody's label": {changed(func(f *resources.Flavour) {
			f.Reservations = slices.Insert(f.Reservations, 0, resources.Reservation{Role: "e", Labels: []resources.Label{{Key: "a", Value: "b"}}})
		}), "", false},
		"refined from somebody's": {&resources.Flavour{Reservations: []resources.Reservation{
			{Role: "e", Dynamic: true, Labels: []resources.Label{{Key: "a", Value: "b"}}}, {Role: "e/f", Dynamic: true}}}, "", false},
		"another framework":  {Flavour("f-0002", "eng", "kube", db0), "", false},
		"other people's":     {&resources.Flavour{Reservations: []resources.Reservation{{Role: "eng", Dynamic: true, Labels: []resources.Label{{Key: "a", Value: "b"}}}}}, "", false},
		"static, our labels": {changed(func(f *resources.Flavour) { last(f).Dynamic = false }), "", false},
		"a label more": {changed(func(f *resources.Flavour) {
			last(f).Labels = append(last(f).Labels, resources.Label{Key: "a", Value: "b"})
		}), "", false},
		"a label twice": {changed(func(f *resources.Flavour) { last(f).Labels = append(last(f).Labels, last(f).Labels[2]) }),
			"", false},
		"a label missing":  {changed(func(f *resources.Flavour) { last(f).Labels = last(f).Labels[:4] }), "", false},
		"a label empty":    {changed(func(f *resources.Flavour) { last(f).Labels[2].Value = "" }), "", false},
		"a slash in a pod": {changed(func(f *resources.Flavour) { last(f).Labels[2].Value = "a/b" }), "", false},
		"no framework":     {changed(func(f *resources.Flavour) { last(f).Labels[0].Value = "" }), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			if key, usable := Classify(test.flavour, us); key != test.key || usable != test.usable {
				t.Errorf("Classify = %q, %t, want %q, %t", key, usable, test.key, test.usable)
			}
			owner, ok := Parse(test.flavour, us)
			if ok != (test.key != "") || ok && owner != db0 {
				t.Errorf("Parse = %+v, %t", owner, ok)
			}
		})
	}
}
