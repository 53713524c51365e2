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
	"strconv"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/master"
	"github.com/mesos/mesos-go/api/v1/lib/quota"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/allocator"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// updateQuota replaces the quotas of roles, all or none: UPDATE_QUOTA (Mesos
// master/quota_handler.cpp Master::QuotaHandler::update, _update; texts of a
// recorded master).
func (m *Master) updateQuota(call *master.Call_UpdateQuota) Response {
	configs := call.QuotaConfigs
	for i := range configs {
		if err := m.validQuotaRole(configs[i].Role); err != nil {
			return badRequest(err.Error())
		}
		if err := validQuota(&configs[i]); err != nil {
			return badRequest("Invalid QuotaConfig: " + err.Error())
		}
	}
	if !call.GetForce() {
		if err := m.quotaTooSmall(configs); err != nil {
			return badRequest("Invalid QuotaConfig: " + err.Error() + " (use 'force' flag to bypass this check)")
		}
		sum, capacity := m.guaranteesWith(configs), m.capacity()
		if !capacity.Contains(sum) {
			return badRequest(fmt.Sprintf("Invalid QuotaConfig: total quota guarantees '%s' exceed cluster capacity '%s' (use 'force' flag to bypass this check)", sum, capacity))
		}
	}
	for i := range configs {
		m.setQuota(configs[i].Role, quotaOf(&configs[i]))
	}
	for i := range configs {
		m.rescindForQuota(configs[i].Role)
	}
	return done
}

func (m *Master) validQuotaRole(role string) error {
	if !m.roleAllowed(role) {
		return fmt.Errorf("Invalid QuotaConfig: '%s' is not on the roles whitelist", role)
	}
	if strings.Contains(role, "/") {
		return fmt.Errorf("Updating quota on nested role '%s' is not supported yet", role)
	}
	return nil
}

// validQuota says why a quota is refused (Mesos master/quota.cpp validate).
func validQuota(c *quota.QuotaConfig) error {
	if err := resource.ValidRole(c.Role); err != nil {
		return fmt.Errorf("Invalid 'QuotaConfig.role': %w", err)
	}
	if err := tooLarge(c.Guarantees); err != nil {
		return fmt.Errorf("Invalid 'QuotaConfig.guarantees': %w", err)
	}
	if err := tooLarge(c.Limits); err != nil {
		return fmt.Errorf("Invalid 'QuotaConfig.limits': %w", err)
	}
	for _, x := range []struct {
		what   string
		values map[string]mesos.Value_Scalar
	}{{"guarantee", c.Guarantees}, {"limit", c.Limits}} {
		for _, name := range sortedKeys(x.values) {
			if err := validScalar(x.values[name].Value); err != nil {
				return fmt.Errorf("Invalid %s configuration {'%s': %s}: %w", x.what, name, scalarText(x.values[name].Value), err)
			}
		}
	}
	if q := quotaOf(c); !q.Limits.Contain(q.Guarantees) {
		return fmt.Errorf("'QuotaConfig.guarantees' %s is not contained within the 'QuotaConfig.limits' %s", mapText(c.Guarantees), mapText(c.Limits))
	}
	return nil
}

// Largest values of a quota: an exabyte in megabytes, and a trillion of anything
// else.
const (
	maxQuotaMegabytes = 1 << 40
	maxQuotaOthers    = 1_000_000_000_000
)

func tooLarge(values map[string]mesos.Value_Scalar) error {
	for _, name := range sortedKeys(values) {
		v := values[name].Value
		switch {
		case (name == "mem" || name == "disk") && v > maxQuotaMegabytes:
			return fmt.Errorf("{'%s': %s} is invalid: values greater than 1 exabyte (%d) are not supported", name, scalarText(v), int64(maxQuotaMegabytes))
		case name != "mem" && name != "disk" && v > maxQuotaOthers:
			return fmt.Errorf("{'%s': %s} is invalid: values greater than 1 trillion (%d) are not supported", name, scalarText(v), int64(maxQuotaOthers))
		}
	}
	return nil
}

// validScalar says why a number given by an operator or framework is refused
// (Mesos common/validation.cpp validateInputScalarValue).
func validScalar(x float64) error {
	switch {
	case math.IsInf(x, 0):
		return errors.New("Infinite values not supported")
	case math.IsNaN(x):
		return errors.New("NaN not supported")
	case x != 0 && math.Abs(x) < 0x1p-1022:
		return errors.New("Subnormal values not supported")
	case x < 0:
		return errors.New("Negative values not supported")
	}
	return nil
}

// scalarText writes a scalar as Mesos does: thousandths, 15 digits.
func scalarText(x float64) string {
	return strings.NewReplacer("+Inf", "inf", "-Inf", "-inf", "NaN", "nan").Replace(strconv.FormatFloat(math.Round(x*1000)/1000, 'g', 15, 64))
}

func mapText(values map[string]mesos.Value_Scalar) string {
	var items []string
	for _, name := range sortedKeys(values) {
		items = append(items, name+": "+scalarText(values[name].Value))
	}
	return braces(items)
}

func quotaOf(c *quota.QuotaConfig) allocator.Quota {
	milli := func(values map[string]mesos.Value_Scalar) map[string]int64 {
		out := map[string]int64{}
		for name, v := range values {
			out[name] = resource.MilliOf(v.Value)
		}
		return out
	}
	return allocator.Quota{Guarantees: allocator.QuantitiesOf(milli(c.Guarantees)), Limits: allocator.LimitsOf(milli(c.Limits))}
}

// quotaTooSmall tells the first role that consumes more than it would be allowed.
func (m *Master) quotaTooSmall(configs []quota.QuotaConfig) error {
	known := m.knownRoles()
	for i := range configs {
		limits, used := quotaOf(&configs[i]).Limits, consumedQuota(known[configs[i].Role], configs[i].Role)
		if !limits.Contain(used) {
			return fmt.Errorf("Role '%s' is already consuming '%s'; this is more than the requested limits '%s'", configs[i].Role, used, limits)
		}
	}
	return nil
}

// consumedQuota is what counts against the quota of a role by the numbers of the
// master: what is in use, and what is reserved beyond that; offers do not (Mesos
// master.cpp RoleResourceBreakdown::consumedQuota).
func consumedQuota(h *roleHoldings, role string) allocator.Quantities {
	if h == nil {
		return nil
	}
	var reserved resource.Resources
	for _, r := range h.used {
		if by := r.Flavor.Role(); by == role || strings.HasPrefix(by, role+"/") {
			reserved = append(reserved, r)
		}
	}
	idle := allocator.Counted(h.reserved).Minus(allocator.Counted(reserved))
	return allocator.Counted(h.used).Plus(idle)
}

// guaranteesWith is the sum of all guarantees once configs are in force.
func (m *Master) guaranteesWith(configs []quota.QuotaConfig) allocator.Quantities {
	changed := map[string]allocator.Quota{}
	for role, q := range m.registry.quotas {
		changed[role] = q
	}
	for i := range configs {
		changed[configs[i].Role] = quotaOf(&configs[i])
	}
	var sum allocator.Quantities
	for _, q := range changed {
		sum = sum.Plus(q.Guarantees)
	}
	return sum
}

// capacity is what registered agents have that cannot be revoked.
func (m *Master) capacity() allocator.Quantities {
	var sum resource.Resources
	for _, a := range m.order {
		for i := range a.total {
			if r := a.total[i]; r.Kind == resource.Scalar && !r.Flavor.Revocable() {
				sum = sum.Add(resource.Resources{r})
			}
		}
	}
	return allocator.Scalars(sum)
}

// setQuota puts a quota in force. Roles keep their entry when it becomes empty,
// until the master ends: the registry does not have it.
func (m *Master) setQuota(role string, q allocator.Quota) {
	m.registry.quotas[role] = q
	m.alloc.SetQuota(role, q)
}

// restoreQuotas gives a new master the quotas of the registry.
func (m *Master) restoreQuotas() {
	for _, role := range sortedKeys(m.registry.quotas) {
		if q := m.registry.quotas[role]; q.Default() {
			delete(m.registry.quotas, role)
		} else {
			m.alloc.SetQuota(role, q)
		}
	}
}

// rescindForQuota takes offers back after the quota of a role has changed: from
// the role and those below it until they are within its limits, then from others
// until its guarantees could be met.
func (m *Master) rescindForQuota(role string) {
	q, h := m.registry.quotas[role], m.knownRoles()[role]
	if h == nil {
		h = &roleHoldings{}
	}
	below := func(o *offer) bool { return o.role == role || strings.HasPrefix(o.role, role+"/") }
	holds := consumedQuota(h, role).Plus(allocator.Counted(h.offered))
	for _, id := range sortedKeys(m.frameworks) {
		for _, o := range bySeq(m.frameworks[id].offers) {
			if q.Limits.Contain(holds) {
				break
			}
			if below(o) {
				holds = holds.Minus(allocator.Counted(o.res))
				m.discardOffer(o, true)
			}
		}
	}
	for _, a := range m.order {
		for _, o := range bySeq(a.offers) {
			if holds.Contains(q.Guarantees) {
				return
			}
			if !below(o) {
				holds = holds.Plus(allocator.Counted(o.res))
				m.discardOffer(o, true)
			}
		}
	}
}

// quotaStatus is GET_QUOTA: the status lists every role whose quota was ever set
// (Mesos master/quota_handler.cpp _status).
func (m *Master) quotaStatus() quota.QuotaStatus {
	s := quota.QuotaStatus{}
	for _, role := range sortedKeys(m.registry.quotas) {
		q := m.registry.quotas[role]
		info := quota.QuotaInfo{Role: ptr(role)}
		for _, x := range q.Guarantees {
			info.Guarantee = append(info.Guarantee, mesos.Resource{
				Name: x.Name, Type: mesos.SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: float64(x.Milli) / 1000},
			})
		}
		s.Infos = append(s.Infos, info)
		s.Configs = append(s.Configs, quota.QuotaConfig{Role: role, Guarantees: scalarMap(q.Guarantees), Limits: scalarMap(q.Limits)})
	}
	return s
}

func scalarMap(q []allocator.Quantity) map[string]mesos.Value_Scalar {
	if len(q) == 0 {
		return nil
	}
	out := map[string]mesos.Value_Scalar{}
	for _, x := range q {
		out[x.Name] = mesos.Value_Scalar{Value: float64(x.Milli) / 1000}
	}
	return out
}

// quotaObject is the quota of a role as /roles shows it.
func (m *Master) quotaObject(role string, h *roleHoldings) object {
	numbers := func(q []allocator.Quantity) object {
		out := object{}
		for _, x := range q {
			out[x.Name] = float64(x.Milli) / 1000
		}
		return out
	}
	q := m.registry.quotas[role]
	return object{
		"role": role, "guarantee": numbers(q.Guarantees), "limit": numbers(q.Limits), "consumed": numbers(consumedQuota(h, role)),
	}
}
