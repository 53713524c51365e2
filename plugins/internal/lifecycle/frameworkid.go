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
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// The ConfigMap's entries.
const (
	frameworkIDKey = "frameworkID"
	// removedKey holds the ids that were ours until the master removed the framework: a
	// JSON list of removedFramework, the latest last.
	removedKey = "removedFrameworkIDs"
)

// removedFrameworks is how many of these are kept.
const removedFrameworks = 10

// removedFramework is an id that is not ours any more.
type removedFramework struct {
	ID string `json:"id"`
	// Time is when we heard of it, Reason the master's words.
	Time   metav1.Time `json:"time"`
	Reason string      `json:"reason"`
}

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

// Retire lets go of an id whose framework the master removed: it moves to those that were
// ours, in one write that fails if anybody else writes meanwhile. If the id that is
// stored is another one by now, or none, nothing is to be done.
func (s *FrameworkIDStore) Retire(ctx context.Context, id, why string, now time.Time) error {
	stored, err := s.Load(ctx)
	if err != nil || stored != id || id == "" {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	cm := s.seen.DeepCopy()
	var removed []removedFramework
	if text := cm.Data[removedKey]; text != "" {
		// What is no list is replaced: it is a record for people and nothing more.
		_ = json.Unmarshal([]byte(text), &removed)
	}
	removed = append(removed, removedFramework{ID: id, Time: metav1.NewTime(now.UTC().Truncate(time.Second)), Reason: why})
	removed = removed[max(0, len(removed)-removedFrameworks):]
	text, err := json.Marshal(removed)
	if err != nil {
		return err
	}
	delete(cm.Data, frameworkIDKey)
	cm.Data[removedKey] = string(text)
	saved, err := s.client.CoreV1().ConfigMaps(s.namespace).Update(ctx, cm, metav1.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("cannot write into ConfigMap %s/%s that framework %s was removed: %w", s.namespace, s.name, id, err)
	}
	s.seen = saved
	return nil
}

// ErrOtherIdentity tells that the ConfigMap holds another id than the one we use.
var ErrOtherIdentity = errors.New("somebody else changed the framework id")

// Keep writes the id that we use down again if the ConfigMap, or its entry, was deleted.
// If another one stands there, nothing is written, and the error is ErrOtherIdentity.
func (s *FrameworkIDStore) Keep(ctx context.Context, id string) (restored bool, err error) {
	stored, err := s.Load(ctx)
	switch {
	case err != nil || stored == id:
		return false, err
	case stored != "":
		return false, fmt.Errorf("%w: ConfigMap %s/%s names %q, we are subscribed as %q; put it back, or restart the scheduler to use the other one", ErrOtherIdentity, s.namespace, s.name, stored, id)
	}
	return true, s.Save(ctx, id)
}
