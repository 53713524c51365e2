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

package wire

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/test/recordings"
)

// operator tells lines of the operator API's stream, which is another API.
func operator(name string, l recordings.Line) bool {
	return name == "23-operator-stream" && (l.Conn == "O" || l.Conn == "P")
}

// plain is JSON as values, to be compared. Numbers become their shortest text:
// Mesos writes 64-bit integers as numbers, the protobuf library as strings.
func plain(t *testing.T, b []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return normal(v)
}

func normal(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			v[name] = normal(value)
		}
	case []any:
		for i, value := range v {
			v[i] = normal(value)
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return strconv.FormatInt(n, 10)
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return v
}

// TestEveryRecordedEventSurvives: JSON to protobuf bytes to JSON gives each
// recorded event back, with no field lost or changed.
func TestEveryRecordedEventSurvives(t *testing.T) {
	count := 0
	for _, name := range recordings.Names() {
		lines, err := recordings.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			if l.Kind != "event" || operator(name, l) {
				continue
			}
			count++
			m, err := Event(l.Event)
			if err != nil {
				t.Errorf("%s:%d: %v", name, l.Number, err)
				continue
			}
			b, err := Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			back, err := DecodeEvent(b)
			if err != nil {
				t.Fatal(err)
			}
			text, err := JSON(back)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(plain(t, l.Event), plain(t, text)); diff != "" {
				t.Errorf("%s:%d (-recorded +through protobuf):\n%s", name, l.Number, diff)
			}
		}
	}
	if count < 1900 {
		t.Errorf("%d events", count)
	}
}

// captures are the records that were captured as protobuf.
func captures(t *testing.T) [][]byte {
	t.Helper()
	lines, err := recordings.Read("01p-protobuf")
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for _, l := range lines {
		if l.Kind == "event_protobuf" {
			out = append(out, l.Record)
		}
	}
	return out
}

// TestCapturesSurvive: what a master sent as protobuf has no field that we do not
// know, and is written again byte for byte: fields that were made from JSON stand
// as the master would have them.
func TestCapturesSurvive(t *testing.T) {
	records := captures(t)
	if len(records) != 13 {
		t.Fatalf("%d captured records, want 13", len(records))
	}
	for i, record := range records {
		m, err := DecodeEvent(record)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b, record) {
			t.Errorf("capture %d is written as\n%x, it was\n%x", i, b, record)
		}
		text, err := JSON(m)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Event(text)
		if err != nil {
			t.Fatal(err)
		}
		if b, err = Marshal(again); err != nil || !bytes.Equal(b, record) {
			t.Errorf("capture %d is through JSON\n%x, %v; it was\n%x", i, b, err, record)
		}
	}
}

// TestCapturesHaveTheShapeOfJSON: each captured record has just the fields of an
// event that was recorded as JSON; of offers, each resource, attribute and the rest.
func TestCapturesHaveTheShapeOfJSON(t *testing.T) {
	known := map[string]bool{}
	for _, name := range recordings.Names() {
		lines, err := recordings.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			if l.Kind == "event" && !operator(name, l) {
				for _, s := range shapes(plain(t, l.Event)) {
					known[s] = true
				}
			}
		}
	}
	for i, record := range captures(t) {
		m, err := DecodeEvent(record)
		if err != nil {
			t.Fatal(err)
		}
		text, err := JSON(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range shapes(plain(t, text)) {
			if !known[s] {
				t.Errorf("nothing with the fields of capture %d was recorded as JSON: %s", i, s)
			}
		}
	}
}

// shapes are what the values of an event look like without their scalars, but with
// names of enums: the event, and the elements of each list, apart.
func shapes(event any) (out []string) {
	var shape func(v any) string
	shape = func(v any) string {
		switch v := v.(type) {
		case map[string]any:
			var parts []string
			for _, name := range slices.Sorted(maps.Keys(v)) {
				parts = append(parts, name+":"+shape(v[name]))
			}
			return "{" + strings.Join(parts, ",") + "}"
		case []any:
			for _, e := range v {
				out = append(out, shape(e))
			}
			return "[]"
		case string:
			if v == strings.ToUpper(v) && strings.ContainsAny(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") && !strings.ContainsAny(v, "-/+= ") {
				return v
			}
		}
		return "_"
	}
	return append(out, shape(event))
}

// TestUnknownNamesAreErrors: the transcoder must not lose what it does not know.
func TestUnknownNamesAreErrors(t *testing.T) {
	for _, text := range []string{
		`{"type":"HEARTBEAT","new_member":{}}`,
		`{"type":"A_NEW_TYPE"}`,
		`{"type":"UPDATE","update":{"status":{"task_id":{"value":"t"},"state":"TASK_NEW"}}}`,
	} {
		if m, err := Event([]byte(text)); err == nil {
			t.Errorf("%s became %v", text, m)
		}
	}
}

// TestOfferConstraints: what mesos-go does not have.
func TestOfferConstraints(t *testing.T) {
	count := 0
	lines, err := recordings.Read("16-offer-constraints-and-filters")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		if l.Kind != "call" || !bytes.Contains(l.Body, []byte("role_constraints")) {
			continue
		}
		count++
		m, err := Call(l.Body)
		if bytes.Contains(l.Body, []byte(`"NOPE"`)) {
			if err == nil {
				t.Errorf("16:%d: an unknown pseudo attribute was read", l.Number)
			}
			continue
		}
		if err != nil {
			t.Errorf("16:%d: %v", l.Number, err)
			continue
		}
		b, err := Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeCall(b)
		if err != nil {
			t.Fatal(err)
		}
		text, err := jsonOf(back) // what schedulers send has no defaults
		if err != nil {
			t.Fatal(err)
		}
		// An empty map is no map in protobuf.
		recorded := bytes.ReplaceAll(l.Body, []byte(`"role_constraints": {}`), nil)
		if diff := cmp.Diff(plain(t, recorded), plain(t, text)); diff != "" {
			t.Errorf("16:%d (-recorded +through protobuf):\n%s", l.Number, diff)
		}
	}
	if count < 20 {
		t.Errorf("%d calls with constraints", count)
	}
}
