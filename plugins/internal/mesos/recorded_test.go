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
	"encoding/base64"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

func recordedEvents(t testing.TB) map[string][][]byte {
	t.Helper()
	b, err := os.ReadFile("testdata/recorded_events.txt")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][][]byte{}
	for line := range strings.Lines(string(b)) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		record, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = append(out[name], record)
	}
	return out
}

func TestScanOfRecordedOffers(t *testing.T) {
	records := recordedEvents(t)["OFFERS"]
	if len(records) != 2 {
		t.Fatalf("%d recorded OFFERS, want 2", len(records))
	}
	d := newOfferDecoder()
	for _, record := range records {
		agree(t, d, record)
	}
	got, _ := scan(t, d, records[0])
	// The agent has 2 cpus and 1 GiB reserved and 4 cpus revocable besides.
	want := offers.Offer{
		ID: "d958639b-bded-4e64-9711-a15cf0c8f378-O1", AgentID: "d958639b-bded-4e64-9711-a15cf0c8f378-S0",
		Hostname: "node-1", Role: "batch",
		Free: resources.Vector{resources.CPU: 16_000, resources.Memory: 32_768_000, resources.Disk: 100_000_000},
	}
	if diff := cmp.Diff([]offers.Offer{want}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRecordedEventsDecode(t *testing.T) {
	for name, records := range recordedEvents(t) {
		for _, record := range records {
			head, err := scanEvent(record)
			if err != nil || eventName(head.kind) != name {
				t.Errorf("a recorded %s reads as %s, %v", name, eventName(head.kind), err)
			}
			event, err := decodeEvent(record)
			if err != nil || event.Type != head.kind {
				t.Errorf("a recorded %s decodes as %v, %v", name, event, err)
			}
		}
	}
	var got []string
	for _, record := range recordedEvents(t)["UPDATE"] {
		event, err := decodeEvent(record)
		if err != nil {
			t.Fatal(err)
		}
		s := taskStatusOf(event.Update)
		got = append(got, fmt.Sprintf("%s %s reason=%s source=%s uuid=%d agent=%v", s.TaskID, s.State, s.Reason, s.Source, len(s.UUID), s.AgentID != ""))
		_, ok := ackOf(s.TaskID, s.AgentID, s.UUID)
		if ok != (len(s.UUID) > 0) {
			t.Errorf("acknowledge %s: %v", got[len(got)-1], ok)
		}
	}
	want := []string{
		"pb-task TASK_STARTING reason= source=SOURCE_EXECUTOR uuid=16 agent=true",
		"pb-task TASK_STARTING reason=REASON_RECONCILIATION source=SOURCE_MASTER uuid=0 agent=true",
		"no-such TASK_UNKNOWN reason=REASON_RECONCILIATION source=SOURCE_MASTER uuid=0 agent=false",
		"pb-bad TASK_DROPPED reason=REASON_INVALID_OFFERS source=SOURCE_MASTER uuid=0 agent=true",
		"pb-task TASK_STARTING reason= source=SOURCE_EXECUTOR uuid=16 agent=true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("recorded updates read as\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
