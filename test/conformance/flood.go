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
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// The recording 26 has calls of 1000 tasks each, of which it tells only the names,
// and the number of answers.

// floodCall matches what stands for the body of such a call.
var floodCall = regexp.MustCompile(`^\(RECONCILE of (\d+) tasks (flood-\d+-)\*\)$`)

// flood writes the call out, nil if the text is not one. The framework is that of
// the last call of the connection.
func (r *replay) flood(l *line, text string) []byte {
	m := floodCall.FindStringSubmatch(text)
	if m == nil {
		return nil
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return nil
	}
	tasks := make([]any, n)
	for i := range tasks {
		tasks[i] = map[string]any{"task_id": map[string]any{"value": m[2] + strconv.Itoa(i)}}
	}
	var framework any
	for _, was := range r.lines[:l.pos+1] {
		if id := member(was.body, "framework_id"); was.Conn == l.Conn && id != nil {
			framework = id
		}
	}
	b, err := json.Marshal(r.ids.translateTree(map[string]any{
		"type": "RECONCILE", "framework_id": framework, "reconcile": map[string]any{"tasks": tasks},
	}))
	if err != nil {
		return nil
	}
	return b
}

// flooded tells whether the recorder only counted an event.
func (r *replay) flooded(e *liveEvent) bool {
	task := memberText(e.tree, "update", "status", "task_id", "value")
	return strings.HasPrefix(task, "flood-") && !r.tasks[task]
}

// taskNames are the tasks named by recorded updates.
func taskNames(lines []*line) map[string]bool {
	out := map[string]bool{}
	for _, l := range lines {
		if task := memberText(l.event, "update", "status", "task_id", "value"); task != "" {
			out[task] = true
		}
	}
	return out
}

// floodNote compares the recorder's count of answers with that of the replay.
func (r *replay) floodNote(l *line) {
	want, ok := member(parseBody(l.Raw), "answers_received").(float64)
	if !ok {
		return
	}
	r.until(r.moment(l))
	got := 0
	for _, c := range r.all {
		c.mu.Lock()
		got += c.counted
		c.mu.Unlock()
	}
	for task := range r.tasks {
		if strings.HasPrefix(task, "flood-") {
			got++ // recorded, and compared as every event
		}
	}
	if float64(got) != want {
		r.report.add(l.Number, "note", "%s", fmt.Sprintf("answers received: recorded %v, emulated %d", want, got))
	}
}
