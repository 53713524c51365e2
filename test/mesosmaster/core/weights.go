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
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// updateWeights changes the weights of roles, all or none. If one of the roles is
// in use, every offer of the cluster is rescinded: UPDATE_WEIGHTS and PUT /weights
// (Mesos master/weights_handler.cpp _updateWeights, rescindOffers).
func (m *Master) updateWeights(infos []mesos.WeightInfo) Response {
	const failed = "Failed to validate update weights request JSON"
	roles := make([]string, len(infos))
	for i, w := range infos {
		role := strings.TrimSpace(w.GetRole())
		if err := resource.ValidRole(role); err != nil {
			return badRequest(fmt.Sprintf("%s: Invalid role '%s': %v", failed, role, err))
		}
		if !m.roleAllowed(role) {
			return badRequest(fmt.Sprintf("%s: Unknown role '%s'", failed, role))
		}
		if !(w.Weight > 0) {
			return badRequest(fmt.Sprintf("%s for role '%s': Invalid weight '%s': Weights must be positive", failed, role, cxxFloat(w.Weight)))
		}
		roles[i] = role
	}
	inUse := false
	for i, role := range roles {
		m.registry.weights[role] = infos[i].Weight
		m.alloc.SetWeight(role, infos[i].Weight)
		inUse = inUse || m.roleInUse(role)
	}
	if inUse {
		for _, a := range m.order {
			for _, o := range bySeq(a.offers) {
				m.discardOffer(o, true)
			}
		}
	}
	return done
}

// roleInUse tells whether a framework is subscribed to a role or holds something
// in it (Mesos Master::roles).
func (m *Master) roleInUse(role string) bool {
	for _, f := range m.frameworks {
		if f.roles[role] {
			return true
		}
		for _, t := range f.tasks {
			if t.role == role {
				return true
			}
		}
		for _, e := range f.executors {
			if e.role == role {
				return true
			}
		}
	}
	return false
}

// Weights is the body of GET /weights.
func (m *Master) Weights() any {
	list := []json.RawMessage{}
	if r := m.weightsReply(); r != nil {
		for i := range r.WeightInfos {
			list = append(list, raw(&r.WeightInfos[i]))
		}
	}
	return list
}

// UpdateWeights is PUT /weights, a list of WeightInfo.
func (m *Master) UpdateWeights(now time.Time, body []byte) Response {
	m.enter(now)
	tree, err := codec.ParseJSON(body)
	list, ok := tree.([]any)
	if err == nil && !ok {
		err = errors.New("expected an array")
	}
	if err != nil {
		return badRequest(fmt.Sprintf("Failed to parse update weights request JSON '%s': %v", body, err))
	}
	infos := make([]mesos.WeightInfo, len(list))
	for i := range list {
		if err := codec.UnmarshalTree(list[i], &infos[i]); err != nil {
			return badRequest(fmt.Sprintf("Failed to convert weights JSON array to protobuf '%s': %v", body, err))
		}
	}
	return m.updateWeights(infos)
}
