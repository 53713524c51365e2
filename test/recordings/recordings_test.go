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

package recordings

import "testing"

func TestReadAll(t *testing.T) {
	names := Names()
	if len(names) != 30 {
		t.Errorf("%d recordings, want 30", len(names))
	}
	for _, name := range names {
		lines, err := Read(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if len(lines) == 0 || lines[0].Kind != "admin" && lines[0].Kind != "note" {
			t.Errorf("%s does not begin by telling its set-up", name)
		}
		for _, l := range lines {
			if l.Kind == "" {
				t.Errorf("%s:%d has no kind", name, l.Number)
			}
		}
	}
}

func TestReadUnknown(t *testing.T) {
	if _, err := Read("99-nothing"); err == nil {
		t.Error("an unknown recording is read")
	}
}
