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

package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// bin is where the commands are.
var bin string

// TestMain builds the emulator from the main module and mesos-go's commands from
// the module cache.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "clients")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	bin = dir
	const cmds = "github.com/mesos/mesos-go/api/v1/cmd/"
	err = errors.Join(
		build("../../..", "./test/mesosmaster/cmd/mesos-master-emulator"),
		build(".", cmds+"example-executor", cmds+"example-scheduler", cmds+"msh", cmds+"mwatch"),
	)
	code := 1
	if err == nil {
		code = m.Run()
	} else {
		fmt.Fprintln(os.Stderr, err)
	}
	_ = os.RemoveAll(dir) // a temporary directory
	os.Exit(code)
}

func build(dir string, packages ...string) error {
	cmd := exec.Command("go", append([]string{"build", "-o", bin + "/"}, packages...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", strings.Join(packages, " "), err, out)
	}
	return nil
}

// output collects what a process writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// patience bounds every wait for another process; nothing is measured by it.
const patience = time.Minute

// until waits for a condition that another process brings about.
func until(t *testing.T, what string, log fmt.Stringer, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s\n%s", what, log)
		}
		time.Sleep(20 * time.Millisecond) // polls another process
	}
}

// emulator is a running mesos-master-emulator.
type emulator struct {
	masters   []string // host:port
	zooKeeper string
	control   string
	log       *output
}

// url is the base URL of a master.
func (e *emulator) url(i int) string { return "http://" + e.masters[i] }

// do disturbs the emulator through its control interface.
func (e *emulator) do(t *testing.T, deed string) {
	t.Helper()
	resp, err := http.Post("http://"+e.control+deed, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", deed, resp.Status)
	}
}

// metric reads one of the first master's metrics.
func (e *emulator) metric(t *testing.T, name string) float64 {
	t.Helper()
	resp, err := http.Get(e.url(0) + "/metrics/snapshot")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	metrics := map[string]float64{}
	if err := json.NewDecoder(resp.Body).Decode(&metrics); err != nil {
		t.Fatal(err)
	}
	return metrics[name]
}

// emulate runs the emulator until the end of the test.
func emulate(t *testing.T, masters int, args ...string) *emulator {
	t.Helper()
	dir := t.TempDir()
	port := filepath.Join(dir, "port")
	e := &emulator{log: &output{}}
	cmd := exec.Command(filepath.Join(bin, "mesos-master-emulator"), append([]string{
		"--listen=127.0.0.1:0", "--zookeeper-listen=127.0.0.1:0", "--control-listen=127.0.0.1:0", "--port-file=" + port,
		fmt.Sprint("--masters=", masters), "--run-executors=" + filepath.Join(dir, "sandboxes"),
		"--allocation-interval=50ms", "--seed=1",
	}, args...)...)
	cmd.Stdout, cmd.Stderr = e.log, e.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("the emulator: %v\n%s", err, e.log)
		}
	})
	var addresses []string
	until(t, "the emulator's addresses", e.log, func() bool {
		b, err := os.ReadFile(port)
		addresses = strings.Fields(string(b))
		return err == nil
	})
	e.masters, e.control = addresses[:masters], addresses[len(addresses)-1]
	if masters > 1 {
		e.zooKeeper = addresses[masters]
	}
	return e
}

// client runs a command of mesos-go.
func client(ctx context.Context, t *testing.T, name string, args ...string) (log *output, wait func() error) {
	t.Helper()
	log = &output{}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, name), args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return log, cmd.Wait
}
