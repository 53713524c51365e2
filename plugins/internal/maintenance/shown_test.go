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
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestTextsAreReadBack(t *testing.T) {
	for text, mark := range map[string]Mark{
		`{"kind":"Maintenance","start":"2026-01-02T16:04:05Z","end":"2026-01-02T17:04:05Z","taint":"20260102T160405Z"}`: {Maintenance, hour},
		`{"kind":"Maintenance","start":"2026-01-02T16:04:05Z","taint":"20260102T160405Z"}`:                              {Maintenance, Window{Start: at(60)}},
		`{"kind":"Draining","taint":"now"}`: {Kind: Draining},
		`{"kind":"Drained","start":"2026-01-02T16:04:05Z","end":"2026-01-02T17:04:05Z","taint":"now"}`: {Drained, hour},
	} {
		if got := mark.Text(); got != text {
			t.Errorf("text is %s, want %s", got, text)
		}
		got, taint := Shown(&v1.Node{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{Annotation: text}}})
		if got == nil || *got != mark || taint != mark.Taint().Value {
			t.Errorf("%s is read as %v with the taint %q", text, got, taint)
		}
	}
	for _, text := range []string{"", "{}", "x", `{"kind":"Draining"}`} {
		if got, taint := Shown(&v1.Node{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{Annotation: text}}}); got != nil || taint != "" {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

func TestLasts(t *testing.T) {
	for name, test := range map[string]struct {
		tolerations []v1.Toleration
		endless     bool
		want        time.Duration
	}{
		"none":           {nil, false, 0},
		"ours":           {[]v1.Toleration{{Key: "other"}, {Key: TaintKey, Operator: v1.TolerationOpExists}}, false, time.Minute},
		"of one value":   {[]v1.Toleration{{Key: TaintKey, Value: "now", Effect: v1.TaintEffectNoSchedule}}, false, time.Minute},
		"everything":     {[]v1.Toleration{{Operator: v1.TolerationOpExists}}, false, time.Minute},
		"another effect": {[]v1.Toleration{{Key: TaintKey, Effect: v1.TaintEffectNoExecute}}, false, 0},
		"endless":        {[]v1.Toleration{{Operator: v1.TolerationOpExists}}, true, 0},
	} {
		pod := &v1.Pod{Spec: v1.PodSpec{Tolerations: test.tolerations, ActiveDeadlineSeconds: new(int64(60))}}
		if test.endless {
			pod.Spec.ActiveDeadlineSeconds = nil
		}
		if got := Lasts(pod); got != test.want {
			t.Errorf("%s: lasts %s, want %s", name, got, test.want)
		}
		if got := Ends(pod, t0.Add(time.Second)); got.Equal(t0.Add(61*time.Second)) == test.endless {
			t.Errorf("%s: will end at %s", name, got)
		}
		pod.Status.StartTime = &metav1.Time{Time: t0}
		if got := Ends(pod, at(5)); got.Equal(at(1)) == test.endless {
			t.Errorf("%s: ends at %s", name, got)
		}
	}
}
