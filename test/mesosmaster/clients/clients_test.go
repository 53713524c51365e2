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
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/influxdata/telegraf"
	"github.com/influxdata/telegraf/plugins/inputs/mesos"
	"github.com/mesos/mesos-go/api/v0/detector"
	"github.com/mesos/mesos-go/api/v0/detector/zoo"
	mesosproto "github.com/mesos/mesos-go/api/v0/mesosproto"
)

// mesos-go's example scheduler, with its example executor run by the agents,
// brings its tasks to their end; mwatch, its client of the operator API, sees
// them. The scheduler speaks protobuf: its JSON decoder knows nothing newer than
// itself and fails at the QUOTA_V2 of any master since Mesos 1.9.
func TestExampleScheduler(t *testing.T) {
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	credentials := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(credentials, []byte(`{"credentials":[{"principal":"example","secret":"s3cret"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ emulator, scheduler []string }{
		"protobuf": {nil, nil},
		"authenticated": {
			[]string{"--authenticate-http-frameworks", "--credentials=" + credentials},
			[]string{"-authmode=basic", "-credentials.username=example", "-credentials.passwordFile=" + password, "-principal=example"},
		},
		"no checkpoints": {nil, []string{"-checkpoint=false"}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			e := emulate(t, 1, append([]string{"--agents=2"}, tc.emulator...)...)
			host, port, _ := strings.Cut(e.masters[0], ":")
			watched, watchEnds := client(ctx, t, "mwatch", "-master="+host, "-port="+port)
			until(t, "the operator's stream", watched, func() bool { return e.metric(t, "master/operator_event_stream_subscribers") == 1 })
			log, wait := client(ctx, t, "example-scheduler", append([]string{
				"-url=" + e.url(0) + "/api/v1/scheduler", "-executor=" + filepath.Join(bin, "example-executor"), "-exec.image=",
				"-tasks=6", "-metrics.port=0", "-verbose",
			}, tc.scheduler...)...)
			// It ends by cancelling itself, which it takes for a failure: the status
			// says nothing.
			if err := wait(); !strings.Contains(log.String(), "mission accomplished, terminating") {
				t.Fatalf("%v\n%s\n%s", err, log, e.log)
			}
			for _, task := range []string{"1", "2", "3", "4", "5", "6"} {
				if !strings.Contains(log.String(), "Task "+task+" is in state TASK_FINISHED") {
					t.Errorf("task %s has not finished:\n%s", task, log)
				}
			}
			finished := regexp.MustCompile(`TASK_UPDATED .*TASK_FINISHED`)
			until(t, "the operator to see the ends of all tasks", watched, func() bool {
				return len(finished.FindAllString(watched.String(), -1)) == 6 && strings.Contains(watched.String(), "FRAMEWORK_ADDED")
			})
			cancel()
			_ = watchEnds() // killed
		})
	}
}

// msh, mesos-go's shell for one command, learns from the agent's interpreter of
// commands how it ended; it exits with 3 if the task has failed.
func TestMsh(t *testing.T) {
	e := emulate(t, 1, "--agents=2")
	for command, want := range map[string]string{"true": "", "false": "exit status 3"} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		log, wait := client(ctx, t, "msh", "-master="+e.masters[0], "--", command)
		got := ""
		if err := wait(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q\n%s", command, got, want, log)
		}
		cancel()
	}
}

// gathered keeps what a Telegraf plug-in gathers.
type gathered struct {
	telegraf.Accumulator // nil: only the methods below are used
	mu                   sync.Mutex
	fields               map[string]any
	tags                 map[string]string
	errs                 []error
}

// AddFields implements telegraf.Accumulator.
func (g *gathered) AddFields(_ string, fields map[string]any, tags map[string]string, _ ...time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fields, g.tags = fields, tags
}

// AddError implements telegraf.Accumulator.
func (g *gathered) AddError(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		g.errs = append(g.errs, err)
	}
}

// Telegraf's plug-in for Mesos finds its metrics.
func TestTelegraf(t *testing.T) {
	e := emulate(t, 1, "--agents=3")
	input := &mesos.Mesos{
		Timeout: 10000, Masters: []string{e.url(0)},
		MasterCols: []string{"resources", "master", "agents", "frameworks", "tasks", "allocator"},
	}
	acc := &gathered{}
	if err := input.Gather(acc); err != nil || acc.errs != nil {
		t.Fatal(err, acc.errs)
	}
	for field, want := range map[string]float64{
		"master/elected": 1, "master/slaves_active": 3, "master/slaves_connected": 3, "master/cpus_total": 12, "master/frameworks_active": 0,
		"master/tasks_running": 0,
	} {
		if got := acc.fields[field]; got != want {
			t.Errorf("%s: %v, want %v", field, got, want)
		}
	}
	if acc.tags["role"] != "master" {
		t.Errorf("tags %v", acc.tags)
	}
}

// mesos-go's detector finds the leader in ZooKeeper, and the next one after its
// death.
func TestDetector(t *testing.T) {
	e := emulate(t, 3, "--agents=1", "--zk-session-timeout=500ms")
	d, err := zoo.NewMasterDetector("zk://"+e.zooKeeper+"/mesos", zoo.MinCyclePeriod(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Cancel()
	leaders := make(chan uint32, 100)
	if err := d.Detect(detector.OnMasterChanged(func(info *mesosproto.MasterInfo) { leaders <- info.GetPort() })); err != nil {
		t.Fatal(err)
	}
	waitFor := func(i int) {
		t.Helper()
		_, port, _ := strings.Cut(e.masters[i], ":")
		for {
			select {
			case got := <-leaders:
				if got == uint32(number(t, port)) {
					return
				}
			case <-time.After(patience):
				t.Fatalf("master %d was not detected\n%s", i, e.log)
			}
		}
	}
	waitFor(0)
	e.do(t, "/masters/0/kill")
	waitFor(1)
}

func number(t *testing.T, s string) int {
	t.Helper()
	n := 0
	for _, c := range s {
		n = n*10 + int(c-'0')
	}
	return n
}

// A ZooKeeper client reads the nodes, is told of changes, and keeps its session
// over the death of ZooKeeper.
func TestZooKeeperClient(t *testing.T) {
	e := emulate(t, 2, "--agents=1", "--zk-session-timeout=10s")
	c, events, err := zk.Connect([]string{e.zooKeeper}, 10*time.Second, zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	children, stat, changed, err := c.ChildrenW("/mesos")
	if err != nil || len(children) != 3 || stat.NumChildren != 3 {
		t.Fatalf("children %v, %+v, %v", children, stat, err)
	}
	data, stat, err := c.Get("/mesos/json.info_0000000000")
	if err != nil || !strings.Contains(string(data), `"pid":"master@`+e.masters[0]+`"`) || stat.EphemeralOwner == 0 || int(stat.DataLength) != len(data) {
		t.Fatalf("data %s, %+v, %v", data, stat, err)
	}
	if _, err := c.Create("/mesos/x", nil, 0, zk.WorldACL(zk.PermAll)); err == nil {
		t.Error("a write must be refused")
	}
	if ok, _, gone, err := c.ExistsW("/mesos/json.info_0000000002"); ok || err != nil {
		t.Errorf("exists %t, %v", ok, err)
	} else {
		defer func() { _ = gone }()
		e.do(t, "/masters/1/kill")
		e.do(t, "/masters/1/start")
		select {
		case ev := <-gone:
			if ev.Type != zk.EventNodeCreated {
				t.Errorf("event %v", ev)
			}
		case <-time.After(patience):
			t.Fatal("no event for the new node")
		}
	}
	if ev := <-changed; ev.Type != zk.EventNodeChildrenChanged {
		t.Errorf("event %v", ev)
	}
	session := c.SessionID()
	e.do(t, "/zookeeper/kill")
	state := func(want zk.State) {
		t.Helper()
		for {
			select {
			case ev := <-events:
				if ev.State == want {
					return
				}
			case <-time.After(patience):
				t.Fatalf("never %v", want)
			}
		}
	}
	state(zk.StateDisconnected)
	e.do(t, "/zookeeper/start")
	state(zk.StateHasSession)
	if got := c.SessionID(); got != session {
		t.Errorf("session %d, want %d", got, session)
	}
}
