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

package recorded

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/kube-mesos/kube-mesos/test/recordings/wire"
)

// discipline is what we ask of our own calls beyond what a master refuses: each
// rule keeps from being silently ignored, or from losing offers. It returns what is
// wrong, "" if nothing.
func discipline(call protoreflect.Message) string {
	if where := unknownFields(call); where != "" {
		return "fields that the scheduler API does not have, in " + where
	}
	switch kind := wire.Enum(call, "type"); kind {
	case "SUBSCRIBE":
		return goodFramework(wire.Sub(call, "subscribe"))
	case "UPDATE_FRAMEWORK":
		return goodFramework(wire.Sub(call, "update_framework"))
	case "ACCEPT":
		accept := wire.Sub(call, "accept")
		if text := goodOffers(accept); text != "" {
			return text
		}
		return goodOperations(accept)
	case "DECLINE":
		return goodOffers(wire.Sub(call, "decline"))
	case "ACCEPT_INVERSE_OFFERS", "DECLINE_INVERSE_OFFERS":
		return goodAnswer(wire.Sub(call, members[kind]))
	case "KILL":
		return goodID(wire.Text(call, "kill", "task_id", "value"))
	case "ACKNOWLEDGE":
		if wire.Text(call, "acknowledge", "agent_id", "value") == "" {
			return "an acknowledgement without an agent"
		}
		return goodID(wire.Text(call, "acknowledge", "task_id", "value"))
	case "RECONCILE":
		for _, task := range wire.List(wire.Sub(call, "reconcile"), "tasks") {
			if wire.Text(task, "task_id", "value") == "" {
				return "a reconciliation of a task without an id"
			}
		}
	case "REVIVE", "SUPPRESS":
	default:
		return kind + ", which we never send"
	}
	return ""
}

// unknownFields finds bytes that belong to no field.
func unknownFields(m protoreflect.Message) (where string) {
	if len(m.GetUnknown()) > 0 {
		return string(m.Descriptor().FullName())
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil || f.IsMap():
		case f.IsList():
			for i := 0; i < v.List().Len() && where == ""; i++ {
				where = unknownFields(v.List().Get(i).Message())
			}
		default:
			where = unknownFields(v.Message())
		}
		return where == ""
	})
	return where
}

// texts are the strings of a repeated field.
func texts(m protoreflect.Message, name protoreflect.Name) []string {
	list := m.Get(m.Descriptor().Fields().ByName(name)).List()
	out := make([]string, list.Len())
	for i := range out {
		out[i] = list.Get(i).String()
	}
	return out
}

// number is a double field; ok if it is there.
func number(m protoreflect.Message, name protoreflect.Name) (v float64, ok bool) {
	f := m.Descriptor().Fields().ByName(name)
	return m.Get(f).Float(), m.Has(f)
}

// offerIDs are the ids of an ACCEPT or DECLINE.
func offerIDs(m protoreflect.Message) []string {
	var out []string
	for _, id := range wire.List(m, "offer_ids") {
		out = append(out, wire.Text(id, "value"))
	}
	return out
}

// goodFramework checks SUBSCRIBE and UPDATE_FRAMEWORK (Mesos validateFramework).
func goodFramework(m protoreflect.Message) string {
	info := wire.Sub(m, "framework_info")
	if wire.Text(info, "user") == "" || wire.Text(info, "name") == "" {
		return "a framework without user or name"
	}
	if v, ok := number(info, "failover_timeout"); !ok || !(v > 0) || math.IsInf(v, 0) {
		return "failover_timeout must be above 0: else the master removes all tasks at the first disconnect"
	}
	if wire.Text(info, "checkpoint") != "true" {
		return "checkpoint must be set: else the restart of an agent loses every task"
	}
	var capabilities []string
	for _, c := range wire.List(info, "capabilities") {
		capabilities = append(capabilities, wire.Enum(c, "type"))
	}
	for _, want := range []string{"MULTI_ROLE", "PARTITION_AWARE", "RESERVATION_REFINEMENT", "TASK_KILLING_STATE", "REGION_AWARE"} {
		if !slices.Contains(capabilities, want) {
			return "capability " + want + " is missing"
		}
	}
	if wire.Text(info, "role") != "" {
		return "role is set together with MULTI_ROLE: ERROR"
	}
	roles := texts(info, "roles")
	for i, role := range roles {
		if !goodRole(role) || slices.Contains(roles[:i], role) {
			return fmt.Sprintf("role %q is invalid or named twice", role)
		}
	}
	for _, role := range texts(m, "suppressed_roles") {
		if !slices.Contains(roles, role) {
			return fmt.Sprintf("suppressed role %q is not subscribed: ERROR", role)
		}
	}
	return ""
}

// goodRole is Mesos' roles::validate.
func goodRole(role string) bool {
	if role == "*" {
		return true
	}
	for part := range strings.SplitSeq(role, "/") {
		if part == "" || part == "." || part == ".." || part == "*" || part[0] == '-' || strings.ContainsAny(part, "\t\n\v\f\r \x7f") {
			return false
		}
	}
	return true
}

// goodOffers checks what ACCEPT and DECLINE have in common. refuse_seconds must be
// given: absent means 5 s, negative too.
func goodOffers(m protoreflect.Message) string {
	ids := offerIDs(m)
	for i, id := range ids {
		if id == "" || slices.Contains(ids[:i], id) {
			return fmt.Sprintf("offer %q is empty or named twice", id)
		}
	}
	if len(ids) == 0 {
		return "no offers named"
	}
	filters := wire.Sub(m, "filters")
	if filters == nil {
		return "no filters"
	}
	if v, ok := number(filters, "refuse_seconds"); !ok || !(v >= 0) || v > 365*24*3600 {
		return fmt.Sprintf("refuse_seconds is %v", v)
	}
	return ""
}

// goodOperations: one LAUNCH, of tasks that no master answers with TASK_ERROR
// whatever is offered (Mesos validation.cpp, recording 04).
func goodOperations(accept protoreflect.Message) string {
	operations := wire.List(accept, "operations")
	if len(operations) != 1 || wire.Enum(operations[0], "type") != "LAUNCH" || wire.Sub(operations[0], "launch") == nil || wire.Sub(operations[0], "id") != nil {
		return "want one LAUNCH without an id"
	}
	tasks := wire.List(wire.Sub(operations[0], "launch"), "task_infos")
	seen := map[string]bool{}
	for _, task := range tasks {
		id := wire.Text(task, "task_id", "value")
		if text := goodID(id); text != "" {
			return text
		}
		if seen[id] {
			return fmt.Sprintf("task %q is launched twice", id)
		}
		seen[id] = true
		if wire.Text(task, "agent_id", "value") == "" || wire.Sub(task, "command") == nil || wire.Sub(task, "executor") != nil {
			return fmt.Sprintf("task %q needs an agent and either a command or an executor", id)
		}
		if text := goodResources(wire.List(task, "resources")); text != "" {
			return fmt.Sprintf("task %q: %s", id, text)
		}
	}
	if len(seen) == 0 {
		return "a LAUNCH without tasks consumes its offers for nothing"
	}
	return ""
}

// goodID is Mesos' common::validation::validateID.
func goodID(id string) string {
	if id == "" || len(id) > 255 || id == "." || id == ".." || strings.ContainsFunc(id, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '/' || r == '\\' }) {
		return fmt.Sprintf("id %q is not valid", id)
	}
	return ""
}

func goodResources(list []protoreflect.Message) string {
	if len(list) == 0 {
		return "uses no resources"
	}
	for _, r := range list {
		scalar := wire.Sub(r, "scalar")
		if wire.Text(r, "name") == "" || wire.Enum(r, "type") != "SCALAR" || scalar == nil {
			return "a resource without name, type or value"
		}
		if v, _ := number(scalar, "value"); !(v > 0) || v != math.Round(v*1000)/1000 {
			return fmt.Sprintf("%s is %v", wire.Text(r, "name"), v)
		}
		if wire.Text(r, "allocation_info", "role") == "" || wire.Text(r, "role") != "" {
			return "a resource without allocation role, or in the old form with role"
		}
	}
	return ""
}
