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

package maintenance

import (
	"encoding/json"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
)

// What is written on nodes. All that has these keys, and is as we wrote it, is ours.
const (
	// TaintKey is the key of the taint that keeps pods from machines which leave the
	// service. Its value is the start of the window, as TaintTime, or TaintNow.
	TaintKey = "kube-mesos.io/maintenance"
	// TaintTime is the form of the start: in UTC, and legal as a value.
	TaintTime = "20060102T150405Z"
	// TaintNow is the value for machines that are out of service already.
	TaintNow = "now"
	// Annotation says more of it, and which taint we wrote: see Mark.Text.
	Annotation = "kube-mesos.io/maintenance"
	// AnnotationDeactivated names the agent that we deactivate, or drain, as long as the
	// node is cordoned.
	AnnotationDeactivated = "kube-mesos.io/deactivated-agent"
)

// Taint is what keeps pods away.
func (m Mark) Taint() v1.Taint {
	value := TaintNow
	if m.Planned() {
		value = m.Window.Start.UTC().Format(TaintTime)
	}
	return v1.Taint{Key: TaintKey, Value: value, Effect: v1.TaintEffectNoSchedule}
}

// text is a Mark as an annotation. Times that are not are left away.
type text struct {
	Kind  Kind      `json:"kind"`
	Start time.Time `json:"start,omitzero"`
	End   time.Time `json:"end,omitzero"`
	// Taint is the value of the taint that we wrote.
	Taint string `json:"taint"`
}

// Text is the mark as the value of the annotation.
func (m Mark) Text() string {
	t := text{Kind: m.Kind, Taint: m.Taint().Value}
	if !m.Window.Start.IsZero() {
		t.Start, t.End = m.Window.Start.UTC(), m.Window.End().UTC()
		if m.Window.Duration == 0 {
			t.End = time.Time{}
		}
	}
	b, err := json.Marshal(t)
	if err != nil {
		// Only years that no calendar has.
		return fmt.Sprintf(`{"kind":%q,"taint":%q}`, t.Kind, t.Taint)
	}
	return string(b)
}

// Shown reads what we wrote on a node, nil for nothing, and the value of our taint.
func Shown(node *v1.Node) (m *Mark, taint string) {
	var t text
	if json.Unmarshal([]byte(node.Annotations[Annotation]), &t) != nil || t.Taint == "" {
		return nil, ""
	}
	m = &Mark{Kind: t.Kind, Window: Window{Start: t.Start}}
	if t.End.After(t.Start) {
		m.Window.Duration = t.End.Sub(t.Start)
	}
	return m, t.Taint
}

// Lasts returns how long a pod that tolerates our taint runs at most, 0 if it does not,
// or may run for ever.
func Lasts(pod *v1.Pod) time.Duration {
	seconds := pod.Spec.ActiveDeadlineSeconds
	if seconds == nil {
		return 0
	}
	for i := range pod.Spec.Tolerations {
		t := &pod.Spec.Tolerations[i]
		if (t.Key == TaintKey || t.Key == "" && t.Operator == v1.TolerationOpExists) &&
			(t.Effect == "" || t.Effect == v1.TaintEffectNoSchedule) {
			return time.Duration(*seconds) * time.Second
		}
	}
	return 0
}

// Ends returns when a bound pod is sure to have ended, as far as that is known now; zero
// if it may run for ever.
func Ends(pod *v1.Pod, now time.Time) time.Time {
	if pod.Spec.ActiveDeadlineSeconds == nil {
		return time.Time{}
	}
	if begun := pod.Status.StartTime; begun != nil {
		now = begun.Time
	}
	return now.Add(time.Duration(*pod.Spec.ActiveDeadlineSeconds) * time.Second)
}
