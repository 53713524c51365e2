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

package mesosoffers

import (
	"context"

	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/quota"
)

// quotaReader reads quotas from the master.
type quotaReader struct{ session *mesos.Session }

// Quotas implements lifecycle.Quotas.
func (r quotaReader) Quotas(ctx context.Context) ([]quota.Role, error) {
	list, err := r.session.Roles(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]quota.Role, 0, len(list))
	for _, u := range list {
		out = append(out, quota.Role{Name: u.Role, Limit: u.Limit, Limited: u.Limited, Guarantee: u.Guarantee, Consumed: u.Consumed})
	}
	return out, nil
}

// pusher sets quotas in Mesos.
type pusher struct{ session *mesos.Session }

// UpdateQuota implements quota.Pusher.
func (p pusher) UpdateQuota(ctx context.Context, role string, limits quota.Limits, force bool) error {
	return p.session.UpdateQuota(ctx, role, limits, force)
}
