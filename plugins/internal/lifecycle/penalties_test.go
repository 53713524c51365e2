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

package lifecycle

import (
	"testing"
	"time"
)

func TestPenalties(t *testing.T) {
	p, now := newPenalties(), time.Unix(1000, 0)
	if left := p.left("a", now); left != 0 {
		t.Errorf("an agent that never failed is left alone for %v", left)
	}
	for i, want := range []time.Duration{2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
		if got := p.failed("a", now); got != want*time.Second {
			t.Errorf("failure %d: left alone for %v, want %v", i+1, got, want*time.Second)
		}
		if again := p.failed("a", now.Add(time.Second)); again != (want-1)*time.Second {
			t.Errorf("failure %d: a task sent before makes it %v, want %v", i+1, again, (want-1)*time.Second)
		}
		if other := p.left("b", now); other != 0 {
			t.Errorf("another agent is left alone for %v", other)
		}
		now = now.Add(want * time.Second)
		if left := p.left("a", now); left != 0 {
			t.Errorf("failure %d: still left alone for %v after its penalty", i+1, left)
		}
	}
	p.forgive(now.Add(forgiveAfter - 1))
	if got := p.failed("a", now); got != penaltyMax {
		t.Errorf("forgiven too early: %v", got)
	}
	p.forgive(now.Add(penaltyMax + forgiveAfter))
	if got := p.failed("a", now); got != penaltyMin {
		t.Errorf("never forgiven: %v", got)
	}
}

func TestNoteFitsAnEvent(t *testing.T) {
	for _, text := range []string{"", "short", string(make([]byte, 5000)), "ä" + string(make([]byte, 998)) + "ö"} {
		got := note(text)
		if len(got) > maxNote {
			t.Errorf("%d bytes of %d, want at most %d", len(got), len(text), maxNote)
		}
		if len(text) <= maxNote && got != text {
			t.Errorf("a text of %d bytes was changed", len(text))
		}
	}
}
