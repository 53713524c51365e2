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
	"strings"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/quota"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/allocator"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// The quota calls of the time before limits: a guarantee is a limit as well.

// setQuotaRequest sets the quota of a role that has none: SET_QUOTA and POST
// /quota (Mesos master/quota_handler.cpp _set, __set).
func (m *Master) setQuotaRequest(req *quota.QuotaRequest) Response {
	const failed = "Failed to validate set quota request: "
	role := req.GetRole()
	for i := range req.Guarantee {
		if err := resource.Validate(&req.Guarantee[i]); err != nil {
			return badRequest("Failed to validate set quota request: QuotaInfo with invalid resource: " + err.Error())
		}
	}
	if err := validQuotaInfo(req); err != nil {
		return badRequest(failed + err.Error())
	}
	if !m.roleAllowed(role) {
		return badRequest(failed + "Unknown role '" + role + "'")
	}
	if _, ok := m.registry.quotas[role]; ok {
		return badRequest(failed + "Cannot set quota for role '" + role + "' which already has quota")
	}
	if strings.Contains(role, "/") {
		return badRequest("Setting quota on nested role '" + role + "' is not supported yet")
	}
	values := map[string]int64{}
	for i := range req.Guarantee {
		values[req.Guarantee[i].Name] = resource.MilliOf(req.Guarantee[i].GetScalar().GetValue())
	}
	q := allocator.Quota{Guarantees: allocator.QuantitiesOf(values), Limits: allocator.LimitsOf(values)}
	if sum, capacity := m.guaranteesWith(nil).Plus(q.Guarantees), m.capacity(); !req.GetForce() && !capacity.Contains(sum) {
		return Response{Status: 409, Body: fmt.Sprintf(
			"Quota guarantees overcommit the cluster (use 'force' to bypass this check): Total quota guarantees '%s' exceed cluster capacity '%s'", sum, capacity)}
	}
	m.setQuota(role, q)
	m.rescindForGuarantee(role, q.Guarantees)
	return done
}

// validQuotaInfo says why a request is refused (Mesos master/quota.cpp
// validation::quotaInfo).
func validQuotaInfo(req *quota.QuotaRequest) error {
	if req.Role == nil {
		return errors.New("QuotaInfo must specify a role")
	}
	if err := resource.ValidRole(*req.Role); err != nil {
		return fmt.Errorf("QuotaInfo with invalid role: %w", err)
	}
	if len(req.Guarantee) == 0 {
		return errors.New("QuotaInfo with empty 'guarantee'")
	}
	names := map[string]bool{}
	for i := range req.Guarantee {
		r := resource.FromProto(&req.Guarantee[i])
		switch {
		case r.Flavor.Role() != "":
			return errors.New("QuotaInfo must not contain any ReservationInfo")
		case r.Flavor.Disk() != nil:
			return errors.New("QuotaInfo must not contain DiskInfo")
		case r.Flavor.Revocable():
			return errors.New("QuotaInfo must not contain RevocableInfo")
		case r.Kind != resource.Scalar:
			return errors.New("QuotaInfo must not include non-scalar resources")
		case names[r.Name]:
			return fmt.Errorf("QuotaInfo contains duplicate resource name '%s'", r.Name)
		}
		names[r.Name] = true
	}
	return nil
}

// rescindForGuarantee takes the offers of one agent after another back, until
// they hold the guarantee and came from as many agents as the role has active
// frameworks (Mesos master/quota_handler.cpp rescindOffers).
func (m *Master) rescindForGuarantee(role string, guarantee allocator.Quantities) {
	frameworks, visited := 0, 0
	for _, f := range m.frameworks {
		if f.roles[role] && f.connected && f.active {
			frameworks++
		}
	}
	var rescinded allocator.Quantities
	for _, a := range m.order {
		if rescinded.Contains(guarantee) && visited >= frameworks {
			return
		}
		if !a.offerable() || len(a.offers) == 0 {
			continue
		}
		visited++
		for _, o := range bySeq(a.offers) {
			rescinded = rescinded.Plus(allocator.Scalars(o.res))
			m.discardOffer(o, true)
		}
	}
}

// removeQuota ends the quota of a role: REMOVE_QUOTA (Mesos
// master/quota_handler.cpp __remove).
func (m *Master) removeQuota(role string) Response {
	if _, ok := m.registry.quotas[role]; !ok {
		return badRequest("Failed to remove quota: Role '" + role + "' has no quota set")
	}
	delete(m.registry.quotas, role)
	m.alloc.SetQuota(role, allocator.Quota{})
	return done
}

// QuotaStatus is the body of GET /quota.
func (m *Master) QuotaStatus() any {
	s := m.quotaStatus()
	return raw(&s)
}

// SetQuota is POST /quota.
func (m *Master) SetQuota(now time.Time, body []byte) Response {
	m.enter(now)
	tree, err := codec.ParseJSON(body)
	if err != nil {
		return badRequest(fmt.Sprintf("Failed to parse set quota request JSON '%s': %v", body, err))
	}
	req := &quota.QuotaRequest{}
	if err := codec.UnmarshalTree(tree, req); err != nil {
		return badRequest(fmt.Sprintf("Failed to validate set quota request JSON '%s': %v", body, err))
	}
	return m.setQuotaRequest(req)
}

// RemoveQuota is DELETE /quota/<role>; path is what was asked for, and names the
// role behind "/master/quota/".
func (m *Master) RemoveQuota(now time.Time, path string) Response {
	m.enter(now)
	tokens := strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
	if len(tokens) < 3 {
		return badRequest(fmt.Sprintf("Failed to parse remove quota request for path '%s': expected 3 tokens, found %d tokens", path, len(tokens)))
	}
	role := strings.Join(tokens[2:], "/")
	if !m.roleAllowed(role) {
		return badRequest(fmt.Sprintf("Failed to validate remove quota request for path '%s': Unknown role '%s'", path, role))
	}
	if _, ok := m.registry.quotas[role]; !ok {
		return badRequest(fmt.Sprintf("Failed to remove quota for path '%s': Role '%s' has no quota set", path, role))
	}
	return m.removeQuota(role)
}
