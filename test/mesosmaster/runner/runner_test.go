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

package runner_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"go.uber.org/goleak"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/agent"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/runner"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ptr[T any](v T) *T { return &v }

// end is how a process ended.
type end struct {
	status int32
	err    error
}

func start(l *runner.Local, c *mesos.CommandInfo) <-chan end {
	ends := make(chan end, 1)
	l.Start("node-1", &agent.Process{
		ContainerID: "c", Command: c, Environment: map[string]string{"MESOS_AGENT_ENDPOINT": "1.2.3.4:5", "PWD": "/elsewhere"},
	}, func(status int32, err error) { ends <- end{status, err} })
	return ends
}

func TestRun(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/run" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, "#!/bin/sh\necho run $1\n")
	}))
	defer srv.Close()
	defer http.DefaultClient.CloseIdleConnections()
	local := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(local, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		command *mesos.CommandInfo
		status  syscall.WaitStatus
		out     string
		err     string
	}{
		"shell":    {&mesos.CommandInfo{Value: ptr("echo $MESOS_AGENT_ENDPOINT; exit 7")}, 7 << 8, "1.2.3.4:5", ""},
		"sandbox":  {&mesos.CommandInfo{Value: ptr("pwd; test $PWD = $MESOS_SANDBOX && test $PWD = $MESOS_DIRECTORY")}, 0, "/node-1/c", ""},
		"signal":   {&mesos.CommandInfo{Value: ptr("kill -TERM $$")}, 15, "", ""},
		"argument": {&mesos.CommandInfo{Shell: ptr(false), Value: ptr("echo"), Arguments: []string{"echo", "a  b"}}, 0, "a  b", ""},
		"no args":  {&mesos.CommandInfo{Shell: ptr(false), Value: ptr("true")}, 0, "", ""},
		"missing":  {&mesos.CommandInfo{Shell: ptr(false), Value: ptr("/no/such")}, 0, "", "no such file"},
		"fetched": {&mesos.CommandInfo{Value: ptr("./run here; cat other/name"), URIs: []mesos.CommandInfo_URI{
			{Value: srv.URL + "/run", Executable: ptr(true)}, {Value: "file://" + local, OutputFile: ptr("other/name")}, {Value: local},
		}}, 0, "run here\ndata", ""},
		"not found":   {&mesos.CommandInfo{Value: ptr("true"), URIs: []mesos.CommandInfo_URI{{Value: srv.URL + "/nope"}}}, 0, "", "answered 404"},
		"archive":     {&mesos.CommandInfo{Value: ptr("true"), URIs: []mesos.CommandInfo_URI{{Value: "file:///a.tgz"}}}, 0, "", "not extracted"},
		"scheme":      {&mesos.CommandInfo{Value: ptr("true"), URIs: []mesos.CommandInfo_URI{{Value: "hdfs://x/a"}}}, 0, "", "scheme"},
		"no name":     {&mesos.CommandInfo{Value: ptr("true"), URIs: []mesos.CommandInfo_URI{{Value: "http://x/"}}}, 0, "", "names no file"},
		"stays below": {&mesos.CommandInfo{Value: ptr("cat up"), URIs: []mesos.CommandInfo_URI{{Value: local, OutputFile: ptr("../up")}}}, 0, "data", ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := runner.New(t.TempDir())
			defer l.Close()
			got := <-start(l, tc.command)
			if tc.err != "" {
				if got.err == nil || !strings.Contains(got.err.Error(), tc.err) {
					t.Errorf("error %v, want %q", got.err, tc.err)
				}
				return
			}
			out, err := os.ReadFile(filepath.Join(l.Sandbox("node-1", "c"), "stdout"))
			if got.err != nil || got.status != int32(tc.status) || err != nil || !strings.Contains(string(out), tc.out) {
				t.Errorf("status %d, %v; wrote %q, %v", got.status, got.err, out, err)
			}
		})
	}
}

// Kill and Close end a process and what it has started.
func TestKill(t *testing.T) {
	for _, closing := range []bool{false, true} {
		dir := t.TempDir()
		pipe := filepath.Join(dir, "alive")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		l := runner.New(dir)
		ends := start(l, &mesos.CommandInfo{Value: ptr("sleep 1000 > " + pipe + " & wait")})
		held, err := os.Open(pipe) // opens once the child has it open
		if err != nil {
			t.Fatal(err)
		}
		if closing {
			l.Close()
		} else {
			l.Kill("node-1", "c")
		}
		if got := <-ends; got.err != nil || got.status != 9 {
			t.Errorf("status %d, %v", got.status, got.err)
		}
		if _, err := held.Read(make([]byte, 1)); err == nil { // EOF: the child is gone too
			t.Error("the child lives")
		}
		held.Close()
		l.Kill("node-1", "c")
		l.Close()
		l.Start("node-1", &agent.Process{}, func(int32, error) { t.Error("nothing starts after Close") })
	}
}
