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
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// examplePods is how many pods of the examples are bound: 6 of the deployment, 3
// of the stateful set, 50 of the job.
const examplePods = "59"

// TestDemo runs the demo twice in one data folder: the second time on the database
// and as the Mesos framework of the first.
func TestDemo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	var framework string
	for _, round := range []string{"first run", "second run"} {
		u := start(t, t.TempDir(), "--demo", "--nodes=6", "--neighbour-agents=3", "--data-dir="+dir)
		out := u.wait(t, 0)
		checkLogs(t, dir)
		if t.Failed() {
			t.Fatalf("%s failed", round)
		}
		for _, pattern := range []string{
			`(?m)^Another Mesos framework holds 12 cpus\.$`,
			`(?m)^First pod bound +[0-9]+\.[0-9]s after start$`,
			`(?m)^Pods bound +` + examplePods + `$`,
			`(?m)^Rate +[1-9][0-9]*\.[0-9] pods/s `,
			`(?m)^Creation to binding +p50 [0-9.]+m?s, p99 [0-9.]+m?s, max [0-9.]+m?s$`,
			`(?m)^ACCEPT calls +[1-9][0-9]*$`,
			`(?m)^DECLINE calls +[0-9]+$`,
			`(?m)^Offers received +[1-9][0-9]*$`,
			`(?m)^Pod too-big stays pending, as it should\. FailedScheduling:$`,
			`(?m)^OK: every bound pod holds one live Mesos task of its size on its machine \(9\), and no task is left without a pod\.$`,
		} {
			if !regexp.MustCompile(pattern).MatchString(out) {
				t.Errorf("%s printed nothing like %s", round, pattern)
			}
		}
		registered := regexp.MustCompile(`(?m)^Mesos framework +(\S+) \(kube-mesos\)$`).FindAllStringSubmatch(out, -1)
		if len(registered) != 1 {
			t.Fatalf("%s: registered as %q, want one framework", round, registered)
		}
		if framework == "" {
			framework = registered[0][1]
		}
		if registered[0][1] != framework {
			t.Errorf("%s registered as framework %s, the first one as %s", round, registered[0][1], framework)
		}
	}
}

// TestUp runs one cluster, whose start takes most of a test's time, for all that
// needs it to stay, and then interrupts it as Ctrl-C does.
func TestUp(t *testing.T) {
	tmp := t.TempDir()
	u := start(t, tmp, append([]string{"--nodes=3"}, coschedulingFlags(t)...)...)
	u.await(t, "Ctrl-C ends everything.")
	t.Run("Coscheduling", func(t *testing.T) { testCoscheduling(t, connect(t, u)) })
	t.Run("StopsEverything", func(t *testing.T) { testStopsEverything(t, u, tmp) })
}

func testStopsEverything(t *testing.T, u *up, tmp string) {
	running := u.components(t)
	if len(running) != 6 {
		t.Errorf("components %v, want all six", running)
	}
	folders := entries(t, tmp)
	if len(folders) != 1 {
		t.Fatalf("temporary files %v, want one data folder", folders)
	}
	checkLogs(t, filepath.Join(tmp, folders[0]))
	kill(t, u.pid, syscall.SIGINT)
	u.wait(t, 0)
	for _, c := range running {
		if c.runs() {
			t.Errorf("%s outlives the cluster", c.name)
		}
	}
	if left := entries(t, tmp); len(left) > 0 {
		t.Errorf("temporary files %v are left", left)
	}
}

// TestKilled kills the program alone: the kernel ends its components, and the next
// run removes the data folder.
func TestKilled(t *testing.T) {
	tmp := t.TempDir()
	u := start(t, tmp, "--nodes=2")
	u.await(t, "etcd is ready")
	running := u.components(t)
	if len(running) == 0 {
		t.Error("no component runs")
	}
	kill(t, u.pid, syscall.SIGKILL)
	u.wait(t, -1)
	for _, c := range running {
		eventually(t, 20*time.Second, c.name+" ends", func() bool { return !c.runs() })
	}
	left := entries(t, tmp)
	if len(left) != 1 {
		t.Fatalf("temporary files: %v, want the killed run's data folder", left)
	}
	folder, old := filepath.Join(tmp, left[0]), time.Now().Add(-time.Hour)
	for _, path := range []string{filepath.Join(folder, "lock"), folder} {
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	out := start(t, tmp, "--scheduler-config="+filepath.Join(tmp, "missing")).wait(t, 1)
	if !strings.Contains(out, "removed "+folder) || len(entries(t, tmp)) > 0 {
		t.Errorf("temporary files %v are left", entries(t, tmp))
	}
}

// TestFailures makes sure that what goes wrong is told and ends the program with
// code 1, and that nothing is left then.
func TestFailures(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		// after is what is printed before the component kill is killed.
		after, kill string
		want        []string
	}{
		"the examples do not fit": {
			args: []string{"--demo", "--nodes=1", "--neighbour-agents=0", "--node-resources=cpus:0.2;mem:64;disk:1000", "--demo-timeout=8s"},
			want: []string{
				"the demo did not end within 8s (--demo-timeout); still waiting for ",
				" is not bound: ",
			},
		},
		"a component dies": {
			args: []string{"--nodes=1"}, after: "etcd is ready", kill: "mesos-master",
			want: []string{"mesos-master ended by itself: signal: killed", "The end of "},
		},
		"the start takes too long": {
			args: []string{"--nodes=1", "--start-timeout=1ms"},
			want: []string{"the cluster did not start within 1ms (--start-timeout)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tmp := t.TempDir()
			u := start(t, tmp, tc.args...)
			if tc.kill != "" {
				u.await(t, tc.after)
				for _, c := range u.components(t) {
					if c.name == tc.kill {
						kill(t, c.pid, syscall.SIGKILL)
					}
				}
			}
			out := u.wait(t, 1)
			for _, want := range tc.want {
				if !strings.Contains(out, want) {
					t.Errorf("it printed nothing like %q", want)
				}
			}
			if left := entries(t, tmp); len(left) > 0 {
				t.Errorf("temporary files %v are left", left)
			}
		})
	}
}

// entries returns the names in a folder.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(list))
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}
