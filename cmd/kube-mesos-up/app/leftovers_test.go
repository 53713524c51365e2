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

package app

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/process"
)

// TestRemoveLeftovers removes what a killed run left, and nothing else.
func TestRemoveLeftovers(t *testing.T) {
	parent, now := t.TempDir(), time.Now()
	old := now.Add(-2 * leftoverAge)
	// folder makes a data folder with a lock file and returns its path.
	folder := func(name string, at time.Time) string {
		path := filepath.Join(parent, name)
		if err := os.MkdirAll(filepath.Join(path, "etcd"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, lockFile), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		age(t, path, at)
		return path
	}
	left := folder(temporaryPrefix+"left", old)
	folder(temporaryPrefix+"young", now)
	folder("somebody-elses", old)
	used := folder(temporaryPrefix+"used", old)
	lock, err := process.Acquire(filepath.Join(used, lockFile))
	if err != nil {
		t.Fatal(err)
	}
	age(t, used, old)
	unlocked := folder(temporaryPrefix+"without-lock", old)
	if err := os.Remove(filepath.Join(unlocked, lockFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(unlocked, old, old); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(folder("target", old), filepath.Join(parent, temporaryPrefix+"link")); err != nil {
		t.Fatal(err)
	}

	if got := removeLeftovers(parent, now); !slices.Equal(got, []string{left}) {
		t.Errorf("removed %q, want %q", got, left)
	}
	want := []string{"link", "used", "without-lock", "young"}
	for i := range want {
		want[i] = temporaryPrefix + want[i]
	}
	want = append(want, "somebody-elses", "target")
	entries, err := os.ReadDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("left are %q, want %q", got, want)
	}

	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if got := removeLeftovers(parent, now); !slices.Equal(got, []string{used}) {
		t.Errorf("removed %q once nobody used it, want %q", got, used)
	}
}

// age makes a data folder and its lock file look as old as that.
func age(t *testing.T, path string, at time.Time) {
	t.Helper()
	for _, p := range []string{filepath.Join(path, lockFile), path} {
		if err := os.Chtimes(p, at, at); err != nil {
			t.Fatal(err)
		}
	}
}

func TestManifests(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	if err := os.WriteFile(path, []byte("a: 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := &Options{Apply: []string{path}}
	if got, err := o.manifests(); err != nil || len(got) != 1 || string(got[0]) != "a: 1" {
		t.Errorf("got %q, %v", got, err)
	}
	o.Apply = append(o.Apply, path+".missing")
	if _, err := o.manifests(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}
