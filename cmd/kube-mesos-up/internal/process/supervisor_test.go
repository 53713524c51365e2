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

package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// roleEnv makes the test binary play a child (or a parent with a child).
const (
	roleEnv   = "KUBE_MESOS_UP_TEST_ROLE"
	socketEnv = "KUBE_MESOS_UP_TEST_SOCKET"
	logEnv    = "KUBE_MESOS_UP_TEST_LOG"
)

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleEnv); role {
	case "":
		goleak.VerifyTestMain(m)
	default:
		os.Exit(play(role))
	}
}

// play runs one role of a helper process.
func play(role string) int {
	switch role {
	case "fail":
		fmt.Println("first line")
		fmt.Println("the reason")
		return 3
	case "end":
		return 0
	case "run", "stubborn":
		sigs := make(chan os.Signal, 1)
		signal.Notify(sigs, syscall.SIGTERM)
		conn, err := announce()
		if err != nil {
			return 1
		}
		for range sigs {
			if role == "run" {
				fmt.Fprintln(conn, "terminated")
				return 0
			}
		}
	case "parent":
		s := NewSupervisor()
		err := s.Start(Spec{
			Name: "grandchild", Path: os.Args[0], LogPath: os.Getenv(logEnv),
			Env: []string{roleEnv + "=stubborn"},
		})
		if err != nil {
			fmt.Println(err)
			return 1
		}
		select {}
	}
	return 1
}

// announce connects to the test, which sees the connection end when this
// process ends, however it ends.
func announce() (net.Conn, error) {
	conn, err := net.Dial("unix", os.Getenv(socketEnv))
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintln(conn, "ready")
	return conn, err
}

// watcher accepts the connections of helper processes.
type watcher struct {
	t        *testing.T
	listener net.Listener
	path     string
}

func newWatcher(t *testing.T) *watcher {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &watcher{t: t, listener: l, path: path}
}

// ready waits for the next helper and returns its connection's reader.
func (w *watcher) ready() *bufio.Reader {
	w.t.Helper()
	conn, err := w.listener.Accept()
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	r := bufio.NewReader(conn)
	if line, err := r.ReadString('\n'); err != nil || line != "ready\n" {
		w.t.Fatalf("helper said %q, %v", line, err)
	}
	return r
}

func (w *watcher) spec(name, role string, grace time.Duration) Spec {
	return Spec{
		Name: name, Path: os.Args[0], StopGrace: grace,
		Env:     []string{roleEnv + "=" + role, socketEnv + "=" + w.path},
		LogPath: filepath.Join(filepath.Dir(w.path), "logs", name+".log"),
	}
}

func TestChildThatEndsIsReported(t *testing.T) {
	for _, tc := range []struct {
		role, wantText string
		wantCode       int
	}{
		{role: "fail", wantText: "etcd ended by itself: exit status 3", wantCode: 3},
		{role: "end", wantText: "etcd ended by itself with exit code 0"},
	} {
		t.Run(tc.role, func(t *testing.T) {
			w := newWatcher(t)
			s := NewSupervisor()
			spec := w.spec("etcd", tc.role, 0)
			if err := s.Start(spec); err != nil {
				t.Fatal(err)
			}
			exit := <-s.Exited()
			if exit.Error() != tc.wantText {
				t.Errorf("got %q, want %q", exit.Error(), tc.wantText)
			}
			var status *exec.ExitError
			if errors.As(exit, &status) != (tc.wantCode != 0) {
				t.Errorf("exit error of %v", exit.Err)
			}
			if tc.role == "fail" {
				if tail, err := Tail(exit.LogPath, 1); err != nil || tail != "the reason" {
					t.Errorf("tail of its log is %q, %v", tail, err)
				}
			}
			if err := s.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestStopEndsAllInReverseOrder(t *testing.T) {
	w := newWatcher(t)
	s := NewSupervisor()
	var readers []*bufio.Reader
	for _, name := range []string{"first", "second"} {
		if err := s.Start(w.spec(name, "run", time.Minute)); err != nil {
			t.Fatal(err)
		}
		readers = append(readers, w.ready())
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, r := range readers {
		rest, err := io.ReadAll(r)
		if err != nil || string(rest) != "terminated\n" {
			t.Errorf("child %d said %q, %v: it was not ended by SIGTERM", i, rest, err)
		}
	}
	select {
	case exit := <-s.Exited():
		t.Errorf("a child we stopped was reported: %v", exit)
	default:
	}
	if err := s.Start(w.spec("late", "run", 0)); err == nil || !strings.Contains(err.Error(), "being stopped") {
		t.Errorf("Start after Stop: %v", err)
	}
}

func TestStopKillsAStubbornChild(t *testing.T) {
	for _, tc := range []struct {
		name  string
		grace time.Duration
	}{
		{name: "after its grace", grace: time.Millisecond},
		{name: "without grace"},
		{name: "when the caller's time is over", grace: time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWatcher(t)
			s := NewSupervisor()
			if err := s.Start(w.spec("stubborn", "stubborn", tc.grace)); err != nil {
				t.Fatal(err)
			}
			r := w.ready()
			ctx, cancel := context.WithCancel(t.Context())
			if tc.grace == time.Hour {
				cancel()
			}
			defer cancel()
			if err := s.Stop(ctx); err != nil {
				t.Fatal(err)
			}
			if rest, err := io.ReadAll(r); err != nil || len(rest) != 0 {
				t.Errorf("the child said %q, %v", rest, err)
			}
		})
	}
}

// TestKilledParentLeavesNothing kills a parent the hard way: its child, which
// ignores SIGTERM, must be gone too.
func TestKilledParentLeavesNothing(t *testing.T) {
	w := newWatcher(t)
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), roleEnv+"=parent", socketEnv+"="+w.path,
		logEnv+"="+filepath.Join(t.TempDir(), "grandchild.log"))
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	grandchild := w.ready()
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	if rest, err := io.ReadAll(grandchild); err != nil || len(rest) != 0 {
		t.Errorf("the grandchild said %q, %v", rest, err)
	}
}

func TestStartFailures(t *testing.T) {
	s := NewSupervisor()
	dir := t.TempDir()
	err := s.Start(Spec{Name: "x", Path: filepath.Join(dir, "missing"), LogPath: filepath.Join(dir, "x.log")})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing program: %v", err)
	}
	err = s.Start(Spec{Name: "x", Path: os.Args[0], LogPath: dir})
	if err == nil {
		t.Error("a log that is a folder was accepted")
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(path); !errors.Is(err, ErrLocked) {
		t.Errorf("second holder: %v", err)
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := Acquire(path)
	if err != nil {
		t.Fatalf("after release: %v", err)
	}
	if err := again.Release(); err != nil {
		t.Error(err)
	}
}

func TestLastLines(t *testing.T) {
	for _, tc := range []struct {
		in   string
		n    int
		want string
	}{
		{"", 3, ""},
		{"a", 1, "a"},
		{"a\nb\nc\n", 2, "b\nc"},
		{"a\nb\nc", 5, "a\nb\nc"},
		{"a\nb\n\n\n", 1, "b"},
		{"a\nb", 0, ""},
	} {
		if got := string(lastLines([]byte(tc.in), tc.n)); got != tc.want {
			t.Errorf("lastLines(%q, %d) = %q, want %q", tc.in, tc.n, got, tc.want)
		}
	}
}
