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
	"errors"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
)

// Removed returns what the session asks when the master removed our framework; see
// mesos.Config.Removed. If wait is set, somebody has to delete the id from the store
// first; otherwise we do so.
func (m *Manager) Removed(store *FrameworkIDStore, wait bool) func(ctx context.Context, id, why string) error {
	told := ""
	return func(ctx context.Context, id, why string) error {
		if !wait {
			if err := store.Retire(ctx, id, why, time.Now()); err != nil {
				return err
			}
			m.FrameworkRemoved(id, why)
			return nil
		}
		stored, err := store.Load(ctx)
		if err != nil {
			return err
		}
		if stored != id {
			m.FrameworkRemoved(id, why)
			return nil
		}
		err = fmt.Errorf("to register as a new framework, delete the entry %s of ConfigMap %s/%s (argument framework.onRemoved is Wait)", frameworkIDKey, store.namespace, store.name)
		if told != id {
			told = id
			m.proclaim(v1.EventTypeWarning, EventFrameworkRemoved, actionIdentify, fmt.Sprintf("The Mesos master removed framework %s with all its tasks: %v. %s", id, err, why))
		}
		return err
	}
}

// FrameworkRemoved tells that the master removed our framework, and with it all our
// tasks. The pods run on; what they hold is claimed again by the framework that follows.
func (m *Manager) FrameworkRemoved(id, why string) {
	metrics.FrameworksRemoved.Inc()
	m.logger.Error(nil, "The Mesos master removed our framework with all its tasks; registering as a new one, which claims again what running pods need", "frameworkID", id, "reason", why)
	m.proclaim(v1.EventTypeWarning, EventFrameworkRemoved, actionIdentify, fmt.Sprintf(
		"The Mesos master removed framework %s with all its tasks. A new one is registered, which claims again what running pods need. %s", id, why))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ledger.FrameworkRemoved(why, time.Now())
	m.subscription.FrameworkID = ""
	m.carryOut()
	m.kick()
}

// keepEvery is how often the ConfigMap is looked at.
const keepEvery = 15 * time.Second

// KeepIdentity restores the ConfigMap when it was deleted, and says so when somebody
// changed it, until the context ends.
func (m *Manager) KeepIdentity(ctx context.Context, store *FrameworkIDStore) {
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		m.mu.Lock()
		id, subscribed := m.subscription.FrameworkID, m.subscribed
		m.mu.Unlock()
		if id == "" || !subscribed {
			continue
		}
		restored, err := store.Keep(ctx, id)
		switch {
		case errors.Is(err, ErrOtherIdentity):
			if told != err.Error() {
				told = err.Error()
				m.logger.Error(err, "The framework id that is stored is not ours")
				m.proclaim(v1.EventTypeWarning, EventIdentityChanged, actionIdentify, err.Error())
			}
		case err != nil:
			m.logger.V(2).Info("Cannot check the stored framework id", "err", err)
		case restored:
			m.logger.Info("The framework id had been deleted and is stored again", "frameworkID", id)
			m.proclaim(v1.EventTypeWarning, EventIdentityRestored, actionIdentify, "The framework id had been deleted and is stored again")
		}
		if err == nil {
			told = ""
		}
	}
}
