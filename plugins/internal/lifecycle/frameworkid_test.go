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
	"fmt"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
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

func TestFrameworkIDStoreRetires(t *testing.T) {
	api := fake.NewClientset()
	store := NewFrameworkIDStore(api, "ns", "id")
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	for i := range removedFrameworks + 3 {
		id := fmt.Sprint("fw-", i)
		if _, err := store.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := store.Save(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if err := store.Retire(t.Context(), "another", "why", now); err != nil {
			t.Fatal(err)
		}
		if got, _ := store.Load(t.Context()); got != id {
			t.Fatalf("retiring another id left %q", got)
		}
		if err := store.Retire(t.Context(), id, "torn down", now); err != nil {
			t.Fatal(err)
		}
		if got, err := store.Load(t.Context()); got != "" || err != nil {
			t.Fatalf("after retiring %s: %q, %v", id, got, err)
		}
	}
	cm, err := api.CoreV1().ConfigMaps("ns").Get(t.Context(), "id", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	text := cm.Data[removedKey]
	if n := strings.Count(text, `"id"`); n != removedFrameworks || !strings.HasSuffix(text, `{"id":"fw-12","time":"2026-01-02T03:04:05Z","reason":"torn down"}]`) {
		t.Errorf("%d former ids: %s", n, text)
	}
	// Whoever retires what somebody else replaces meanwhile must not win.
	if err := store.Save(t.Context(), "mine"); err != nil {
		t.Fatal(err)
	}
	api.PrependReactor("update", "configmaps", func(k8stesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewConflict(v1.Resource("configmaps"), "id", errors.New("changed"))
	})
	if err := store.Retire(t.Context(), "mine", "why", now); !apierrors.IsConflict(err) {
		t.Errorf("Retire over a newer object: %v", err)
	}
}

func TestFrameworkIDStoreKeeps(t *testing.T) {
	api := fake.NewClientset()
	store := NewFrameworkIDStore(api, "ns", "id")
	for range 2 {
		if restored, err := store.Keep(t.Context(), "fw"); !restored || err != nil {
			t.Fatalf("Keep without a ConfigMap: %v, %v", restored, err)
		}
		if restored, err := store.Keep(t.Context(), "fw"); restored || err != nil {
			t.Fatalf("Keep of what is there: %v, %v", restored, err)
		}
		if err := api.CoreV1().ConfigMaps("ns").Delete(t.Context(), "id", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := NewFrameworkIDStore(api, "ns", "id").Save(t.Context(), "theirs"); err != nil {
		t.Fatal(err)
	}
	if restored, err := store.Keep(t.Context(), "fw"); restored || !errors.Is(err, ErrOtherIdentity) {
		t.Errorf("Keep over another id: %v, %v", restored, err)
	}
}

// A removed framework: the id goes, the pods stay and are claimed again.
func TestFrameworkRemoved(t *testing.T) {
	for name, wait := range map[string]bool{"a new one follows": false, "somebody has to say so": true} {
		t.Run(name, func(t *testing.T) {
			inResize(t, runs(1), func(r *rig) {
				r.onEviction(func(int) error { return nil })
				store := NewFrameworkIDStore(r.api, "kube-system", "identity")
				if err := store.Save(t.Context(), "fw"); err != nil {
					t.Fatal(err)
				}
				removed := r.Removed(store, wait)
				r.Disconnected(mesos.ErrFrameworkRemoved)
				if wait {
					for range 3 {
						if err := removed(t.Context(), "fw", "torn down"); err == nil || !strings.Contains(err.Error(), "delete the entry frameworkID of ConfigMap kube-system/identity") {
							t.Fatalf("while the id is stored: %v", err)
						}
					}
					if err := r.api.CoreV1().ConfigMaps("kube-system").Delete(t.Context(), "identity", metav1.DeleteOptions{}); err != nil {
						t.Fatal(err)
					}
				}
				if err := removed(t.Context(), "fw", "torn down"); err != nil {
					t.Fatal(err)
				}
				if id, err := store.Load(t.Context()); id != "" || err != nil {
					t.Errorf("stored afterwards: %q, %v", id, err)
				}
				r.wantEvents(EventFrameworkRemoved)
				r.Subscribed(mesos.Subscription{FrameworkID: "fw-2", Master: "m", Roles: []mesos.RoleAsk{{Name: "web"}}})
				r.pass(time.Second)
				r.Offers([]offers.Offer{offer("o-next", "n1", 2)})
				id := r.taken(units(1))
				r.runsTask(id)
				r.follow()
				r.wantNamed(id, units(1), "")
				if got := r.atAPI().Annotations[AnnotationFramework]; got != "fw-2" || r.disruption("p") != nil {
					t.Errorf("the pod is of framework %q, condition %+v", got, r.disruption("p"))
				}
			})
		})
	}
}
