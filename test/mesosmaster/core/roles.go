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

package core

import (
	"errors"
	"fmt"
	"math"
	"sort"
	"strings"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// rolesOf are the roles a FrameworkInfo subscribes to, in its order.
func rolesOf(info *mesos.FrameworkInfo) []string {
	if capable(info, mesos.FrameworkInfo_Capability_MULTI_ROLE) {
		return info.Roles
	}
	if info.Role == nil {
		return []string{"*"}
	}
	return []string{*info.Role}
}

func capable(info *mesos.FrameworkInfo, c mesos.FrameworkInfo_Capability_Type) bool {
	for i := range info.Capabilities {
		if info.Capabilities[i].Type == c {
			return true
		}
	}
	return false
}

// validFrameworkInfo says why a FrameworkInfo is refused
// (Mesos master/validation.cpp framework::validate; texts of a recorded master).
func validFrameworkInfo(info *mesos.FrameworkInfo) error {
	if err := validFrameworkRoles(info); err != nil {
		return err
	}
	if id := info.GetID().GetValue(); id != "" {
		if err := resource.ValidID(id); err != nil {
			return err
		}
	}
	for _, role := range sortedKeys(info.OfferFilters) {
		f := info.OfferFilters[role]
		if err := validOfferFilters(&f); err != nil {
			return err
		}
	}
	if t := info.GetFailoverTimeout(); math.IsNaN(t) || math.Abs(t) > float64(math.MaxInt64)/float64(time.Second) {
		return fmt.Errorf("The framework failover_timeout (%s) is invalid", cxxFloat(t))
	}
	return nil
}

func validFrameworkRoles(info *mesos.FrameworkInfo) error {
	if !capable(info, mesos.FrameworkInfo_Capability_MULTI_ROLE) {
		if len(info.Roles) > 0 {
			return errors.New("'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable")
		}
		if info.Role == nil {
			return nil
		}
		if err := resource.ValidRole(*info.Role); err != nil {
			return fmt.Errorf("'FrameworkInfo.role' is not a valid role: %w", err)
		}
		return nil
	}
	if info.Role != nil {
		return errors.New("'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable")
	}
	seen, twice := map[string]bool{}, map[string]bool{}
	for _, r := range info.Roles {
		if seen[r] {
			twice[r] = true
		}
		seen[r] = true
	}
	if len(twice) > 0 {
		return fmt.Errorf("'FrameworkInfo.roles' contains duplicate items: %s", braces(sortedKeys(twice)))
	}
	for _, r := range info.Roles {
		if err := resource.ValidRole(r); err != nil {
			return fmt.Errorf("'FrameworkInfo.roles' contains invalid role: %w", err)
		}
	}
	return nil
}

func validOfferFilters(f *mesos.OfferFilters) error {
	if f.MinAllocatableResources == nil {
		return nil
	}
	for _, q := range f.MinAllocatableResources.Quantities {
		if len(q.Quantities) == 0 {
			return errors.New("Resource quantities must contain at least one quantity")
		}
		for _, name := range sortedKeys(q.Quantities) {
			if err := validScalar(q.Quantities[name].Value); err != nil {
				return fmt.Errorf("Invalid resource quantity for '%s': %w", name, err)
			}
		}
	}
	return nil
}

// validSuppressed checks that only subscribed roles are suppressed.
func validSuppressed(info *mesos.FrameworkInfo, suppressed []string) error {
	subscribed := map[string]bool{}
	for _, r := range rolesOf(info) {
		subscribed[r] = true
	}
	unknown := map[string]bool{}
	for _, r := range suppressed {
		if !subscribed[r] {
			unknown[r] = true
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("Suppressed roles %s are not contained in the set of roles", braces(sortedKeys(unknown)))
	}
	return nil
}

// cxxFloat writes a number as a C++ stream does by default: six digits.
func cxxFloat(x float64) string {
	return strings.Replace(fmt.Sprintf("%.6g", x), "+Inf", "inf", 1)
}

// braces renders a set as stout does: "{ a, b }".
func braces(items []string) string {
	if len(items) == 0 {
		return "{}"
	}
	return "{ " + strings.Join(items, ", ") + " }"
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
