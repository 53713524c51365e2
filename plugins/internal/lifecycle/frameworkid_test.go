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

package lifecycle

import (
	"errors"
	"testing"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"
)

func TestFrameworkIDStoreSavesAndLoads(t *testing.T) {
	api := fake.NewClientset()
	store := NewFrameworkIDStore(api, "ns", "id")
	if id, err := store.Load(t.Context()); id != "" || err != nil {
		t.Fatalf("Load of nothing: %q, %v", id, err)
	}
	for _, id := range []string{"first", "second"} {
		if err := store.Save(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		for name, s := range map[string]*FrameworkIDStore{"same": store, "other": NewFrameworkIDStore(api, "ns", "id")} {
			if got, err := s.Load(t.Context()); got != id || err != nil {
				t.Errorf("%s store: Load: %q, %v, want %q", name, got, err, id)
			}
		}
	}
}

func TestFrameworkIDStoreKeepsOtherData(t *testing.T) {
	api := fake.NewClientset(&v1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "id", Labels: map[string]string{"app": "x"}}})
	store := NewFrameworkIDStore(api, "ns", "id")
	if id, err := store.Load(t.Context()); id != "" || err != nil {
		t.Fatalf("Load of a ConfigMap without the entry: %q, %v", id, err)
	}
	if err := store.Save(t.Context(), "fw"); err != nil {
		t.Fatal(err)
	}
	cm, err := api.CoreV1().ConfigMaps("ns").Get(t.Context(), "id", metav1.GetOptions{})
	if err != nil || cm.Labels["app"] != "x" || cm.Data[frameworkIDKey] != "fw" {
		t.Errorf("ConfigMap %+v, %v", cm, err)
	}
}

// Whoever has not read what is stored must not replace it.
func TestFrameworkIDStoreNeverReplacesBlindly(t *testing.T) {
	api := fake.NewClientset()
	late := NewFrameworkIDStore(api, "ns", "id")
	if _, err := late.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := NewFrameworkIDStore(api, "ns", "id").Save(t.Context(), "theirs"); err != nil {
		t.Fatal(err)
	}
	if err := late.Save(t.Context(), "ours"); !apierrors.IsAlreadyExists(err) {
		t.Errorf("Save over an id never read: %v", err)
	}
	if id, err := late.Load(t.Context()); id != "theirs" || err != nil {
		t.Fatalf("Load: %q, %v", id, err)
	}
	// The API server refuses an update of an older object.
	api.PrependReactor("update", "configmaps", func(k8stesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewConflict(v1.Resource("configmaps"), "id", errors.New("changed"))
	})
	if err := late.Save(t.Context(), "ours"); !apierrors.IsConflict(err) {
		t.Errorf("Save over a newer object: %v", err)
	}
}

func TestFrameworkIDStoreTellsErrors(t *testing.T) {
	api := fake.NewClientset()
	api.PrependReactor("*", "configmaps", func(k8stesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(v1.Resource("configmaps"), "id", errors.New("no rights"))
	})
	store := NewFrameworkIDStore(api, "ns", "id")
	if id, err := store.Load(t.Context()); id != "" || !apierrors.IsForbidden(err) {
		t.Errorf("Load: %q, %v: an id that cannot be read is not an id that was never saved", id, err)
	}
	if err := store.Save(t.Context(), "fw"); !apierrors.IsForbidden(err) {
		t.Errorf("Save: %v", err)
	}
}
