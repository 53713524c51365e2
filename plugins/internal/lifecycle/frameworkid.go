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
	"context"
	"fmt"
	"sync"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// frameworkIDKey is the ConfigMap's entry.
const frameworkIDKey = "frameworkID"

// FrameworkIDStore keeps the FrameworkID in a ConfigMap: the one thing that must
// survive us, because whoever subscribes without it becomes a second framework
// beside the tasks of the first. It implements mesos.IDStore.
type FrameworkIDStore struct {
	client          kubernetes.Interface
	namespace, name string

	mu sync.Mutex
	// seen is the object as last read: Save replaces exactly that and nothing newer.
	seen *v1.ConfigMap
}

// NewFrameworkIDStore returns a store in the named ConfigMap, which need not exist.
func NewFrameworkIDStore(client kubernetes.Interface, namespace, name string) *FrameworkIDStore {
	return &FrameworkIDStore{client: client, namespace: namespace, name: name}
}

// Load returns the stored id, "" if none was ever saved.
func (s *FrameworkIDStore) Load(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cm, err := s.client.CoreV1().ConfigMaps(s.namespace).Get(ctx, s.name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		s.seen = nil
		return "", nil
	case err != nil:
		return "", fmt.Errorf("cannot read ConfigMap %s/%s: %w", s.namespace, s.name, err)
	}
	s.seen = cm
	return cm.Data[frameworkIDKey], nil
}

// Save stores the id. It never replaces an id that it has not read: if somebody
// else stored one meanwhile, it fails, and the caller must Load again.
func (s *FrameworkIDStore) Save(ctx context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var saved *v1.ConfigMap
	var err error
	if s.seen == nil {
		saved, err = s.client.CoreV1().ConfigMaps(s.namespace).Create(ctx, &v1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: s.name},
			Data:       map[string]string{frameworkIDKey: id},
		}, metav1.CreateOptions{})
	} else {
		cm := s.seen.DeepCopy()
		if cm.Data == nil {
			cm.Data = map[string]string{}
		}
		cm.Data[frameworkIDKey] = id
		saved, err = s.client.CoreV1().ConfigMaps(s.namespace).Update(ctx, cm, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("cannot write the framework id into ConfigMap %s/%s: %w", s.namespace, s.name, err)
	}
	s.seen = saved
	return nil
}
