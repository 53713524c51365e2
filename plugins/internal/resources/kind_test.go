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

package resources

import "testing"

func TestKindNames(t *testing.T) {
	tests := []struct {
		kind       Kind
		mesos      string
		kubernetes string
	}{
		{CPU, "cpus", "cpu"},
		{Memory, "mem", "memory"},
		{Disk, "disk", "ephemeral-storage"},
		{GPU, "gpus", "gpu"},
		{NumKinds, "unknown-4", "unknown-4"},
	}
	for _, tt := range tests {
		if got := tt.kind.MesosName(); got != tt.mesos {
			t.Errorf("Kind(%d).MesosName() = %q, want %q", tt.kind, got, tt.mesos)
		}
		if got := tt.kind.String(); got != tt.kubernetes {
			t.Errorf("Kind(%d).String() = %q, want %q", tt.kind, got, tt.kubernetes)
		}
	}
}

func TestKindOfMesos(t *testing.T) {
	for k := range NumKinds {
		if got, ok := KindOfMesos(k.MesosName()); !ok || got != k {
			t.Errorf("KindOfMesos(%q) = %v, %t, want %v, true", k.MesosName(), got, ok, k)
		}
	}
	for _, name := range []string{"", "cpu", "memory", "CPUS", "ports", "unknown-4"} {
		if got, ok := KindOfMesos(name); ok {
			t.Errorf("KindOfMesos(%q) = %v, true, want false", name, got)
		}
	}
}
