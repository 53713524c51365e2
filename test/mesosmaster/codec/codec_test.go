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

package codec_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/executor"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
)

func ptr[T any](v T) *T { return &v }

func TestMarshalJSON(t *testing.T) {
	for _, tc := range []struct {
		msg  any
		want string
	}{
		{&scheduler.Event{Type: scheduler.Event_HEARTBEAT}, `{"type":"HEARTBEAT"}`},
		{&scheduler.Event{Type: scheduler.Event_ERROR, Error: &scheduler.Event_Error{Message: "say \"é\"\n"}}, `{"type":"ERROR","error":{"message":"say \"é\"\n"}}`},
		{&scheduler.Event_Subscribed{FrameworkID: &mesos.FrameworkID{Value: "f"}, HeartbeatIntervalSeconds: ptr(15.0)}, `{"framework_id":{"value":"f"},"heartbeat_interval_seconds":15.0}`},
		{mesos.Resource{Name: "cpus", Type: ptr(mesos.SCALAR), Scalar: &mesos.Value_Scalar{Value: 0.1}, Revocable: &mesos.Resource_RevocableInfo{}}, `{"name":"cpus","type":"SCALAR","scalar":{"value":0.1},"revocable":{}}`},
		{&mesos.TaskStatus{TaskID: mesos.TaskID{Value: "t"}, State: ptr(mesos.TASK_RUNNING), UUID: []byte{1, 2, 255}, Timestamp: ptr(1795417180.636536)}, `{"task_id":{"value":"t"},"state":"TASK_RUNNING","timestamp":1795417180.636536,"uuid":"AQL/"}`},
		{&mesos.MasterInfo_Capability{Type: 3}, `{"type":"QUOTA_V2"}`},
		{&executor.Event{Type: 9}, `{"type":"HEARTBEAT"}`},
		{&mesos.ExecutorInfo{ExecutorID: mesos.ExecutorID{Value: "e"}}, `{"executor_id":{"value":"e"}}`},
		{&mesos.Value_Scalar{Value: 1e30}, `{"value":1e+30}`},
		{&mesos.Value_Scalar{Value: math.Inf(1)}, `{"value":"+Inf"}`},
		{&mesos.TimeInfo{Nanoseconds: 1795417487574222080}, `{"nanoseconds":1795417487574222080}`},
		{&mesos.TaskInfo{Name: "", Limits: map[string]mesos.Value_Scalar{"mem": {Value: 2}, "cpus": {Value: 1}}}, `{"name":"","task_id":{"value":""},"agent_id":{"value":""},"limits":{"cpus":{"value":1.0},"mem":{"value":2.0}}}`},
	} {
		got, err := codec.MarshalJSON(tc.msg)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, string(got)); diff != "" {
			t.Error(diff)
		}
	}
	for _, bad := range []any{(*scheduler.Event)(nil), 5} {
		if _, err := codec.MarshalJSON(bad); err == nil {
			t.Errorf("%v must be refused", bad)
		}
	}
}

// The errors of a recorded master, word for word.
func TestDecodeErrors(t *testing.T) {
	for in, want := range map[string]string{
		`{"type":`:           "syntax error at line 1 near: ",
		``:                   "syntax error at line 1 near: ",
		`{} {}`:              "syntax error at line 1 near: ",
		`[]`:                 "Expecting a JSON object",
		`{"nope":1}`:         "",
		`{"type":"NOPE"}`:    "",
		`{"revive":null}`:    "",
		`{"revive":[]}`:      "Not expecting a JSON array for field 'revive'",
		`{"revive":"x"}`:     "Not expecting a JSON string for field 'revive'",
		`{"revive":true}`:    "Not expecting a JSON boolean for field 'revive'",
		`{"type":{}}`:        "Not expecting a JSON object for field 'type'",
		`{"kill":{}}`:        "Missing required fields: kill.task_id",
		`{"framework_id":1}`: "Not expecting a JSON number for field 'framework_id'",
		`{"subscribe":{"framework_info":{"user":1,"name":"x"}}}`:                                                               "Not expecting a JSON number for field 'user'",
		`{"subscribe":{"framework_info":{"name":"x"}}}`:                                                                        "Missing required fields: subscribe.framework_info.user",
		`{"acknowledge":{"agent_id":{"value":"x"},"task_id":{"value":"t"},"uuid":"%%%"}}`:                                      "Failed to base64 decode bytes field 'uuid': Invalid character '%'",
		`{"accept":{"operations":[{"type":"LAUNCH","launch":{"task_infos":[{"task_id":{"value":"t"},"agent_id":{}}]}}]}}`:      "Missing required fields: accept.operations[0].launch.task_infos[0].name, accept.operations[0].launch.task_infos[0].agent_id.value",
		`{"accept":{"operations":[{"type":"LAUNCH","launch":{"task_infos":[{"resources":[{"name":"x","type":"BLOB"}]}]}}]}}`:   "Failed to find enum for 'BLOB'",
		`{"subscribe":{"framework_info":{"user":"u","name":"n","offer_filters":{"r":{"min_allocatable_resources":{"x":1}}}}}}`: "",
	} {
		call := &scheduler.Call{}
		tree, err := codec.ParseJSON([]byte(in))
		if err == nil {
			err = codec.UnmarshalTree(tree, call)
		}
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

func sample() *scheduler.Call {
	return &scheduler.Call{
		Type: scheduler.Call_ACCEPT, FrameworkID: &mesos.FrameworkID{Value: "f"},
		Accept: &scheduler.Call_Accept{
			OfferIDs: []mesos.OfferID{{Value: "o1"}, {Value: "o2"}}, Filters: &mesos.Filters{RefuseSeconds: ptr(2.5)},
			Operations: []mesos.Offer_Operation{{Type: mesos.Offer_Operation_LAUNCH, Launch: &mesos.Offer_Operation_Launch{TaskInfos: []mesos.TaskInfo{{
				Name: "n", TaskID: mesos.TaskID{Value: "t é \"q\""}, AgentID: mesos.AgentID{Value: "a"}, Data: []byte{0, 255},
				Resources: []mesos.Resource{
					{Name: "ports", Type: ptr(mesos.RANGES), Ranges: &mesos.Value_Ranges{Range: []mesos.Value_Range{{Begin: 1, End: math.MaxUint64}}}},
					{Name: "cpus", Type: ptr(mesos.SCALAR), Scalar: &mesos.Value_Scalar{Value: 0.001}, AllocationInfo: &mesos.Resource_AllocationInfo{Role: ptr("r")}},
				},
				Command:    &mesos.CommandInfo{Value: ptr("x"), Shell: ptr(false), Arguments: []string{"a", "b"}},
				KillPolicy: &mesos.KillPolicy{GracePeriod: &mesos.DurationInfo{Nanoseconds: -5}},
				Limits:     map[string]mesos.Value_Scalar{"cpus": {Value: 2}},
			}}}}},
		},
	}
}

func TestRoundTrip(t *testing.T) {
	want := sample()
	b, err := codec.MarshalJSON(want)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := codec.ParseJSON(b)
	if err != nil {
		t.Fatal(err)
	}
	got := &scheduler.Call{}
	if err := codec.UnmarshalTree(tree, got); err != nil {
		t.Fatal(err)
	}
	if !want.Equal(got) {
		t.Fatalf("got %v, want %v", got, want)
	}
	// The codec generated with the types agrees about what it can express.
	other := &scheduler.Call{}
	if err := other.UnmarshalJSON(b); err != nil {
		t.Fatal(err)
	}
	if !want.Equal(other) {
		t.Fatalf("the generated decoder reads %v", other)
	}
}

func FuzzDecode(f *testing.F) {
	b, err := codec.MarshalJSON(sample())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"subscribe":{"framework_info":{"user":"u","name":"n","offer_filters":{"r":{}}}}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		tree, err := codec.ParseJSON(in)
		if err != nil {
			return
		}
		call := &scheduler.Call{}
		if codec.UnmarshalTree(tree, call) != nil {
			return
		}
		out, err := codec.MarshalJSON(call)
		if err != nil {
			t.Fatal(err)
		}
		if tree, err = codec.ParseJSON(out); err != nil {
			t.Fatalf("%s became %s: %v", in, out, err)
		}
		if err := codec.UnmarshalTree(tree, &scheduler.Call{}); err != nil {
			t.Fatalf("%s became %s: %v", in, out, err)
		}
	})
}

func TestText(t *testing.T) {
	e := &mesos.ExecutorInfo{
		Type: mesos.ExecutorInfo_CUSTOM, ExecutorID: mesos.ExecutorID{Value: "e7"}, Name: ptr("different"),
		Command: &mesos.CommandInfo{Value: ptr("sleep 1000")}, FrameworkID: &mesos.FrameworkID{Value: "f"},
	}
	want := "executor_id {\n  value: \"e7\"\n}\ncommand {\n  value: \"sleep 1000\"\n}\nframework_id {\n  value: \"f\"\n}\nname: \"different\"\ntype: CUSTOM\n"
	if diff := cmp.Diff(want, codec.Text(e)); diff != "" {
		t.Error(diff)
	}
}

func TestRecords(t *testing.T) {
	big := strings.Repeat("x", 100_000)
	var stream []byte
	for _, p := range []string{"a", "", big} {
		stream = codec.AppendRecord(stream, []byte(p))
	}
	r := codec.NewRecordReader(iotest.OneByteReader(bytes.NewReader(stream)), len(big))
	for _, want := range []string{"a", "", big} {
		got, err := r.Next()
		if err != nil || string(got) != want {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Fatalf("at the end: %v", err)
	}
	for in, want := range map[string]error{"5\nabc": io.ErrUnexpectedEOF, "5": io.ErrUnexpectedEOF, "99999999999999999999\n": codec.ErrRecordTooLarge, "11\n": codec.ErrRecordTooLarge} {
		if _, err := codec.NewRecordReader(strings.NewReader(in), 10).Next(); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", in, err, want)
		}
	}
	for _, in := range []string{"x\n", "\n", "-1\n", "1a\n"} {
		if _, err := codec.NewRecordReader(strings.NewReader(in), 10).Next(); err == nil {
			t.Errorf("%q must be refused", in)
		}
	}
}
