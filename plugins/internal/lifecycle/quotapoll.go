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
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/quota"
)

// firstReadings is how often the quotas are tried to be read, a second apart, before
// pods are placed without knowing them.
const firstReadings = 5

// problemQuotasUnread keeps pods from being placed before the quotas were read once.
const problemQuotasUnread = "the quotas of Mesos are not known yet"

// quotasUnread tells whether a limit might be exceeded because nobody has asked for
// it yet. The mutex is held.
func (m *Manager) quotasUnread() bool {
	return m.cfg.EnforceQuota && m.cfg.QuotaPeriod > 0 && m.quotas != nil && m.subscribed && m.quotaReadings < firstReadings
}

// pollQuotas reads the quotas with each subscription, and now and then.
func (m *Manager) pollQuotas(ctx context.Context) {
	if m.cfg.QuotaPeriod <= 0 {
		return
	}
	ticker := time.NewTicker(min(time.Second, m.cfg.QuotaPeriod))
	defer ticker.Stop()
	var read uint64
	var next time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-m.readQuotas:
		}
		m.mu.Lock()
		subscribed, generation, source, unread := m.subscribed, m.generation, m.quotas, m.quotasUnread()
		m.mu.Unlock()
		if !subscribed || source == nil || !unread && generation == read && time.Now().Before(next) {
			continue
		}
		read, next = generation, time.Now().Add(m.cfg.QuotaPeriod)
		m.quotasTried(m.takeInQuotas(ctx, source))
	}
}

func (m *Manager) takeInQuotas(ctx context.Context, source Quotas) error {
	restore := m.takeMade()
	before, begun := m.cfg.Usage.Snapshot(), time.Now()
	list, err := source.Quotas(ctx)
	if err != nil {
		restore()
		return err
	}
	m.cfg.SetQuotas(list, quota.Least(before, m.cfg.Usage.Snapshot()), begun)
	return nil
}

// quotasTried lets pods be placed that waited for a first or another reading.
func (m *Manager) quotasTried(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	unread := m.quotasUnread()
	switch {
	case err == nil:
		m.quotaReadings, m.recheck = firstReadings, true
	case unread:
		m.quotaReadings++
	}
	if err != nil {
		m.logger.V(2).Info("Cannot read the quotas of Mesos; those read before hold on", "err", err)
	}
	if unread && !m.quotasUnread() {
		if err != nil {
			m.logger.Error(err, "Cannot read the quotas of Mesos: until they can be read, limits of top-level roles do not hold for the roles below them")
		}
		m.told, m.awaiting = append(m.told, m.awaiting...), nil
	}
	m.kick()
}
