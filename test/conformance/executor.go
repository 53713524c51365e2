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

package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/agent"
	"github.com/kube-mesos/kube-mesos/test/recordings"
)

// The lines executor_* are what executor processes saw and did, by their own
// account. The replay plays the processes: it starts none, but subscribes, sends
// what they sent and ends when they ended.

// executorLine has the members of such a line that others have not.
type executorLine struct {
	// AtMillis is when it happened; the lines were written later.
	AtMillis float64           `json:"at_ms"`
	PID      int               `json:"pid"`
	Env      map[string]string `json:"env"`
	Cwd      string            `json:"cwd"`
	Code     int               `json:"code"`
	Response string            `json:"response"`
}

func parseExecutorLine(l *recordings.Line) *executorLine {
	x := &executorLine{}
	if err := json.Unmarshal(l.Raw, x); err != nil {
		return &executorLine{AtMillis: l.Millis} // its members are then missed
	}
	return x
}

// processes are the executors that the emulated agents want to run.
type processes struct {
	mu      sync.Mutex
	started []*process
	// dying is how long a killed process of an executor takes to be gone.
	dying func(executor string) time.Duration
}

// process is one of them.
type process struct {
	host    string
	spec    *agent.Process
	exited  func(status int32, err error)
	claimed bool // by a recorded process
	conn    *conn
	over    bool
}

// sigkill is the raw wait status of a killed process.
const sigkill = 9

// Start implements mesosmaster.Executors.
func (p *processes) Start(host string, spec *agent.Process, exited func(int32, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.started = append(p.started, &process{host: host, spec: spec, exited: exited})
}

// Kill implements mesosmaster.Executors.
func (p *processes) Kill(host, containerID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.started {
		if x.host == host && x.spec.ContainerID == containerID && !x.over {
			x.over = true
			go func() { // not with the emulator's lock held
				time.Sleep(p.dying(x.spec.ExecutorID))
				x.exited(sigkill, nil)
				x.cut()
			}()
		}
	}
}

// cut closes what the process read, as its end does.
func (x *process) cut() {
	if x.conn != nil {
		x.conn.cut()
	}
}

// claim finds the newest process of an executor that no recorded one is yet.
func (p *processes) claim(framework, executor string) *process {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.started) - 1; i >= 0; i-- {
		x := p.started[i]
		if !x.claimed && x.spec.ExecutorID == executor && x.spec.FrameworkID == framework {
			x.claimed = true
			return x
		}
	}
	return nil
}

// end lets a process end.
func (p *processes) end(x *process, status int32) {
	p.mu.Lock()
	over := x.over
	x.over = true
	p.mu.Unlock()
	if !over {
		x.exited(status, nil)
		x.cut()
	}
	synctest.Wait()
}

// endOf ends the running processes of an executor.
func (p *processes) endOf(executor string, status int32) int {
	p.mu.Lock()
	var found []*process
	for _, x := range p.started {
		if x.spec.ExecutorID == executor && !x.over {
			found = append(found, x)
		}
	}
	p.mu.Unlock()
	for _, x := range found {
		p.end(x, status)
	}
	return len(found)
}

// executorStep plays or compares one line of an executor.
func (r *replay) executorStep(l *line) {
	switch l.Kind {
	case "executor_env":
		r.report.Compared["executors' environments"]++
		r.executorEnv(l)
	case "executor_subscribe", "executor_call":
		r.report.Driven["executors' calls"]++
		r.report.Compared["responses to executors"]++
		r.executorCall(l)
	case "executor_event":
		r.report.Compared["executors' events"]++
		r.expect(l)
	case "executor_eof":
		r.report.Compared["stream ends"]++
		r.expectEnd(l)
	case "executor_connect":
		r.report.Compared["responses to executors"]++
		if a := r.send(r.master.Transport(), l.Conn, http.MethodPost, r.agentURL(l), jsonHeaders, []byte("{}")); a.err == nil {
			r.report.add(l.Number, l.Kind, "recorded no connection, emulated %d", a.status)
		}
	case "executor_shutdown", "executor_giving up":
		r.report.Driven["deeds"]++
		r.executorEnd(l, 0)
	case "executor_crash":
		r.report.Driven["deeds"]++
		const exitCode = 8 // bits above the signal in a wait status
		r.executorEnd(l, int32(l.executor.Code)<<exitCode)
	default:
		r.report.LeftOut["executors' remarks"]++
	}
}

var jsonHeaders = map[string]string{"Content-Type": "application/json", "Accept": "application/json"}

// shellMade are variables that the shell of a recorded process set, not its agent.
var shellMade = map[string]bool{"LC_CTYPE": true, "PWD": true, "PATH": true, "SHLVL": true, "_": true, "OLDPWD": true}

// sandbox matches the directory in which an executor runs.
var sandbox = regexp.MustCompile(`/frameworks/([^/]+)/executors/([^/]+)/runs/`)

func (r *replay) executorEnv(l *line) {
	x := l.executor
	var id, framework string
	if m := sandbox.FindStringSubmatch(x.Cwd); m != nil {
		framework, id = r.ids.translate(m[1]), m[2]
	}
	p := r.outside.claim(framework, id)
	if p == nil {
		r.report.add(l.Number, l.Kind, "no process of executor %s was started", id)
		return
	}
	r.running[x.PID] = p
	c := &comparison{ids: r.ids}
	c.tree("cwd", "", any(x.Cwd), any(p.spec.Directory))
	want, got := map[string]any{}, map[string]any{}
	for k, v := range x.Env {
		if !shellMade[k] {
			want[k] = v
		}
	}
	for k, v := range p.spec.Environment {
		if !shellMade[k] {
			got[k] = v
		}
	}
	if x.Env != nil {
		c.tree("env", "", want, got)
	}
	for _, d := range c.diffs {
		r.report.add(l.Number, l.Kind+" "+id, "%s", d)
	}
}

// agentURL is where a recorded process finds its agent.
func (r *replay) agentURL(l *line) string {
	address := "127.0.0.1:0"
	if p := r.running[l.executor.PID]; p != nil {
		address = p.spec.Environment["MESOS_AGENT_ENDPOINT"]
	}
	return "http://" + address + "/api/v1/executor"
}

// executorCall sends a call of an executor and compares the answer, which is in
// the same line.
func (r *replay) executorCall(l *line) {
	what := strings.TrimSpace(l.Kind + " " + l.callType())
	if id := memberText(l.body, "update", "status", "uuid"); id != "" {
		if err := r.ids.pair("bytes", id, id); err != nil { // chosen by the executor
			r.report.add(l.Number, what, "uuid: %v", err)
		}
	}
	a := r.send(r.master.Transport(), l.Conn, http.MethodPost, r.agentURL(l), jsonHeaders, r.payload(l))
	synctest.Wait()
	if p := r.running[l.executor.PID]; p != nil && a.stream {
		p.conn = r.conns[l.Conn]
	}
	switch {
	case a.err != nil && l.Status != 0:
		r.report.add(l.Number, what, "recorded %d, emulated %v", l.Status, a.err)
	case a.err != nil:
	case a.status != l.Status || string(a.body) != l.executor.Response && !a.stream:
		r.report.add(l.Number, what, "recorded %d %q, emulated %d %q", l.Status, l.executor.Response, a.status, a.body)
	case a.stream:
		delete(l.Headers, "Date")
		r.compareHeaders(l, a, func(format string, args ...any) { r.report.add(l.Number, what, "%s", fmt.Sprintf(format, args...)) })
	}
}

// executorEnd ends a process and closes its stream, as its end does.
func (r *replay) executorEnd(l *line, status int32) {
	p := r.running[l.executor.PID]
	if p == nil {
		r.report.add(l.Number, l.Kind, "process %d was never started", l.executor.PID)
		return
	}
	r.outside.end(p, status)
}

// executorsAt moves executors' lines to when they happened. A call was written down
// when it was answered; it was made before the master told of its update, and after
// what its process wrote down before.
func executorsAt(lines []*line) {
	const ago = 0.3 // milliseconds
	told := map[string]float64{}
	for _, l := range lines {
		id := memberText(l.event, "update", "status", "uuid")
		if id == "" {
			id = memberText(l.event, "message", "data")
		}
		if _, ok := told[id]; id != "" && l.Kind == "event" && !ok {
			told[id] = l.Millis
		}
	}
	before := map[int]float64{}
	for _, l := range lines {
		if !strings.HasPrefix(l.Kind, "executor_") {
			continue
		}
		x := parseExecutorLine(l.Line)
		l.executor, l.collected = x, l.Millis
		l.Conn = fmt.Sprintf("executor process %d", x.PID)
		l.Millis = x.AtMillis
		id := memberText(l.body, "update", "status", "uuid")
		if id == "" {
			id = memberText(l.body, "message", "data")
		}
		if at, ok := told[id]; ok && id != "" {
			l.Millis = max(before[x.PID], min(l.Millis, at)-ago)
		}
		before[x.PID] = l.Millis
	}
}
