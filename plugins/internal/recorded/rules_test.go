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
	"mime"
	"net/http"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/kube-mesos/kube-mesos/test/recordings/wire"
)

const (
	schedulerPath  = "/api/v1/scheduler"
	protobufMedia  = "application/x-protobuf"
	streamIDHeader = "Mesos-Stream-Id"
)

// aborts is the status of a call that ends a real master: type UNKNOWN from a
// subscribed framework (metrics.cpp "Check failed: call_types.contains").
const aborts = -1

// members are the union members of a call by its type, "" where none is needed
// (Mesos scheduler::call::validate).
var members = map[string]protoreflect.Name{
	"SUBSCRIBE": "subscribe", "TEARDOWN": "", "ACCEPT": "accept", "DECLINE": "decline",
	"ACCEPT_INVERSE_OFFERS": "accept_inverse_offers", "DECLINE_INVERSE_OFFERS": "decline_inverse_offers",
	"REVIVE": "", "KILL": "kill", "SHUTDOWN": "shutdown", "ACKNOWLEDGE": "acknowledge",
	"ACKNOWLEDGE_OPERATION_STATUS": "acknowledge_operation_status",
	"RECONCILE":                    "reconcile", "RECONCILE_OPERATIONS": "reconcile_operations",
	"MESSAGE": "message", "REQUEST": "request", "SUPPRESS": "", "UPDATE_FRAMEWORK": "update_framework",
}

// refusal is how a master judges a request before it looks at any framework:
// status 0 if it lets it through (Mesos Master::Http::scheduler and
// scheduler::call::validate; the texts are those recorded). The body may be of
// either media type; missing says which required field it lacks.
func refusal(method string, header http.Header, call protoreflect.Message) (status int, text string) {
	if method != http.MethodPost {
		return http.StatusMethodNotAllowed, fmt.Sprintf("405 Method Not Allowed. Expecting one of { 'POST' }, but received '%s'.", method)
	}
	switch header.Get("Content-Type") {
	case "":
		return http.StatusBadRequest, "Expecting 'Content-Type' to be present"
	case protobufMedia, "application/json":
	default:
		return http.StatusUnsupportedMediaType, "Expecting 'Content-Type' of application/json or application/x-protobuf"
	}
	if err := proto.CheckInitialized(call.Interface()); err != nil {
		return http.StatusBadRequest, "Missing required fields"
	}
	if text := invalid(call); text != "" {
		return http.StatusBadRequest, "Failed to validate scheduler::Call: " + text
	}
	kind := wire.Enum(call, "type")
	if (kind == "SUBSCRIBE" || kind == "RECONCILE_OPERATIONS") && !acceptable(header.Values("Accept")) {
		return http.StatusNotAcceptable, "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'"
	}
	if _, has := header[streamIDHeader]; has && kind == "SUBSCRIBE" {
		return http.StatusBadRequest, "Subscribe calls should not include the 'Mesos-Stream-Id' header"
	}
	if kind == "UNKNOWN" {
		return aborts, "Check failed: call_types.contains(callType)"
	}
	return 0, ""
}

// invalid is scheduler::call::validate.
func invalid(call protoreflect.Message) string {
	kind := wire.Enum(call, "type")
	member, known := members[kind]
	switch {
	case kind == "" || !known && kind != "UNKNOWN":
		return "Expecting 'type' to be present"
	case kind == "SUBSCRIBE":
		subscribe := wire.Sub(call, member)
		if subscribe == nil {
			return "Expecting 'subscribe' to be present"
		}
		if wire.Text(call, "framework_id", "value") != wire.Text(subscribe, "framework_info", "id", "value") {
			return "'framework_id' differs from 'subscribe.framework_info.id'"
		}
		return ""
	case wire.Sub(call, "framework_id") == nil:
		return "Expecting 'framework_id' to be present"
	case member != "" && wire.Sub(call, member) == nil:
		return fmt.Sprintf("Expecting '%s' to be present", member)
	}
	switch kind {
	case "ACKNOWLEDGE":
		if !validUUID(wire.Bytes(wire.Sub(call, member), "uuid")) {
			return "Not a valid UUID"
		}
	case "ACKNOWLEDGE_OPERATION_STATUS":
		if !validUUID(wire.Bytes(wire.Sub(call, member), "uuid")) {
			return "Not a valid UUID"
		}
		if wire.Sub(wire.Sub(call, member), "agent_id") == nil {
			return "Expecting 'agent_id' to be present"
		}
	case "UPDATE_FRAMEWORK":
		if wire.Text(call, "framework_id", "value") != wire.Text(call, member, "framework_info", "id", "value") {
			return "'framework_id' differs from 'update_framework.framework_info.id'"
		}
	}
	return ""
}

// validUUID: 16 bytes with an RFC 4122 version (recording 09).
func validUUID(b []byte) bool {
	return len(b) == 16 && b[6]>>4 >= 1 && b[6]>>4 <= 5
}

// acceptable tells whether an Accept header allows one of the two media types.
func acceptable(accept []string) bool {
	if len(accept) == 0 {
		return true
	}
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		media, _, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil {
			continue
		}
		switch media {
		case "*/*", "application/*", protobufMedia, "application/json":
			return true
		}
	}
	return false
}
