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
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/kube-mesos/kube-mesos/test/recordings"
	"github.com/kube-mesos/kube-mesos/test/recordings/wire"
)

// stateful are the beginnings of the texts that depend on what the master knows of
// the framework, which refusal does not.
var stateful = []string{
	"Framework cannot be found", "Framework is not subscribed", "All non-subscribe calls should include",
	"The stream ID '", "Supplied FrameworkInfo is not valid", "FrameworkInfo update is not valid",
	"'UpdateFramework' call is not valid", "Offer constraints are not valid", "Authenticated principal",
	"Failed to validate scheduler::Call: Authenticated principal", "Master has not finished recovery", "404 Not Found.", "401 Unauthorized.", "No leader elected",
}

// TestRulesAgreeWithTheRecordedMaster: the rules by which all other tests judge
// our calls give, for every recorded call, the recorded status and text.
func TestRulesAgreeWithTheRecordedMaster(t *testing.T) {
	judged, refused := 0, 0
	for _, name := range recordings.Names() {
		lines := read(t, name)
		answers := map[int]recordings.Line{}
		for _, l := range lines {
			if l.Kind == "response" {
				answers[l.N] = l
			}
		}
		for _, l := range lines {
			answer, ok := answers[l.N]
			if strings.HasPrefix(textOf(l), "(") {
				continue // only described: too long to record
			}
			if l.Kind != "call" || strings.TrimSuffix(l.Path, "/") != schedulerPath || !ok || answer.Status == 0 || answer.Status == http.StatusTemporaryRedirect {
				continue
			}
			got, gotText, ok := judge(l)
			if !ok {
				if answer.Status != http.StatusBadRequest {
					t.Errorf("%s:%d: a body that cannot be read was answered %d", name, l.Number, answer.Status)
				}
				continue
			}
			judged++
			want, wantText := recordedRefusal(answer)
			if got == aborts {
				// The master aborts where it knows the framework.
				if name != "09b-unknown-call-crashes-master" && want == 0 && !strings.HasPrefix(textOf(answer), "Framework cannot") {
					t.Errorf("%s:%d: the rules say that the master aborts, it answered %d", name, l.Number, answer.Status)
				}
				continue
			}
			if got != want || wantText != "" && gotText != wantText {
				t.Errorf("%s:%d: the rules say %d %q, the master said %d %q", name, l.Number, got, gotText, answer.Status, textOf(answer))
			}
			if got != 0 {
				refused++
			}
		}
	}
	if judged < 1500 || refused < 25 {
		t.Errorf("%d calls judged, %d of them refused: the recordings have more", judged, refused)
	}
}

// judge applies the rules to a recorded call; ok is false if its body is no call.
func judge(l recordings.Line) (status int, text string, ok bool) {
	header := http.Header{}
	for name, value := range l.Headers {
		header.Set(name, value)
	}
	body := l.Body
	if l.Method != http.MethodPost {
		body = json.RawMessage("{}")
	}
	call, err := wire.Call(lenient(body))
	if err != nil {
		return 0, "", false
	}
	if header.Get("Content-Type") == protobufMedia {
		return 0, "", false // it was JSON all the same
	}
	status, text = refusal(l.Method, header, call)
	return status, text, true
}

// recordedRefusal is the part of an answer that refusal can know.
func recordedRefusal(answer recordings.Line) (int, string) {
	text := textOf(answer)
	switch answer.Status {
	case http.StatusOK, http.StatusAccepted:
		return 0, ""
	case http.StatusMethodNotAllowed:
		return answer.Status, ""
	}
	for _, prefix := range stateful {
		if strings.HasPrefix(text, prefix) {
			return 0, ""
		}
	}
	if strings.HasPrefix(text, "Failed to convert JSON into Call protobuf: Missing required fields") {
		return answer.Status, "Missing required fields"
	}
	return answer.Status, text
}

// textOf is the body of an answer as text.
func textOf(l recordings.Line) string {
	var text string
	if json.Unmarshal(l.Body, &text) == nil {
		return text
	}
	return string(l.Body)
}

// lenient drops what a master ignores: unknown members at the top, and enum names
// that it does not know.
func lenient(body json.RawMessage) []byte {
	var call map[string]json.RawMessage
	if json.Unmarshal(body, &call) != nil {
		return body
	}
	delete(call, "nope")
	if string(call["type"]) == `"NOPE"` {
		delete(call, "type")
	}
	b, err := json.Marshal(call)
	if err != nil {
		return body
	}
	return []byte(strings.NewReplacer(`{"type":"NOPE"}`, `{}`, `{"type": "NOPE"}`, `{}`, `"type":"NO_SUCH_CAPABILITY"`, ``).Replace(string(b)))
}

func read(t testing.TB, name string) []recordings.Line {
	t.Helper()
	if known, ok := lines.Load(name); ok {
		return known.([]recordings.Line)
	}
	list, err := recordings.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	lines.Store(name, list)
	return list
}

// lines keeps the recordings.
var lines sync.Map
