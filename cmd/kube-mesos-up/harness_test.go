//go:build linux

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

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/process"
)

// asCommand makes the test binary be kube-mesos-up and, since its components
// inherit it, every one of them. So the tests need no second build, and the race
// detector looks into all processes.
const asCommand = "KUBE_MESOS_UP_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(run())
	}
	os.Exit(m.Run())
}

// up is a running kube-mesos-up.
type up struct {
	pid int
	out *output
	// done is closed once it ended with code.
	done chan struct{}
	code int
}

// start starts kube-mesos-up with a folder for temporary files of its own.
func start(t *testing.T, tmp string, args ...string) *up {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	u := &up{out: &output{grown: make(chan struct{})}, done: make(chan struct{})}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), asCommand+"=yes", "TMPDIR="+tmp)
	cmd.Stdout, cmd.Stderr = u.out, u.out
	// A test binary that is killed takes it along.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// The kernel sends the signal when the thread that started the child ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			u.pid = cmd.Process.Pid
		}
		started <- err
		if err != nil {
			return
		}
		if err := cmd.Wait(); err != nil {
			u.code = -1
			if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
				u.code = exit.ExitCode()
			}
		}
		close(u.done)
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		select {
		case <-u.done:
		default:
			kill(t, u.pid, syscall.SIGKILL)
			<-u.done
		}
		if t.Failed() {
			t.Logf("kube-mesos-up %s printed:\n%s", strings.Join(args, " "), u.out)
		}
	})
	return u
}

// kill sends a signal to a process, which may be gone.
func kill(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Error(err)
	}
}

// await waits until the program prints text.
func (u *up) await(t *testing.T, text string) {
	t.Helper()
	for {
		printed, grown := u.out.read()
		if strings.Contains(printed, text) {
			return
		}
		select {
		case <-grown:
		case <-u.done:
			if printed, _ := u.out.read(); !strings.Contains(printed, text) {
				t.Fatalf("it ended with code %d and never printed %q", u.code, text)
			}
			return
		}
	}
}

// wait waits for the program's end, checks its exit code, -1 for death by a signal,
// and returns what it printed.
func (u *up) wait(t *testing.T, code int) string {
	t.Helper()
	<-u.done
	if u.code != code {
		t.Errorf("exit code %d, want %d", u.code, code)
	}
	return u.out.String()
}

// component is a component's process.
type component struct {
	pid  int
	name string
}

// components returns the child processes of the program that run components.
func (u *up) components(t *testing.T) []component {
	t.Helper()
	var out []component
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", u.pid))
	if err != nil || len(lists) == 0 {
		t.Fatalf("children of process %d: %v", u.pid, err)
	}
	for _, list := range lists {
		data, err := os.ReadFile(list)
		if err != nil {
			continue // a thread that ended
		}
		for _, field := range strings.Fields(string(data)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			if args := commandLine(pid); len(args) > 2 && args[1] == "component" {
				out = append(out, component{pid: pid, name: args[2]})
			}
		}
	}
	slices.SortFunc(out, func(a, b component) int { return strings.Compare(a.name, b.name) })
	return out
}

// commandLine returns a process's arguments, none if it is gone or dead.
func commandLine(pid int) []string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(data) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
}

// runs tells whether the component's process is still there.
func (c component) runs() bool {
	args := commandLine(c.pid)
	return len(args) > 2 && args[1] == "component" && args[2] == c.name
}

// eventually looks until ok, or fails when limit is over: a bound for what never
// happens, not a measure.
func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	over := time.NewTimer(limit)
	defer over.Stop()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !ok() {
		select {
		case <-ticker.C:
		case <-over.C:
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// checkLogs fails the test if a component of ours raced or panicked, and shows the
// end of the scheduler's log if the test failed.
func checkLogs(t *testing.T, dataDir string) {
	t.Helper()
	for _, name := range []string{"kube-mesos-scheduler", "mesos-master"} {
		path := filepath.Join(dataDir, "logs", name+".log")
		data, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, bad := range []string{"panic: ", "Observed a panic"} {
			if i := bytes.Index(data, []byte(bad)); i >= 0 {
				t.Errorf("%s: %s", name, data[i:min(len(data), i+3000)])
			}
		}
		for _, report := range races(string(data)) {
			t.Errorf("%s: %s", name, report)
		}
		if t.Failed() {
			tail, _ := process.Tail(path, 40)
			t.Logf("the end of %s:\n%s", path, tail)
		}
	}
}

// raceAccess finds the function that made each access of a race detector's report.
var raceAccess = regexp.MustCompile(`(?m)^(?:Read|Write|Previous read|Previous write|Atomic \w+|Previous atomic \w+) (?:at|of) .*\n\s+(\S+)`)

// races returns the race detector's reports in a log, but those between two accesses
// of kube-scheduler's own: its failure handler reads pods that it has given back to
// its queue (Kubernetes 1.34, handleSchedulingFailure).
func races(log string) []string {
	var out []string
	for _, report := range strings.Split(log, "==================") {
		if !strings.Contains(report, "WARNING: DATA RACE") {
			continue
		}
		accesses := raceAccess.FindAllStringSubmatch(report, -1)
		own := len(accesses) == 2
		for _, access := range accesses {
			own = own && strings.HasPrefix(access[1], "k8s.io/kubernetes/pkg/scheduler")
		}
		if !own {
			out = append(out, report)
		}
	}
	return out
}

// TestRaces makes sure that only what is kube-scheduler's own is overlooked.
func TestRaces(t *testing.T) {
	report := func(first, second string) string {
		return "I0101 a line\n==================\nWARNING: DATA RACE\nWrite at 0x00c0003a9880 by goroutine 492:\n  " + first +
			"()\n      /types.go:657 +0xeb4\n\nPrevious read at 0x00c0003a9880 by goroutine 664:\n  " + second +
			"()\n      /types.go:620 +0x28\n==================\n"
	}
	theirs := "k8s.io/kubernetes/pkg/scheduler/framework.(*PodInfo).Update"
	ours := "github.com/kube-mesos/kube-mesos/plugins/mesosoffers.(*Plugin).Filter"
	for _, tc := range []struct {
		log  string
		want int
	}{
		{"I0101 a line\n", 0},
		{report(theirs, theirs), 0},
		{report(theirs, ours), 1},
		{report(ours, theirs), 1},
		{report("runtime.mapassign", theirs), 1},
		{report(theirs, theirs) + report(ours, ours), 1},
		{"WARNING: DATA RACE\nin a form that nobody knows", 1},
	} {
		if got := races(tc.log); len(got) != tc.want {
			t.Errorf("%d reports, want %d, of %s", len(got), tc.want, tc.log)
		}
	}
}

// output collects what a program prints.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	grown chan struct{}
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.grown)
	o.grown = make(chan struct{})
	return o.text.Write(p)
}

// read returns what was printed so far, and a channel that is closed when there
// is more.
func (o *output) read() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.grown
}

// String returns what was printed so far.
func (o *output) String() string {
	text, _ := o.read()
	return text
}
