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
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/process"
)

func TestOptions(t *testing.T) {
	for _, tc := range []struct {
		name       string
		change     func(*Options)
		neighbours int
		wantErr    string
	}{
		{name: "defaults", change: func(*Options) {}},
		{name: "demo", change: func(o *Options) { o.Demo = true }, neighbours: 10},
		{name: "demo alone", change: func(o *Options) { o.Demo, o.NeighbourAgents = true, 0 }},
		{name: "demo on a real cluster", change: func(o *Options) { o.Demo, o.MesosMaster = true, "m:5050" }},
		{name: "real cluster of any size", change: func(o *Options) { o.Nodes, o.MesosMaster = 0, "m:5050" }},
		{name: "no machine", change: func(o *Options) { o.Nodes = 0 }, wantErr: "--nodes: 0"},
		{name: "too many", change: func(o *Options) { o.Nodes = 5001 }, wantErr: "--nodes: 5001"},
		{name: "too many neighbours", change: func(o *Options) { o.NeighbourAgents = 21 }, neighbours: 21, wantErr: "--neighbour-agents: 21"},
		{
			name:       "neighbours of a real cluster",
			change:     func(o *Options) { o.NeighbourAgents, o.MesosMaster = 1, "m:5050" },
			neighbours: 1, wantErr: "leave out --mesos-master",
		},
		{name: "no time", change: func(o *Options) { o.DemoTimeout = 0 }, wantErr: "--demo-timeout: 0s"},
		{
			name:    "several mistakes",
			change:  func(o *Options) { o.Nodes, o.NeighbourHold = -1, -time.Second },
			wantErr: "--neighbour-hold: -1s",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := NewOptions(io.Discard)
			tc.change(o)
			o.Complete()
			if o.NeighbourAgents != tc.neighbours {
				t.Errorf("%d neighbours, want %d", o.NeighbourAgents, tc.neighbours)
			}
			err := o.Validate()
			if (err != nil) != (tc.wantErr != "") || err != nil && !strings.Contains(err.Error(), tc.wantErr) {
				t.Errorf("error %v, want %q", err, tc.wantErr)
			}
		})
	}
}

func TestDataDir(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	temporary, err := openDataDir("")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(temporary.path, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := temporary.close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(temporary.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary folder is still there: %v", err)
	}

	path := filepath.Join(t.TempDir(), "a", "b")
	kept, err := openDataDir(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openDataDir(path); !errors.Is(err, process.ErrLocked) {
		t.Errorf("a second run shares the folder: %v", err)
	}
	if err := kept.close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the given folder is gone: %v", err)
	}
	again, err := openDataDir(path)
	if err != nil {
		t.Fatalf("the next run: %v", err)
	}
	if err := again.close(); err != nil {
		t.Error(err)
	}
}

func TestProgress(t *testing.T) {
	now := time.Unix(1000, 0)
	var out strings.Builder
	p := newProgress(&out, func() time.Time { return now })
	p.line("one")
	now = now.Add(12340 * time.Millisecond)
	p.line("two")
	if diff := cmp.Diff("   0.0s  one\n  12.3s  two\n", out.String()); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestShowFailure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "etcd.log")
	if err := os.WriteFile(path, []byte(strings.Repeat("old\n", 100)+"the reason\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	showFailure(&out, errors.New("another failure"))
	if out.Len() > 0 {
		t.Errorf("printed %q", out.String())
	}
	showFailure(&out, fmt.Errorf("start: %w", &process.Exit{Name: "etcd", LogPath: path}))
	if got := out.String(); !strings.HasSuffix(got, "\nthe reason\n") || strings.Count(got, "old") != logTailLines-1 {
		t.Errorf("printed %q", got)
	}
}
