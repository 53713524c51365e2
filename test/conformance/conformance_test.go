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

package conformance

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/test/recordings"
)

// observed are the recordings in which nothing that a scheduler can notice may
// differ, declared or not.
var observed = []string{
	"01", "02", "03", "04", "05", "06", "07", "08", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "22", "24", "25", "26",
}

func TestNothingObservableDiffers(t *testing.T) {
	rows, err := ParseDeclared(differencesText)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range rows {
		for _, prefix := range observed {
			if d.Observable && strings.HasPrefix(d.Recording, prefix) {
				t.Errorf("differences.md:%d: a scheduler can notice that in %s", d.Row, d.Recording)
			}
		}
	}
}

func tree(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestCompareTrees(t *testing.T) {
	const (
		a = "11111111-2222-3333-4444-555555555555"
		b = "66666666-7777-8888-9999-aaaaaaaaaaaa"
	)
	for _, test := range []struct{ name, recorded, live, want string }{
		{"equal", `{"a":[1,"x"]}`, `{"a":[1,"x"]}`, ""},
		{"missing member", `{"a":1,"b":2}`, `{"a":1}`, "b: recorded 2, emulated nothing"},
		{"extra member", `{"a":1}`, `{"a":1,"b":2}`, "b: recorded nothing, emulated 2"},
		{"other value", `{"a":"x"}`, `{"a":"y"}`, `a: recorded "x", emulated "y"`},
		{"other kind", `{"a":"1"}`, `{"a":1}`, `a: recorded "1", emulated 1`},
		{"null", `{"a":null}`, `{"a":1}`, "a: recorded null, emulated 1"},
		{"sets", `{"resources":[{"name":"cpus","scalar":{"value":1}},{"name":"mem","scalar":{"value":2}}]}`,
			`{"resources":[{"name":"mem","scalar":{"value":2}},{"name":"cpus","scalar":{"value":1}}]}`, ""},
		{"lists with order", `{"statuses":["a","b"]}`, `{"statuses":["b","a"]}`, `statuses[0]: recorded "a", emulated "b"
statuses[1]: recorded "b", emulated "a"`},
		{"missing element", `{"resources":[{"name":"cpus"},{"name":"mem"}]}`, `{"resources":[{"name":"mem"}]}`,
			`resources[]: recorded {"name":"cpus"}, emulated nothing`},
		{"ids", `{"x":"` + a + `","y":"at ` + a + `-S1"}`, `{"x":"` + b + `","y":"at ` + b + `-S0"}`, ""},
		{"one id for two", `{"x":"` + a + `","y":"` + b + `"}`, `{"x":"` + a + `","y":"` + a + `"}`,
			"y: " + a + " is " + b + " in the recording, but was " + a + " before"},
		{"two ids for one", `{"x":"` + a + `","y":"` + a + `"}`, `{"x":"` + a + `","y":"` + b + `"}`,
			"y: " + b + " is " + a + " in the recording, which was " + a + " before"},
		{"an offer is no agent", `{"x":"` + a + `-S1"}`, `{"x":"` + b + `-O1"}`, `x: recorded "` + a + `-S1", emulated "` + b + `-O1"`},
		{"renderings", `{"m":"cpus(allocated: a):0.5; mem:1 more than ports:[1-2]; disk:3"}`,
			`{"m":"mem:1; cpus(allocated: a):0.5 more than disk:3; ports:[1-2]"}`, ""},
		{"other rendering", `{"m":"cpus:0.5; mem:1"}`, `{"m":"cpus:0.5; mem:2"}`, `m: recorded "cpus:0.5; mem:1", emulated "cpus:0.5; mem:2"`},
		{"pids", `[{"executor_pid":1},{"executor_pid":2}]`, `[{"executor_pid":7},{"executor_pid":7}]`,
			"[1].executor_pid: 7 is 2 in the recording, but was 1 before"},
		{"moments", `{"timestamp":1005}`, `{"timestamp":2008}`, "timestamp: 3.0 s from the recorded moment"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &comparison{ids: newBijection(), recordedEpoch: 1000, liveEpoch: 2000}
			c.tree("", "", tree(t, test.recorded), tree(t, test.live))
			if got := strings.Join(c.diffs, "\n"); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestCheckDeclared(t *testing.T) {
	const head = "| Recording | Lines | Difference | A real master | The emulator | Observable | Reason |\n|---|---|---|---|---|---|---|\n"
	rows, err := ParseDeclared(head +
		"| r | 3-4 | `UPDATE: a\\|b` | x | y | no | because |\n" +
		"| r | 9 | `.` | x | y | yes | because |\n" +
		"| other | all | `.` | x | y | yes | because |\n")
	if err != nil {
		t.Fatal(err)
	}
	report := &Report{Recording: "r", Differences: []Difference{{3, "UPDATE", "b"}, {5, "UPDATE", "a"}}}
	undeclared, stale := Check(report, rows)
	if len(undeclared) != 1 || undeclared[0].Line != 5 {
		t.Errorf("undeclared: %v, want that of line 5", undeclared)
	}
	if len(stale) != 1 || stale[0].From != 9 {
		t.Errorf("stale: %v, want the row of line 9", stale)
	}
	for _, bad := range []string{
		"| r | 3 | `.` | x | y | no | |", "| r | three | `.` | x | y | no | z |", "| r | 3 | `(` | x | y | no | z |",
		"| r | 3 | `.` | x | y | maybe | z |", "| r | 3 | `.` | x | y | no |",
	} {
		if _, err := ParseDeclared(head + bad + "\n"); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

func lineAt(n int, at time.Duration) *recordings.Line {
	return &recordings.Line{Number: n, Kind: "event", Millis: float64(at) / float64(time.Millisecond)}
}

func TestTickSchedule(t *testing.T) {
	const interval = 250 * time.Millisecond
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	// Ticks at 100, 351, 1104 and 1355; 700 is no tick.
	anchors := longestChain([]time.Duration{ms(100), ms(351), ms(700), ms(1104), ms(1355)}, interval)
	got := tickSchedule(anchors, interval, 0, ms(1800))
	want := []time.Duration{ms(100), ms(351), ms(602), ms(853), ms(1104), ms(1355), ms(1605)}
	if len(got) != len(want) {
		t.Fatalf("ticks %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("tick %d at %v, want %v", i, got[i], want[i])
		}
	}
}

func TestOrder(t *testing.T) {
	event := func(n int, at time.Duration, text string) *expected {
		l := &line{Line: lineAt(n, at), event: tree(t, text), pos: n}
		return &expected{l: l, kind: l.eventType()}
	}
	update := func(n int, at time.Duration, task string) *expected {
		return event(n, at, `{"type":"UPDATE","update":{"status":{"task_id":{"value":"`+task+`"}}}}`)
	}
	failure := event(4, 2*time.Second, `{"type":"FAILURE","failure":{}}`)
	for _, test := range []struct {
		name string
		es   []*expected
		seqs []int
		want int
	}{
		{"as recorded", []*expected{update(1, 0, "a"), update(2, time.Second, "a")}, []int{0, 1}, 0},
		{"one task", []*expected{update(1, 0, "a"), update(2, time.Second, "a")}, []int{1, 0}, 1},
		{"two tasks", []*expected{update(1, 0, "a"), update(2, time.Second, "b")}, []int{1, 0}, 0},
		{"one decision", []*expected{update(3, 2*time.Second, "a"), failure}, []int{1, 0}, 1},
		{"SUBSCRIBED late", []*expected{event(1, 0, `{"type":"SUBSCRIBED"}`)}, []int{1}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			found := 0
			o := &order{seen: map[*conn][]placed{}, add: func(int, string, string, ...any) { found++ }}
			c := &conn{name: "A"}
			for i, e := range test.es {
				o.matched(c, e, &liveEvent{conn: c, seq: test.seqs[i]})
			}
			o.check()
			if found != test.want {
				t.Errorf("%d out of order, want %d", found, test.want)
			}
		})
	}
}
