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
	"fmt"
	"slices"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
)

const (
	fieldEventType   = 1
	fieldEventOffers = 3
)

// eventHead is what the top level of an Event record says.
type eventHead struct {
	kind scheduler.Event_Type
	// offers is the Offers message, a part of the record; nil if there is none.
	offers []byte
}

// scanEvent reads the top level of a record. An error means that the record is no
// protobuf at all, so that the framing itself is in doubt.
func scanEvent(record []byte) (eventHead, error) {
	var head eventHead
	for len(record) > 0 {
		num, typ, rest, value, err := consumeField(record)
		if err != nil {
			return head, err
		}
		record = rest
		switch num {
		case fieldEventType:
			v, n := protowire.ConsumeVarint(value)
			if typ != protowire.VarintType || n < 0 {
				return head, fmt.Errorf("%w: the event's type has wire type %d", errWire, typ)
			}
			head.kind = scheduler.Event_Type(int32(v))
		case fieldEventOffers:
			if typ != protowire.BytesType {
				return head, fmt.Errorf("%w: the event's offers have wire type %d", errWire, typ)
			}
			if head.offers == nil {
				head.offers = value
			} else {
				// Repeated occurrences of a message merge, which for wire bytes is to
				// concatenate them.
				head.offers = slices.Concat(head.offers, value)
			}
		}
	}
	return head, nil
}

// eventName is the v1 name of an event type, "UNKNOWN" for any newer than us.
func eventName(kind scheduler.Event_Type) string {
	if name, ok := scheduler.Event_Type_name[int32(kind)]; ok {
		return name
	}
	return scheduler.Event_UNKNOWN.String()
}

// decodeEvent decodes any event but OFFERS with the generated code. That code
// predates gogo/protobuf's checks of lengths that overflow and may panic on
// crafted bytes; such a panic becomes an error.
func decodeEvent(record []byte) (event *scheduler.Event, err error) {
	defer func() {
		if p := recover(); p != nil {
			event, err = nil, fmt.Errorf("%w: %v", errWire, p)
		}
	}()
	event = &scheduler.Event{}
	if err := event.Unmarshal(record); err != nil {
		return nil, fmt.Errorf("%w: %w", errWire, err)
	}
	return event, nil
}

// taskStatusOf reads UPDATE. Presence counts: an absent reason would read as the
// enum's zero value.
func taskStatusOf(update *scheduler.Event_Update) claims.TaskStatus {
	s := &update.Status
	out := claims.TaskStatus{
		TaskID:  s.TaskID.Value,
		State:   claims.TaskState(s.GetState().String()),
		Message: s.GetMessage(),
		UUID:    s.UUID,
	}
	if s.AgentID != nil {
		out.AgentID = s.AgentID.Value
	}
	if s.Reason != nil {
		out.Reason = s.Reason.String()
	}
	if s.Source != nil {
		out.Source = s.Source.String()
	}
	if s.Timestamp != nil {
		out.Timestamp = secondsToTime(*s.Timestamp)
	}
	return out
}
