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
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
	"github.com/kube-mesos/kube-mesos/test/recordings"
	"github.com/kube-mesos/kube-mesos/test/recordings/wire"
)

// recordedRecord is one event of a real master.
type recordedRecord struct {
	where string
	// json is what was recorded, nil for the captures of protobuf.
	json json.RawMessage
	// record is the event as protobuf: captured, or made from json.
	record []byte
}

// recordedRecords are all recorded events of scheduler streams.
func recordedRecords(t testing.TB) []recordedRecord {
	t.Helper()
	var out []recordedRecord
	for _, name := range recordings.Names() {
		lines, err := recordings.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			r := recordedRecord{where: fmt.Sprintf("%s:%d", name, l.Number), json: l.Event, record: l.Record}
			operator := name == "23-operator-stream" && (l.Conn == "O" || l.Conn == "P")
			if l.Kind != "event" && l.Kind != "event_protobuf" || operator {
				continue
			}
			if l.Kind == "event" {
				message, err := wire.Event(l.Event)
				if err != nil {
					t.Fatalf("%s: %v", r.where, err)
				}
				if r.record, err = wire.Marshal(message); err != nil {
					t.Fatal(err)
				}
			}
			out = append(out, r)
		}
	}
	if len(out) < 1900 {
		t.Fatalf("%d recorded events", len(out))
	}
	return out
}

// recordedEvent is an event as its JSON has it, read without any generated code.
type recordedEvent struct {
	Type   string `json:"type"`
	Offers struct {
		Offers []recordedOffer `json:"offers"`
	} `json:"offers"`
	Rescind struct {
		OfferID value `json:"offer_id"`
	} `json:"rescind"`
	InverseOffers struct {
		InverseOffers []recordedInverse `json:"inverse_offers"`
	} `json:"inverse_offers"`
	RescindInverse struct {
		ID value `json:"inverse_offer_id"`
	} `json:"rescind_inverse_offer"`
	Update struct {
		Status struct {
			TaskID    value    `json:"task_id"`
			AgentID   value    `json:"agent_id"`
			State     string   `json:"state"`
			Reason    string   `json:"reason"`
			Source    string   `json:"source"`
			Message   string   `json:"message"`
			UUID      []byte   `json:"uuid"`
			Timestamp *float64 `json:"timestamp"`
		} `json:"status"`
	} `json:"update"`
	Failure struct {
		AgentID    value `json:"agent_id"`
		ExecutorID value `json:"executor_id"`
		Status     int32 `json:"status"`
	} `json:"failure"`
	Error struct {
		Message string `json:"message"`
	} `json:"error"`
}

type value struct {
	Value string `json:"value"`
}

type recordedWindow struct {
	Start, Duration struct {
		Nanoseconds int64 `json:"nanoseconds"`
	}
}

// recordedInverse is an inverse offer as its JSON has it.
type recordedInverse struct {
	ID             value          `json:"id"`
	AgentID        value          `json:"agent_id"`
	Unavailability recordedWindow `json:"unavailability"`
}

type recordedOffer struct {
	ID          value   `json:"id"`
	AgentID     value   `json:"agent_id"`
	Hostname    string  `json:"hostname"`
	ExecutorIDs []value `json:"executor_ids"`
	Allocation  struct {
		Role string `json:"role"`
	} `json:"allocation_info"`
	Unavailability recordedWindow               `json:"unavailability"`
	Resources      []map[string]json.RawMessage `json:"resources"`
}

// domain is the offer as the session should tell it; usable is false for one to a
// framework without MULTI_ROLE.
func (o *recordedOffer) domain(t testing.TB) (offers.Offer, bool) {
	out := offers.Offer{ID: o.ID.Value, AgentID: o.AgentID.Value, Hostname: o.Hostname, Role: o.Allocation.Role}
	if at := o.Unavailability.Start.Nanoseconds; at != 0 {
		out.Unavailability = &offers.Unavailability{Start: time.Unix(0, at), Duration: time.Duration(o.Unavailability.Duration.Nanoseconds)}
	}
	for _, id := range o.ExecutorIDs {
		out.Executors = append(out.Executors, id.Value)
	}
	for _, r := range o.Resources {
		if portion, usable := recordedPortion(t, r); usable {
			merge(&out, portion)
		}
	}
	return out, out.Role != ""
}

// recordedPortion is one entry of an offer; usable is false for what no task of ours
// may ask for.
func recordedPortion(t testing.TB, r map[string]json.RawMessage) (p resources.Portion, usable bool) {
	for _, name := range []string{"disk", "reservation", "shared", "provider_id"} {
		if r[name] != nil {
			return p, false
		}
	}
	if role := string(r["role"]); role != "" && role != `"*"` {
		return p, false
	}
	read := func(field string, into any) {
		if err := json.Unmarshal(r[field], into); err != nil {
			t.Fatal(err)
		}
	}
	var name string
	read("name", &name)
	switch kind, known := resources.KindOfMesos(name); {
	case name == "ports":
		var ranges struct{ Range []resources.Range }
		read("ranges", &ranges)
		p.Bundle.Ports = resources.NewRanges(ranges.Range...)
	case r["scalar"] != nil:
		var scalar struct{ Value float64 }
		read("scalar", &scalar)
		milli := int64(math.Round(scalar.Value * 1000))
		if known {
			p.Bundle.Vector[kind] = milli
		} else if milli > 0 {
			p.Bundle.Scalars = resources.Scalars{{Name: name, Milli: milli}}
		}
	}
	if r["reservations"] == nil && r["revocable"] == nil {
		return p, true
	}
	p.Flavour = &resources.Flavour{Revocable: r["revocable"] != nil}
	if r["reservations"] != nil {
		var stack []struct {
			Type, Role, Principal string
			Labels                struct{ Labels []resources.Label }
		}
		read("reservations", &stack)
		for _, one := range stack {
			p.Flavour.Reservations = append(p.Flavour.Reservations, resources.Reservation{
				Role: one.Role, Dynamic: one.Type == "DYNAMIC", Principal: one.Principal, Labels: one.Labels.Labels,
			})
		}
		// The stack in words: here it only tells flavours apart.
		p.Flavour.Wire = fmt.Sprint(p.Flavour.Reservations)
	}
	return p, !p.Bundle.IsZero()
}

// inWords is offers with their flavours as recordedPortion has them.
func inWords(list []offers.Offer) []offers.Offer {
	out := slices.Clone(list)
	for i := range out {
		out[i].Special = slices.Clone(out[i].Special)
		for j := range out[i].Special {
			f := *out[i].Special[j].Flavour
			if f.Wire != "" {
				f.Wire = fmt.Sprint(f.Reservations)
			}
			out[i].Special[j].Flavour = &f
		}
	}
	return out
}

// TestRecordedOffersReadAsTheirJSON: the scan of every recorded OFFERS gives what
// its JSON says, and what the generated code reads.
func TestRecordedOffersReadAsTheirJSON(t *testing.T) {
	d := newOfferDecoder()
	count, reserved, revocable := 0, 0, 0
	for _, r := range recordedRecords(t) {
		head, err := scanEvent(r.record)
		if err != nil {
			t.Fatalf("%s: %v", r.where, err)
		}
		if head.kind != scheduler.Event_OFFERS {
			continue
		}
		agree(t, d, r.record)
		if r.json == nil {
			continue
		}
		var event recordedEvent
		if err := json.Unmarshal(r.json, &event); err != nil {
			t.Fatal(err)
		}
		var want []offers.Offer
		for i := range event.Offers.Offers {
			count++
			if o, usable := event.Offers.Offers[i].domain(t); usable {
				want = append(want, o)
			}
		}
		got, left := scan(t, d, r.record)
		if diff := cmp.Diff(want, inWords(got)); diff != "" && len(want)+len(got) > 0 {
			t.Errorf("%s (-recorded +read):\n%s", r.where, diff)
		}
		for _, o := range got {
			for _, p := range o.Special {
				if p.Flavour.IsRevocable() {
					revocable++
				} else {
					reserved++
				}
			}
		}
		if left.count != len(event.Offers.Offers)-len(want) {
			t.Errorf("%s: %d offers left out: %v", r.where, left.count, left.why)
		}
	}
	if count < 400 || reserved < 20 || revocable < 20 {
		t.Errorf("%d offers, %d with reserved and %d with revocable resources", count, reserved, revocable)
	}
}

// TestRecordedEventsReadAsTheirJSON: every other recorded event, field by field.
func TestRecordedEventsReadAsTheirJSON(t *testing.T) {
	inverse := 0
	defer func() {
		if inverse < 8 {
			t.Errorf("%d INVERSE_OFFERS", inverse)
		}
	}()
	for _, r := range recordedRecords(t) {
		head, err := scanEvent(r.record)
		if err != nil {
			t.Fatalf("%s: %v", r.where, err)
		}
		event, err := decodeEvent(r.record)
		if err != nil || event.Type != head.kind {
			t.Errorf("%s: decoded as %v, %v", r.where, event, err)
			continue
		}
		if r.json == nil {
			continue
		}
		var want recordedEvent
		if err := json.Unmarshal(r.json, &want); err != nil {
			t.Fatal(err)
		}
		if got := eventName(head.kind); got != want.Type {
			t.Errorf("%s: read as %s, recorded as %s", r.where, got, want.Type)
		}
		switch head.kind {
		case scheduler.Event_UPDATE:
			s := &want.Update.Status
			status := claims.TaskStatus{
				TaskID: s.TaskID.Value, AgentID: s.AgentID.Value, State: claims.TaskState(s.State), Reason: s.Reason, Source: s.Source,
				Message: s.Message, UUID: s.UUID,
			}
			if s.Timestamp != nil {
				status.Timestamp = time.UnixMicro(int64(math.Round(*s.Timestamp * 1e6)))
			}
			if diff := cmp.Diff(status, taskStatusOf(event.Update)); diff != "" {
				t.Errorf("%s (-recorded +read):\n%s", r.where, diff)
			}
			if _, ok := ackOf(status.TaskID, status.AgentID, status.UUID); ok != (len(status.UUID) > 0) {
				t.Errorf("%s: can be acknowledged: %v", r.where, ok)
			}
		case scheduler.Event_FAILURE:
			f := event.Failure
			if got := (value{f.GetAgentID().GetValue()}); got != want.Failure.AgentID || f.GetExecutorID().GetValue() != want.Failure.ExecutorID.Value || f.GetStatus() != want.Failure.Status {
				t.Errorf("%s: read as %v", r.where, f)
			}
		case scheduler.Event_RESCIND:
			if event.Rescind.OfferID.Value != want.Rescind.OfferID.Value {
				t.Errorf("%s: read as %v", r.where, event.Rescind)
			}
		case scheduler.Event_INVERSE_OFFERS:
			inverse++
			var told []InverseOffer
			for _, o := range want.InverseOffers.InverseOffers {
				told = append(told, InverseOffer{ID: o.ID.Value, AgentID: o.AgentID.Value, Unavailability: offers.Unavailability{
					Start:    time.Unix(0, o.Unavailability.Start.Nanoseconds),
					Duration: time.Duration(o.Unavailability.Duration.Nanoseconds),
				}})
			}
			if diff := cmp.Diff(told, inverseOffersOf(event.InverseOffers)); diff != "" || len(told) == 0 {
				t.Errorf("%s (-recorded +read):\n%s", r.where, diff)
			}
		case scheduler.Event_RESCIND_INVERSE_OFFER:
			if event.RescindInverseOffer.InverseOfferID.Value != want.RescindInverse.ID.Value || want.RescindInverse.ID.Value == "" {
				t.Errorf("%s: read as %v", r.where, event.RescindInverseOffer)
			}
		case scheduler.Event_ERROR:
			if event.Error.Message != want.Error.Message {
				t.Errorf("%s: read as %v", r.where, event.Error)
			}
		}
	}
}

// TestCapturedUpdates: what was captured as protobuf, in words. In proto2 an absent
// reason would read as the enum's zero value.
func TestCapturedUpdates(t *testing.T) {
	var got []string
	for _, r := range recordedRecords(t) {
		if r.json != nil {
			continue
		}
		event, err := decodeEvent(r.record)
		if err != nil {
			t.Fatal(err)
		}
		if event.Type != scheduler.Event_UPDATE {
			continue
		}
		s := taskStatusOf(event.Update)
		got = append(got, fmt.Sprintf("%s %s reason=%s source=%s uuid=%d agent=%v", s.TaskID, s.State, s.Reason, s.Source, len(s.UUID), s.AgentID != ""))
	}
	want := []string{
		"pb-task TASK_STARTING reason= source=SOURCE_EXECUTOR uuid=16 agent=true",
		"pb-task TASK_STARTING reason=REASON_RECONCILIATION source=SOURCE_MASTER uuid=0 agent=true",
		"no-such TASK_UNKNOWN reason=REASON_RECONCILIATION source=SOURCE_MASTER uuid=0 agent=false",
		"pb-bad TASK_DROPPED reason=REASON_INVALID_OFFERS source=SOURCE_MASTER uuid=0 agent=true",
		"pb-task TASK_STARTING reason= source=SOURCE_EXECUTOR uuid=16 agent=true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("captured updates read as\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// BenchmarkRecordedOffers decodes the biggest recorded OFFERS, and one of 10,000
// agents made of its offers.
func BenchmarkRecordedOffers(b *testing.B) {
	var biggest []byte
	for _, r := range recordedRecords(b) {
		if head, err := scanEvent(r.record); err == nil && head.kind == scheduler.Event_OFFERS && len(r.record) > len(biggest) {
			biggest = r.record
		}
	}
	event, err := decodeEvent(biggest)
	if err != nil {
		b.Fatal(err)
	}
	few := event.Offers.Offers
	many := &scheduler.Event{Type: scheduler.Event_OFFERS, Offers: &scheduler.Event_Offers{}}
	for i := range 10_000 {
		o := few[i%len(few)]
		o.ID.Value = fmt.Sprintf("%s%d", strings.TrimRight(o.ID.Value, "0123456789"), i)
		o.AgentID.Value = fmt.Sprintf("%s%d", strings.TrimRight(o.AgentID.Value, "0123456789"), i)
		o.Hostname = fmt.Sprintf("node-%d", i)
		many.Offers.Offers = append(many.Offers.Offers, o)
	}
	all, err := many.Marshal()
	if err != nil {
		b.Fatal(err)
	}
	for _, run := range []struct {
		name   string
		record []byte
		offers int
	}{{"biggest", biggest, len(few)}, {"10000", all, 10_000}} {
		b.Run(run.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(run.record)))
			d := newOfferDecoder()
			for b.Loop() {
				if got, left := scan(b, d, run.record); len(got)+left.count != run.offers {
					b.Fatal(len(got), left)
				}
			}
			b.ReportMetric(float64(len(run.record))/float64(run.offers), "B/offer")
		})
	}
}
