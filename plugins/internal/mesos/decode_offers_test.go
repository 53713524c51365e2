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
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mesosv1 "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// reference converts an offer that the generated code has decoded. It is written

// apart from the scan, field by field from the meaning of the message.
func reference(o *mesosv1.Offer) (offers.Offer, bool) {
	out := offers.Offer{ID: o.ID.Value, AgentID: o.AgentID.Value, Hostname: o.Hostname, Role: o.GetAllocationInfo().GetRole()}
	if o.Unavailability != nil {
		out.Unavailability = &offers.Unavailability{
			Start:    time.Unix(0, o.Unavailability.Start.Nanoseconds),
			Duration: time.Duration(o.Unavailability.GetDuration().GetNanoseconds()),
		}
	}
	for _, e := range o.ExecutorIDs {
		if e.Value == "" {
			return out, false
		}
		out.Executors = append(out.Executors, e.Value)
	}
	for i := range o.Resources {
		if !referenceResource(&out, &o.Resources[i]) {
			return out, false
		}
	}
	usable := out.ID != "" && out.AgentID != "" && out.Hostname != "" && out.Role != "" && o.FrameworkID.Value != ""
	return out, usable
}

// referenceResource adds one entry, and tells whether the offer is still usable.
func referenceResource(out *offers.Offer, r *mesosv1.Resource) bool {
	scalar, ports := r.GetType() == mesosv1.SCALAR, r.GetType() == mesosv1.RANGES && r.Name == "ports"
	if r.Name == "" || (scalar && r.Scalar == nil) {
		return false
	}
	if !scalar && !ports || r.Reservation != nil || r.Shared != nil || r.Disk != nil || r.ProviderID != nil || (r.Role != nil && *r.Role != "*") {
		return true
	}
	var found resources.Bundle
	switch kind, known := resources.KindOfMesos(r.Name); {
	case ports:
		for _, one := range r.GetRanges().GetRange() {
			found.Ports = found.Ports.Add(resources.NewRanges(resources.Range{Begin: one.Begin, End: one.End}))
		}
	case r.Name == "ports":
	case known:
		amount, ok := resources.FromMesosScalar(r.Scalar.Value)
		if !ok {
			return false
		}
		found.Vector[kind] = amount
	default:
		if amount, ok := resources.FromMesosScalar(r.Scalar.Value); ok && amount > 0 {
			found.Scalars = resources.Scalars{{Name: r.Name, Milli: amount}}
		}
	}
	if found.IsZero() {
		return true
	}
	portion := resources.Portion{Bundle: found}
	if len(r.Reservations) > 0 || r.Revocable != nil {
		portion.Flavour = &resources.Flavour{Revocable: r.Revocable != nil, Wire: wireOf(r.Reservations)}
		for _, entry := range r.Reservations {
			one := resources.Reservation{Role: entry.GetRole(), Dynamic: entry.GetType() == mesosv1.Resource_ReservationInfo_DYNAMIC, Principal: entry.GetPrincipal()}
			for _, l := range entry.GetLabels().GetLabels() {
				one.Labels = append(one.Labels, resources.Label{Key: l.Key, Value: l.GetValue()})
			}
			portion.Flavour.Reservations = append(portion.Flavour.Reservations, one)
		}
	}
	merge(out, portion)
	return true
}

// wireOf encodes a reservation stack by the generated code.
func wireOf(stack []mesosv1.Resource_ReservationInfo) string {
	kind := mesosv1.SCALAR
	b, err := (&mesosv1.Resource{Type: &kind, Reservations: stack}).Marshal()
	if err != nil {
		panic(err)
	}
	return strings.TrimPrefix(string(b), resourcePrefix)
}

// merge adds a portion to those of its flavour.
func merge(o *offers.Offer, p resources.Portion) {
	if p.Flavour == nil {
		o.Unreserved = o.Unreserved.Add(p.Bundle)
		return
	}
	for i := range o.Special {
		if f := o.Special[i].Flavour; f.Revocable == p.Flavour.Revocable && f.Wire == p.Flavour.Wire {
			o.Special[i].Bundle = o.Special[i].Bundle.Add(p.Bundle)
			return
		}
	}
	o.Special = append(o.Special, p)
}

// normal is an offer with its flavours as the generated code encodes them: two
// encodings of one reservation are two flavours to us, which do no harm.
func normal(t *testing.T, o offers.Offer) offers.Offer {
	t.Helper()
	special := o.Special
	o.Special = nil
	for _, p := range special {
		f := *p.Flavour
		if f.Wire != "" {
			stack, err := parseStack(f.Wire)
			if err != nil {
				t.Fatal(err)
			}
			f.Wire = wireOf(stack)
		}
		merge(&o, resources.Portion{Flavour: &f, Bundle: p.Bundle})
	}
	return o
}

// asked is an offer of what a task gets that asks for all of o, as the generated
// code decodes it.
func asked(t *testing.T, o offers.Offer) offers.Offer {
	t.Helper()
	body, err := encodeAccept("fw", "our-principal", Launch{OfferIDs: []string{o.ID}, AgentID: o.AgentID, Role: o.Role, Tasks: []Task{{
		ID: "t", Command: []string{"sleep"}, Parts: append([]resources.Portion{{Bundle: o.Unreserved}}, o.Special...),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	call := &scheduler.Call{}
	if err := call.Unmarshal(body); err != nil {
		t.Fatal(err)
	}
	got := o
	got.Unreserved, got.Special = resources.Bundle{}, nil
	for _, r := range call.Accept.Operations[0].Launch.TaskInfos[0].Resources {
		if r.GetAllocationInfo().GetRole() != o.Role || !referenceResource(&got, &r) {
			t.Fatalf("a task asks for %v", r)
		}
	}
	return got
}

// agreeOn checks one offer against what the generated code makes of it, there and
// back.
func agreeOn(t *testing.T, want, got offers.Offer) {
	t.Helper()
	got = normal(t, got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("an offer differs (-generated +scan):\n%s", diff)
	}
	if got.Unreserved.IsZero() && len(got.Special) == 0 {
		return
	}
	if diff := cmp.Diff(got, asked(t, got)); diff != "" {
		t.Fatalf("a task that asks for all of an offer asks for something else (-offered +asked):\n%s", diff)
	}
}

// scan decodes a whole record by the scan.
func scan(t testing.TB, d *offerDecoder, record []byte) ([]offers.Offer, leftOut) {
	t.Helper()
	head, err := scanEvent(record)
	if err != nil {
		t.Fatal(err)
	}
	list, left, err := d.decode(head.offers)
	if err != nil {
		t.Fatal(err)
	}
	return list, left
}

// randomOffer has everything that an offer may have, each thing by chance, and

// now and then something that makes it unusable.
func randomOffer(rng *rand.Rand, n int) mesosv1.Offer {
	chance := func(percent int) bool { return rng.IntN(100) < percent }
	o := realisticOffer(n)
	o.Resources = nil
	names := []string{"cpus", "mem", "disk", "gpus", "ports", "custom", "network_bandwidth"}
	for range rng.IntN(8) {
		r := scalarOf(names[rng.IntN(len(names))], float64(rng.IntN(1_000_000))/1000)
		switch {
		case r.Name == "ports" && !chance(5):
			typ := mesosv1.RANGES
			r.Type, r.Scalar, r.Ranges = &typ, nil, randomRanges(rng)
		case chance(2):
			r.Scalar = nil
		case chance(2):
			r.Scalar.Value = -1
		case chance(5):
			r.Scalar.Value = 0
		}
		role, principal := "eng", "p"
		switch rng.IntN(20) {
		case 0, 1, 2, 3:
			r.Reservations = randomStack(rng)
		case 4, 5:
			r.Revocable = &mesosv1.Resource_RevocableInfo{}
		case 6:
			r.Shared = &mesosv1.Resource_SharedInfo{}
		case 7:
			r.Disk = &mesosv1.Resource_DiskInfo{Source: &mesosv1.Resource_DiskInfo_Source{Type: mesosv1.Resource_DiskInfo_Source_MOUNT}}
		case 8:
			r.ProviderID = &mesosv1.ResourceProviderID{Value: "rp"}
		case 9:
			r.Reservation = &mesosv1.Resource_ReservationInfo{Principal: &principal}
		case 10:
			r.Role = &role
		case 11:
			unreserved := "*"
			r.Role = &unreserved
		case 12:
			r.Reservations, r.Revocable = randomStack(rng), &mesosv1.Resource_RevocableInfo{}
		case 13:
			typ := mesosv1.SET
			r.Type, r.Scalar, r.Set = &typ, nil, &mesosv1.Value_Set{Item: []string{"a"}}
		}
		o.Resources = append(o.Resources, r)
	}
	if chance(30) {
		o.Unavailability = &mesosv1.Unavailability{Start: mesosv1.TimeInfo{Nanoseconds: rng.Int64() - rng.Int64()}}
	}
	for range rng.IntN(3) {
		o.ExecutorIDs = append(o.ExecutorIDs, mesosv1.ExecutorID{Value: fmt.Sprintf("e%d", rng.IntN(5))})
	}
	if chance(30) {
		o.Domain = &mesosv1.DomainInfo{FaultDomain: &mesosv1.DomainInfo_FaultDomain{
			Region: mesosv1.DomainInfo_FaultDomain_RegionInfo{Name: "r"}, Zone: mesosv1.DomainInfo_FaultDomain_ZoneInfo{Name: "z"}}}
	}
	switch {
	case chance(2):
		o.AllocationInfo = nil
	case chance(2):
		o.ID.Value = ""
	case chance(2):
		o.Hostname = ""
	}
	return o
}

// randomRanges may overlap, touch, be empty or be the wrong way round.
func randomRanges(rng *rand.Rand) *mesosv1.Value_Ranges {
	out := &mesosv1.Value_Ranges{}
	for range rng.IntN(4) {
		begin := uint64(31000 + rng.IntN(20))
		out.Range = append(out.Range, mesosv1.Value_Range{Begin: begin, End: begin + uint64(rng.IntN(6)) - 1})
	}
	return out
}

// randomStack is static or dynamic, refined or not, with labels or not, and few
// enough that some come twice.
func randomStack(rng *rand.Rand) []mesosv1.Resource_ReservationInfo {
	stack := make([]mesosv1.Resource_ReservationInfo, 1+rng.IntN(2))
	for i := range stack {
		kind, role := mesosv1.Resource_ReservationInfo_STATIC, []string{"eng", "eng/ads"}[rng.IntN(2)]
		r := &stack[i]
		if rng.IntN(2) == 0 {
			kind = mesosv1.Resource_ReservationInfo_DYNAMIC
			if rng.IntN(2) == 0 {
				principal := []string{"", "p"}[rng.IntN(2)]
				r.Principal = &principal
			}
			switch rng.IntN(4) {
			case 0:
				r.Labels = &mesosv1.Labels{}
			case 1:
				value := []string{"", "v"}[rng.IntN(2)]
				r.Labels = &mesosv1.Labels{Labels: []mesosv1.Label{{Key: "k", Value: &value}, {Key: "no-value"}}}
			}
		}
		r.Type, r.Role = &kind, &role
	}
	return stack
}

// TestScanAgreesWithGeneratedDecoder is the property that the scan must have.
func TestScanAgreesWithGeneratedDecoder(t *testing.T) {
	d := newOfferDecoder()
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 7))
		var list []mesosv1.Offer
		for i := range rng.IntN(200) {
			list = append(list, randomOffer(rng, i))
		}
		record, err := offersEvent(list...).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		agree(t, d, record)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// agree checks the scan of a record against the generated decoder and reference.
func agree(t *testing.T, d *offerDecoder, record []byte) {
	t.Helper()
	event, err := decodeEvent(record)
	if err != nil {
		t.Fatal(err)
	}
	var want []offers.Offer
	bad := 0
	for i := range event.GetOffers().GetOffers() {
		o, usable := reference(&event.Offers.Offers[i])
		if !usable {
			bad++
			continue
		}
		want = append(want, o)
	}
	got, left := scan(t, d, record)
	if left.count != bad {
		t.Errorf("%d offers left out, want %d (%v)", left.count, bad, left.why)
	}
	if len(got) != len(want) {
		t.Fatalf("%d offers, want %d", len(got), len(want))
	}
	for i := range got {
		agreeOn(t, want[i], got[i])
	}
}

// TestRepeatedOffersMessagesMerge: protobuf allows a message field to come in

// pieces.
func TestRepeatedOffersMessagesMerge(t *testing.T) {
	first, err := offersEvent(realisticOffer(1)).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	second, err := offersEvent(realisticOffer(2), realisticOffer(3)).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	d := newOfferDecoder()
	agree(t, d, append(first, second...))
	if len(d.out) != 3 {
		t.Errorf("%d offers, want 3", len(d.out))
	}
}

// TestResultIsReusedAndStringsAreNot: a kept offer must not change when the next

// event is decoded into the same memory.
func TestResultIsReusedAndStringsAreNot(t *testing.T) {
	d := newOfferDecoder()
	record, err := offersEvent(realisticOffer(1), realisticOffer(2)).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	list, _ := scan(t, d, record)
	kept := slices.Clone(list)
	for i := range record {
		record[i] = 'x'
	}
	other, err := offersEvent(realisticOffer(3), realisticOffer(4), realisticOffer(5)).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if list, _ := scan(t, d, other); len(list) != 3 || list[0].ID == kept[0].ID {
		t.Errorf("the second event reads as %v", list)
	}
	for i, n := range []int{1, 2} {
		o := realisticOffer(n)
		if want, _ := reference(&o); cmp.Diff(want, kept[i]) != "" {
			t.Errorf("a kept offer changed: %s", cmp.Diff(want, kept[i]))
		}
	}
}

func TestInternerIsBounded(t *testing.T) {
	i := newInterner(3)
	for n := range 100 {
		if s := i.intern(fmt.Appendf(nil, "s%d", n%7)); s != fmt.Sprintf("s%d", n%7) {
			t.Fatalf("got %q", s)
		}
		if len(i.known) > 3 {
			t.Fatalf("%d strings are kept", len(i.known))
		}
	}
	if long := bytes.Repeat([]byte("x"), maxInternedBytes+1); i.intern(long) != string(long) || len(i.known) > 3 {
		t.Error("a long string was kept or changed")
	}
}

// TestStackInPieces: protobuf allows the elements of a list to come apart.
func TestStackInPieces(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 50 {
		stack := append(randomStack(rng), randomStack(rng)...)
		r := scalarOf("cpus", 2)
		r.Reservations = stack[1:]
		rest, err := r.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		o := realisticOffer(1)
		offer, err := o.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		offer = protowire.AppendTag(offer, fieldOfferResources, protowire.BytesType)
		offer = protowire.AppendBytes(offer, append([]byte(wireOf(stack[:1])), rest...))
		message := protowire.AppendBytes(protowire.AppendTag(nil, fieldOffersOffers, protowire.BytesType), offer)
		list, left, err := newOfferDecoder().decode(message)
		var generated mesosv1.Offer
		if err != nil || left.count != 0 || len(list) != 1 || generated.Unmarshal(offer) != nil {
			t.Fatal(list, left, err)
		}
		want, _ := reference(&generated)
		if len(want.Special) != 1 || len(want.Special[0].Flavour.Reservations) != len(stack) {
			t.Fatalf("the generated code reads %+v", want)
		}
		agreeOn(t, want, list[0])
	}
}

// TestMemoIsBoundedAndRight: every encoding has its own value, the same one while it
// is known.
func TestMemoIsBoundedAndRight(t *testing.T) {
	parsed := 0
	m := newMemo(3, func(b []byte) (*string, error) {
		parsed++
		s := string(b)
		return &s, nil
	})
	for n := range 100 {
		if s, err := m.get(fmt.Appendf(nil, "s%d", n/2%7)); err != nil || *s != fmt.Sprintf("s%d", n/2%7) {
			t.Fatalf("got %v, %v", s, err)
		}
		if len(m.known) > 3 {
			t.Fatalf("%d values are kept", len(m.known))
		}
	}
	if parsed != 50 {
		t.Errorf("parsed %d times, want every other time", parsed)
	}
	if long := bytes.Repeat([]byte("x"), maxMemoBytes+1); len(m.known) > 3 {
		t.Error("too many")
	} else if s, err := m.get(long); err != nil || *s != string(long) || m.last.encoding == string(long) {
		t.Error("a long value was kept or changed")
	}
}

// TestPortsThatCannotBeRead make the offer unusable, nothing else.
func TestPortsThatCannotBeRead(t *testing.T) {
	for name, b := range map[string]string{
		"cut": "\x0a\x05", "one end": "\x0a\x02\x08\x01", "no message": "\x08\x01", "an end of another type": "\x0a\x03\x0a\x01\x01",
	} {
		if got, err := parseRanges([]byte(b)); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got, err := parseRanges([]byte("\x0a\x04\x08\x01\x10\x03\x12\x00")); err != nil || got.String() != "[1-3]" {
		t.Errorf("an unknown field: %v, %v", got, err)
	}
}

// TestFastFieldsAreTheSame: the short way of consumeField gives what protowire

// gives, for every start of a field and every cut of it.
func TestFastFieldsAreTheSame(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	check := func(b []byte) {
		num, typ, rest, value, err := consumeField(b)
		num2, typ2, rest2, value2, err2 := consumeAnyField(b)
		if num != num2 || typ != typ2 || !bytes.Equal(rest, rest2) || !bytes.Equal(value, value2) || (err == nil) != (err2 == nil) {
			t.Fatalf("%x: (%d %d %x %x %v), protowire says (%d %d %x %x %v)", b, num, typ, rest, value, err, num2, typ2, rest2, value2, err2)
		}
	}
	b := make([]byte, 400)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	for _, tag := range []int{0, 1, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x1a, 0x22, 0x6a, 0x78, 0x7a, 0x7f, 0x80, 0x82, 0xff} {
		for length := range 256 {
			for _, third := range []byte{0, 1, 3, 0x7f, 0x80} {
				b[0], b[1], b[2] = byte(tag), byte(length), third
				for _, cut := range []int{0, 1, 2, 3, 8, 9, 10, 129, 130, 131, 258, 259, 400} {
					check(b[:cut])
				}
			}
		}
	}
}

// FuzzEvent: no record crashes us, and where the generated decoder accepts an

// OFFERS record the scan finds the same offers.
func FuzzEvent(f *testing.F) {
	for i, r := range recordedRecords(f) {
		// All captures, and of what is much alike a part.
		if r.json == nil || i%16 == 0 {
			f.Add(r.record)
		}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 10 {
		record, err := offersEvent(randomOffer(rng, i)).Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(record)
	}
	f.Add([]byte{0x1a, 0x0c, 0x0a, 0x0a, 0xfa, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, record []byte) {
		d := newOfferDecoder()
		event, generated := decodeEvent(record)
		head, err := scanEvent(record)
		if err != nil {
			return
		}
		got, _, err := d.decode(head.offers)
		if generated != nil || err != nil {
			return
		}
		if event.Update != nil {
			taskStatusOf(event.Update)
		}
		var want []offers.Offer
		for i := range event.GetOffers().GetOffers() {
			if o, usable := reference(&event.Offers.Offers[i]); usable {
				want = append(want, o)
			}
		}
		if len(want) != len(got) {
			t.Fatalf("%d offers by the scan, %d by the generated decoder", len(got), len(want))
		}
		for i := range want {
			agreeOn(t, want[i], got[i])
		}
	})
}
