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
	"time"

	mesosv1 "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"google.golang.org/protobuf/encoding/protowire"
)

// frameworkInfo builds FrameworkInfo; id is "" before the first subscription.
func frameworkInfo(f FrameworkInfo, roles []string, id string, failover time.Duration) *mesosv1.FrameworkInfo {
	seconds := failover.Seconds()
	checkpoint := true
	info := &mesosv1.FrameworkInfo{
		User:            f.User,
		Name:            f.Name,
		FailoverTimeout: &seconds,
		Checkpoint:      &checkpoint,
		Roles:           roles,
		Hostname:        optional(f.Hostname),
		Principal:       optional(f.Principal),
		WebUiURL:        optional(f.WebUIURL),
	}
	if id != "" {
		info.ID = &mesosv1.FrameworkID{Value: id}
	}
	types := []mesosv1.FrameworkInfo_Capability_Type{
		mesosv1.FrameworkInfo_Capability_MULTI_ROLE,
		mesosv1.FrameworkInfo_Capability_PARTITION_AWARE,
		mesosv1.FrameworkInfo_Capability_RESERVATION_REFINEMENT,
		mesosv1.FrameworkInfo_Capability_TASK_KILLING_STATE,
		mesosv1.FrameworkInfo_Capability_REGION_AWARE,
	}
	if f.GPUs {
		types = append(types, mesosv1.FrameworkInfo_Capability_GPU_RESOURCES)
	}
	if f.Revocable {
		types = append(types, mesosv1.FrameworkInfo_Capability_REVOCABLE_RESOURCES)
	}
	for _, t := range types {
		info.Capabilities = append(info.Capabilities, mesosv1.FrameworkInfo_Capability{Type: t})
	}
	return info
}

// encodeSubscribe builds SUBSCRIBE. With an id, both Call.framework_id and
// framework_info.id carry it: the master compares them. The constraints always go
// with it: which version the master has is not known before it answers, one that does
// not know the field skips it (protobuf), and one that does heeds it from its first
// allocation on.
func encodeSubscribe(f FrameworkInfo, r roleSet, id string, failover time.Duration) ([]byte, error) {
	return encodeFramework(scheduler.Call_SUBSCRIBE, frameworkInfo(f, r.names(), id, failover), r, r.constraints())
}

// encodeUpdateFramework builds UPDATE_FRAMEWORK, which replaces FrameworkInfo, the
// suppressed roles and the constraints as a whole. The constraints are left out if the
// master does not heed them.
func encodeUpdateFramework(f FrameworkInfo, r roleSet, id string, heeds bool) ([]byte, error) {
	var constraints []byte
	if heeds {
		constraints = r.constraints()
	}
	return encodeFramework(scheduler.Call_UPDATE_FRAMEWORK, frameworkInfo(f, r.names(), id, f.FailoverTimeout), r, constraints)
}

// Field numbers of v1/scheduler.proto and v1/mesos.proto.
const (
	// Of Call.
	fieldSubscribe       = 3
	fieldUpdateFramework = 19
	// Of Call.Subscribe and of Call.UpdateFramework.
	fieldFrameworkInfo    = 1
	fieldSuppressedRoles  = 2
	fieldOfferConstraints = 3
)

// encodeFramework builds the calls that carry a FrameworkInfo. Its member is put
// together here and not by mesos-go, which has no offer constraints and writes offer
// filters in the order of a map.
func encodeFramework(kind scheduler.Call_Type, info *mesosv1.FrameworkInfo, r roleSet, constraints []byte) ([]byte, error) {
	encoded, err := info.Marshal()
	if err != nil {
		return nil, err
	}
	// offer_filters is the last field of FrameworkInfo that we set.
	member := appendMessage(nil, fieldFrameworkInfo, append(encoded, r.filters()...))
	_, suppressed := SplitRoles(r)
	for _, role := range suppressed {
		member = appendMessage(member, fieldSuppressedRoles, []byte(role))
	}
	if len(constraints) > 0 {
		member = appendMessage(member, fieldOfferConstraints, constraints)
	}
	call, err := marshalCall(&scheduler.Call{Type: kind, FrameworkID: info.ID})
	if err != nil {
		return nil, err
	}
	field := protowire.Number(fieldSubscribe)
	if kind == scheduler.Call_UPDATE_FRAMEWORK {
		field = fieldUpdateFramework
	}
	return appendMessage(call, field, member), nil
}

// appendMessage appends a message, or a string, as a field of another.
func appendMessage(b []byte, field protowire.Number, message []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), message)
}
