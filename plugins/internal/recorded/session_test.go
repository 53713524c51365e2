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
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/test/recordings"
	"github.com/kube-mesos/kube-mesos/test/recordings/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestSessionLivesEveryRecording plays every recorded framework of every recording
// to sessions of ours, on virtual time: they end where the facts say, having told
// and acknowledged all that was sent, and having sent nothing that a master refuses.
func TestSessionLivesEveryRecording(t *testing.T) {
	played, total, driven := 0, 0, 0
	for _, name := range recordings.Names() {
		all := lives(t, name)
		if len(all) != len(facts[name]) {
			t.Errorf("%s: %d frameworks, the facts have %d", name, len(all), len(facts[name]))
			continue
		}
		total += len(all)
		for i, l := range all {
			t.Run(fmt.Sprintf("%s/%d-%s", name, i, l.conns()), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRun(t, l)
					r.play()
					r.check(facts[name][i])
					played, driven = played+1, driven+r.driven
				})
			})
		}
	}
	if played == total && driven < 590 {
		t.Errorf("our client made %d of the recorded calls, there are more that it can make", driven)
	}
}

// check compares the end of a run with the facts, and what was told with what was
// recorded.
func (r *run) check(want fact) {
	t := r.t
	for _, fault := range r.master.faults {
		t.Error("the master was sent what it should not: ", fault)
	}
	if got := r.master.life.conns(); got != want.conns || !slices.Equal(r.outcomes, want.outcomes) {
		t.Errorf("%s ended with\n\t%q, the facts say\n%s\t%q", got, r.outcomes, want.conns, want.outcomes)
	}
	for task, state := range want.tasks {
		if got := short(r.books.last[task]); got != state {
			t.Errorf("task %s ended as %s, the facts say %s", task, got, state)
		}
	}
	var gone []string
	for _, failure := range r.books.failures {
		agent, executor, _ := strings.Cut(failure, "/")
		if strings.HasPrefix(executor, " ") {
			gone = append(gone, agent[strings.LastIndex(agent, "-")+1:])
		}
	}
	if !slices.Equal(gone, want.gone) {
		t.Errorf("agents gone: %q, the facts say %q", gone, want.gone)
	}
	windows := recordedWindows(r.master.life)
	if diff := cmp.Diff(windows, r.books.windows, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("windows of maintenance (-recorded +told):\n%s", diff)
	}
	if got := strings.Count(strings.Join(r.books.windows, "\n"), "inverse offer"); got != want.inverse {
		t.Errorf("%d inverse offers, the facts say %d", got, want.inverse)
	}
	statuses, failures, leftOut := recorded(r.master.life)
	if diff := cmp.Diff(statuses, r.books.statuses, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("updates (-recorded +told):\n%s", diff)
	}
	if !slices.Equal(failures, r.books.failures) {
		t.Errorf("failures told: %q, recorded: %q", r.books.failures, failures)
	}
	s := r.stats
	if s.OffersMalformed != leftOut || s.EventsUnknown != 0 || s.EventsUndecodable != 0 || s.AcksFailed != 0 || s.AcksDropped != 0 || s.AcksImpossible != 0 {
		t.Errorf("%d offers cannot be used; counted %+v", leftOut, s)
	}
}

// short is a state with its reason, without the prefixes.
func short(s claims.TaskStatus) string {
	text := strings.TrimPrefix(string(s.State), "TASK_")
	if s.Reason != "" {
		text += "/" + strings.TrimPrefix(s.Reason, "REASON_")
	}
	return text
}

// recorded is what a life's events say, read from the recording alone. leftOut
// counts the offers to frameworks without MULTI_ROLE, which no session of ours
// gets.
func recorded(l *life) (statuses []claims.TaskStatus, failures []string, leftOut uint64) {
	for _, s := range l.streams {
		for _, f := range s.frames {
			switch f.kind() {
			case "UPDATE":
				statuses = append(statuses, statusIn(f.event))
			case "FAILURE":
				status := wire.Text(f.event, "failure", "status")
				failures = append(failures, fmt.Sprintf("%s/%s %s", wire.Text(f.event, "failure", "agent_id", "value"),
					wire.Text(f.event, "failure", "executor_id", "value"), orZero(status)))
			case "OFFERS":
				for _, o := range wire.List(wire.Sub(f.event, "offers"), "offers") {
					if wire.Text(o, "allocation_info", "role") == "" {
						leftOut++
					}
				}
			}
		}
	}
	return statuses, failures, leftOut
}

// orZero is how an absent number reads.
func orZero(text string) string {
	if text == "" {
		return "0"
	}
	return text
}

// statusIn is the status of an UPDATE.
func statusIn(event protoreflect.Message) claims.TaskStatus {
	status := wire.Sub(wire.Sub(event, "update"), "status")
	s := claims.TaskStatus{
		TaskID: wire.Text(status, "task_id", "value"), AgentID: wire.Text(status, "agent_id", "value"),
		State: claims.TaskState(wire.Enum(status, "state")), Reason: wire.Enum(status, "reason"), Source: wire.Enum(status, "source"),
		Message: wire.Text(status, "message"), UUID: wire.Bytes(status, "uuid"),
	}
	if at, has := number(status, "timestamp"); has {
		s.Timestamp = time.UnixMicro(int64(math.Round(at * 1e6)))
	}
	return s
}
