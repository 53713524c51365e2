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

package cluster

import (
	"os"
	"slices"
	"sync"
	"testing"
)

// shared is the control plane that a package's tests share.
var shared struct {
	mu   sync.Mutex
	kube *Kube
	// spans are the attempts to start it: all but the last one failed.
	spans []*span
}

// Run runs the tests of a package, and ends the control plane that they shared. It
// is for TestMain and returns the exit code.
func Run(m *testing.M) int {
	defer func() {
		for _, s := range shared.spans {
			s.end()
		}
	}()
	return m.Run()
}

// SharedKube returns the control plane that the tests of a package share, which Run
// must run: a start takes seconds of processor time. The first test that asks starts
// it. Clusters made by New remove their namespaces, nodes and pods. Who makes further
// objects that are no namespace's removes them, or starts a control plane of its own.
func SharedKube(t *testing.T) *Kube {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.kube == nil {
		s := &span{TB: t}
		shared.spans = append(shared.spans, s)
		shared.kube = startKube(s)
	}
	return shared.kube
}

// span is the testing.TB of what outlives the test that starts it. While it starts
// its failures are that test's; of what is logged nobody hears, as that test may be
// over.
type span struct {
	testing.TB
	cleanups []func()
}

// Cleanup overrides that of testing.TB: f is called by end.
func (s *span) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

// TempDir overrides that of testing.TB: the folder is removed by end.
func (s *span) TempDir() string {
	dir, err := os.MkdirTemp("", "control-plane")
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Name overrides that of testing.TB.
func (s *span) Name() string { return "shared control plane" }

// Helper overrides that of testing.TB.
func (s *span) Helper() {}

// Log overrides that of testing.TB.
func (s *span) Log(...any) {}

// Logf overrides that of testing.TB.
func (s *span) Logf(string, ...any) {}

func (s *span) end() {
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
}
