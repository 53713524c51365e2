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

package mesos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// RoleUsage is the quota of a role and what counts against it.
type RoleUsage struct {
	Role string
	// Limit is what the role may use at most, of the resources that Limited names by
	// their Mesos names; of all others it may use any amount. A limit of 0 is one.
	Limit   resources.Bundle
	Limited map[string]bool
	// Guarantee is what the master keeps back for the role.
	Guarantee resources.Bundle
	// Consumed is what counts against the limit: resources that are allocated to the
	// role or a role below it, and reservations whether in use or not; no ports. The
	// limit binds what is offered, too, which is not counted here.
	Consumed resources.Bundle
}

// rolesPath lists the roles (master http.cpp Master::Http::roles).
const rolesPath = "/roles"

// getRoles is the name of that request in errors and metrics.
const getRoles = "GET " + rolesPath

// Roles lists the roles that the master knows: those of frameworks, of reservations,
// of quotas and of weights. What its ACLs hide from our principal is not among them.
// The error is ErrNotSubscribed, a *CallError or the context's.
func (s *Session) Roles(ctx context.Context) ([]RoleUsage, error) {
	var answer struct {
		Roles []struct {
			Name  string `json:"name"`
			Quota struct {
				Guarantee quantities `json:"guarantee"`
				Limit     quantities `json:"limit"`
				Consumed  quantities `json:"consumed"`
			} `json:"quota"`
		} `json:"roles"`
	}
	if err := s.operate(ctx, operation{name: getRoles, method: http.MethodGet, path: rolesPath, into: &answer}); err != nil {
		return nil, err
	}
	out := make([]RoleUsage, len(answer.Roles))
	for i, r := range answer.Roles {
		u := RoleUsage{Role: r.Name, Limit: r.Quota.Limit.bundle(), Guarantee: r.Quota.Guarantee.bundle(), Consumed: r.Quota.Consumed.bundle()}
		for name, value := range r.Quota.Limit {
			if _, ok := amountOf(value); ok {
				if u.Limited == nil {
					u.Limited = map[string]bool{}
				}
				u.Limited[name] = true
			}
		}
		out[i] = u
	}
	return out, nil
}

// quantities are amounts by Mesos names. What is no amount is ignored.
type quantities map[string]json.RawMessage

func amountOf(value json.RawMessage) (milli int64, ok bool) {
	var amount float64
	if json.Unmarshal(value, &amount) != nil {
		return 0, false
	}
	return resources.FromMesosScalar(amount)
}

func (q quantities) bundle() (b resources.Bundle) {
	for name, value := range q {
		amount, ok := amountOf(value)
		switch kind, known := resources.KindOfMesos(name); {
		case !ok:
		case known:
			b.Vector[kind] = amount
		default:
			b.Scalars = b.Scalars.Add(resources.Scalars{{Name: name, Milli: amount}})
		}
	}
	return b
}

const (
	operatorPath = "/api/v1"
	updateQuota  = "UPDATE_QUOTA"
)

// UpdateQuota replaces the limits of a role, in 1/1000 by Mesos names, and takes its
// guarantees away; without limits it has no quota then. The master refuses roles that
// contain a slash, and limits below what the role uses, unless forced: then offers
// are rescinded and tasks go on. The error is ErrNotSubscribed, a *CallError with the
// master's text, or the context's. What a call with an unknown outcome set is set
// again by the same call.
func (s *Session) UpdateQuota(ctx context.Context, role string, limits map[string]int64, force bool) error {
	type scalar struct {
		Value float64 `json:"value"`
	}
	type quotaConfig struct {
		Role   string            `json:"role"`
		Limits map[string]scalar `json:"limits"`
	}
	type update struct {
		Force   bool          `json:"force"`
		Configs []quotaConfig `json:"quota_configs"`
	}
	if role == "" {
		return &CallError{Type: updateQuota, Err: errors.New("a quota needs a role")}
	}
	c := quotaConfig{Role: role, Limits: make(map[string]scalar, len(limits))}
	for name, milli := range limits {
		if name == "" || milli < 0 {
			return &CallError{Type: updateQuota, Err: fmt.Errorf("%q cannot have the limit %d", name, milli)}
		}
		c.Limits[name] = scalar{resources.ToMesosScalar(milli)}
	}
	return s.operate(ctx, operation{
		name: updateQuota, method: http.MethodPost, path: operatorPath,
		body: struct {
			Type   string `json:"type"`
			Update update `json:"update_quota"`
		}{updateQuota, update{force, []quotaConfig{c}}},
	})
}
