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
	"strconv"
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
	t.Log(count, "events")
}
