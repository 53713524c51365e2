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
	"errors"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// setOf is a StatefulSet "db" of two replicas with the given volume claim templates.
func setOf(uid types.UID, templates ...string) *appsv1.StatefulSet {
	two := int32(2)
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db", UID: uid}, Spec: appsv1.StatefulSetSpec{Replicas: &two}}
	for _, name := range templates {
		set.Spec.VolumeClaimTemplates = append(set.Spec.VolumeClaimTemplates, v1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	return set
}

func startingAt(start int32, set *appsv1.StatefulSet) *appsv1.StatefulSet {
	set.Spec.Ordinals = &appsv1.StatefulSetOrdinals{Start: start}
	return set
}

func inPhase(phase v1.PodPhase, pod *v1.Pod) *v1.Pod {
	pod.Status.Phase = phase
	return pod
}

func TestJudge(t *testing.T) {
	one := setOf("u1")
	one.Spec.Replicas = nil
	orphan := podOf("shop", "db-0", "db", "u1")
	orphan.OwnerReferences = nil
	for name, test := range map[string]struct {
		pod    string
		set    *appsv1.StatefulSet
		live   *v1.Pod
		claims []string
		want   Reason
	}{
		"in range":                  {"db-1", setOf("u1"), nil, nil, ""},
		"beyond the replicas":       {"db-2", setOf("u1"), nil, nil, ScaledDown},
		"one replica by default":    {"db-0", one, nil, nil, ""},
		"beyond the default":        {"db-1", one, nil, nil, ScaledDown},
		"below the start":           {"db-4", startingAt(5, setOf("u1")), nil, nil, ScaledDown},
		"at the start":              {"db-5", startingAt(5, setOf("u1")), nil, nil, ""},
		"last from the start":       {"db-6", startingAt(5, setOf("u1")), nil, nil, ""},
		"behind the last":           {"db-7", startingAt(5, setOf("u1")), nil, nil, ScaledDown},
		"no ordinal":                {"db-x", setOf("u1"), nil, nil, ScaledDown},
		"name of another set":       {"da-0", setOf("u1"), nil, nil, ScaledDown},
		"claims of a former scale":  {"db-7", setOf("u1", "data"), nil, []string{"data-db-7"}, ""},
		"one claim of two":          {"db-0", setOf("u1", "data", "log"), nil, []string{"log-db-0"}, ""},
		"claims of others":          {"db-0", setOf("u1", "data"), nil, []string{"data-db-1", "data-db-00", "log-db-0"}, VolumeClaimsGone},
		"no claim though in range":  {"db-0", setOf("u1", "data", "log"), nil, nil, VolumeClaimsGone},
		"set gone":                  {"db-0", nil, nil, []string{"data-db-0"}, StatefulSetGone},
		"set made anew":             {"db-0", setOf("u2"), nil, nil, StatefulSetGone},
		"pod lives, scaled down":    {"db-2", setOf("u1"), podOf("shop", "db-2", "db", "u1"), nil, ""},
		"pod lives, claims gone":    {"db-0", setOf("u1", "data"), podOf("shop", "db-0", "db", "u1"), nil, ""},
		"pod lives, set gone":       {"db-0", nil, podOf("shop", "db-0", "db", "u1"), nil, ""},
		"orphan lives":              {"db-0", nil, orphan, nil, ""},
		"orphan lives beside anew":  {"db-0", setOf("u2"), orphan, nil, ""},
		"pod of the set made anew":  {"db-0", setOf("u2"), podOf("shop", "db-0", "db", "u2"), nil, StatefulSetGone},
		"pod succeeded":             {"db-2", setOf("u1"), inPhase(v1.PodSucceeded, podOf("shop", "db-2", "db", "u1")), nil, ScaledDown},
		"pod failed, set gone":      {"db-0", nil, inPhase(v1.PodFailed, podOf("shop", "db-0", "db", "u1")), nil, StatefulSetGone},
		"pod failed, comes again":   {"db-0", setOf("u1"), inPhase(v1.PodFailed, podOf("shop", "db-0", "db", "u1")), nil, ""},
		"set is being deleted, yet": {"db-0", deleting(setOf("u1")), nil, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := judge(ownerOf(test.pod), test.set, test.live, func(name string) (bool, error) { return slices.Contains(test.claims, name), nil })
			if err != nil || got != test.want {
				t.Errorf("judge = %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

func deleting(set *appsv1.StatefulSet) *appsv1.StatefulSet {
	now := metav1.Now()
	set.DeletionTimestamp = &now
	return set
}

func TestJudgeKeepsWhatItCannotLookUp(t *testing.T) {
	fault := errors.New("no")
	if reason, err := judge(db0, setOf("u1", "data"), nil, func(string) (bool, error) { return false, fault }); reason != "" || !errors.Is(err, fault) {
		t.Errorf("judge = %q, %v", reason, err)
	}
}
