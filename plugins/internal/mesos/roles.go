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
	"fmt"
	"slices"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// roleSet is the roles of a subscription and their terms.
type roleSet []RoleAsk

// newRoleSet refuses what no master accepts and no owner means.
func newRoleSet(asks []RoleAsk) (roleSet, error) {
	seen := make(map[string]bool, len(asks))
	for _, ask := range asks {
		if ask.Name == "" || seen[ask.Name] {
			return nil, fmt.Errorf("role %q is empty or named twice", ask.Name)
		}
		seen[ask.Name] = true
		if err := validateTerms(ask.Terms); err != nil {
			return nil, fmt.Errorf("role %q: %w", ask.Name, err)
		}
	}
	return slices.Clone(asks), nil
}

func (r roleSet) names() []string {
	all, _ := SplitRoles(r)
	return all
}

// SplitRoles returns the names of the roles, and of those that are suppressed.
func SplitRoles(asks []RoleAsk) (all, suppressed []string) {
	for _, ask := range asks {
		all = append(all, ask.Name)
		if ask.Suppressed {
			suppressed = append(suppressed, ask.Name)
		}
	}
	return all, suppressed
}

// AskRoles asks for roles without terms.
func AskRoles(all, suppressed []string) []RoleAsk {
	asks := make([]RoleAsk, len(all))
	for i, role := range all {
		asks[i] = RoleAsk{Name: role, Suppressed: slices.Contains(suppressed, role)}
	}
	return asks
}

// StaticRoles is a Config.Roles for roles that never change, without terms:
// unsuppressed if wanted is nil or tells so at the time.
func StaticRoles(wanted func() bool, roles ...string) func() []RoleAsk {
	open, shut := AskRoles(roles, nil), AskRoles(roles, roles)
	return func() []RoleAsk {
		if wanted == nil || wanted() {
			return open
		}
		return shut
	}
}

func (sub *subscription) currentRoles() roleSet {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	return sub.roles
}

func (sub *subscription) setRoles(r roleSet) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	sub.roles = r
}

// UpdateRoles implements Client. It goes through the ordered lane: a REVIVE or
// SUPPRESS that was called before is made before, one called after knows the new
// roles.
func (s *Session) UpdateRoles(ctx context.Context, asks []RoleAsk) error {
	var next roleSet
	return s.sendThen(ctx, scheduler.Call_UPDATE_FRAMEWORK, inOrder,
		func(sub *subscription) (bodies [][]byte, err error) {
			if next, err = newRoleSet(asks); err != nil {
				return nil, err
			}
			return one(encodeUpdateFramework(s.cfg.Framework, next, sub.frameworkID, sub.constraints))
		},
		func(sub *subscription) { sub.setRoles(next) })
}

// Revive implements Client.
func (s *Session) Revive(ctx context.Context, roles ...string) error {
	return s.send(ctx, scheduler.Call_REVIVE, inOrder, func(sub *subscription) ([][]byte, error) {
		if err := validateRoles(sub.currentRoles().names(), roles); err != nil {
			return nil, err
		}
		return one(encodeRevive(sub.frameworkID, roles))
	})
}

// Suppress implements Client.
func (s *Session) Suppress(ctx context.Context, roles ...string) error {
	return s.send(ctx, scheduler.Call_SUPPRESS, inOrder, func(sub *subscription) ([][]byte, error) {
		if err := validateRoles(sub.currentRoles().names(), roles); err != nil {
			return nil, err
		}
		return one(encodeSuppress(sub.frameworkID, roles))
	})
}

// validateRoles refuses roles that are not ours: the master answers 202 and
// ignores the whole call if one role of a REVIVE or SUPPRESS is not subscribed.
func validateRoles(ours, named []string) error {
	for _, role := range named {
		if !slices.Contains(ours, role) {
			return fmt.Errorf("role %q is not among our roles %q", role, ours)
		}
	}
	return nil
}
