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
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing/synctest"
	"time"
)

// admin does what the recordings' operator did.
func (r *replay) admin(i int, l *line) error {
	switch l.Action {
	case "start cluster":
		r.report.Driven["deeds"]++
		return r.startCluster(i, l)
	case "operator call":
		r.report.Driven["operator calls"]++
		r.operatorCall(l)
		return nil
	case "operator response":
		r.compareResponse(l)
		return nil
	case "signal", "start process":
		r.report.Driven["deeds"]++
		return r.process(i, l)
	case "znode":
		r.compareNode(l)
		return nil
	case "SIGSTOP of the mesos-executor of task cmdstop":
		r.report.Driven["deeds"]++
		return r.master.FreezeExecutor("node-1", "cmdstop", true)
	case "executor x5 killed":
		r.report.Driven["deeds"]++
		if n := r.outside.endOf("x5", sigkill); n != 1 {
			r.report.add(l.Number, "admin", "%d processes of executor x5 run, want 1", n)
		}
		synctest.Wait()
		return nil
	case "all executor and task processes of agent2 killed":
		r.report.Driven["deeds"]++
		return r.master.CrashHost("node-2")
	}
	r.report.LeftOut["deeds the replay cannot do: "+l.Action]++
	r.report.add(l.Number, "admin", "the replay cannot do: %s", l.Action)
	return nil
}

// A recorded master process refused connections, then answered 404, then 503; its
// probes leave a few milliseconds of choice.
const (
	bootTime     = 100 * time.Millisecond
	routeTime    = 12 * time.Millisecond
	recoveryTime = 25 * time.Millisecond
)

// startCluster ends the emulator and starts a new one.
func (r *replay) startCluster(i int, l *line) error {
	c, err := parseCluster(l.Line)
	if err != nil {
		return err
	}
	if r.master != nil {
		r.await()
		r.master.Close()
	}
	clear(r.conns)
	r.ready = l.At()
	r.knobs, r.agentArgs = c.knobs, l.AgentArgs
	c.cfg.Shuffle, c.cfg.Seed = r.shuffle, int64(l.Number)
	c.cfg.Latency, c.cfg.OwnExecutors, c.cfg.Executors = r.latency, true, r.outside
	c.cfg.BootTime, c.cfg.RouteTime, c.cfg.RecoveryTime = bootTime, routeTime, recoveryTime
	r.auth, r.base = c.auth, fmt.Sprintf("http://%s:%d", c.cfg.Hostname, c.cfg.Port)
	c.cfg.LaunchDelay, c.cfg.KillDelay = 20*time.Millisecond, 20*time.Millisecond
	for _, a := range c.cfg.Agents {
		r.estimates, r.corrections = a.OversubscribedInterval, a.QoSInterval
	}
	if err := r.startMasters(l, c); err != nil {
		return err
	}
	r.hosts = nil
	for _, a := range c.cfg.Agents {
		r.hosts = append(r.hosts, a.Hostname)
	}
	r.interval = c.cfg.AllocationInterval
	if r.interval == 0 {
		r.interval = time.Second
	}
	for _, a := range c.cfg.Agents {
		if err := r.master.SetLoad(a.Hostname, 1); err != nil {
			return err
		}
	}
	synctest.Wait() // the agents are registered, and a run without frameworks is over
	r.schedule(i)
	return nil
}

// schedule finds the ticks of the life of the master that begins at line i.
func (r *replay) schedule(i int) {
	end := i + 1
	for end < len(r.lines) && !r.lines[end].startsMaster() {
		end++
	}
	life := r.lines[i:end]
	last := life[len(life)-1].At() + time.Minute
	r.ticks = nil
	for _, t := range tickSchedule(tickAnchors(life, r.interval), r.interval, life[0].At(), last) {
		r.ticks = append(r.ticks, r.start.Add(t-time.Millisecond))
	}
	now := time.Now()
	for len(r.ticks) > 0 && !r.ticks[0].After(now) {
		r.ticks = r.ticks[1:]
	}
	if len(r.ticks) > 0 {
		r.master.AlignTicks(r.ticks[0])
	}
}

// operatorCall sends a call of the operator.
func (r *replay) operatorCall(l *line) {
	body := r.payload(l)
	header := map[string]string{"Accept": "application/json"}
	if body != nil {
		header["Content-Type"] = "application/json"
	}
	if r.auth && !r.refused(l) {
		header["Authorization"] = credentials("Basic base64(ops:ops-secret)")
	}
	r.answers[l] = r.send(r.transport(l), l.Conn, l.Method, r.baseOf(l)+r.ids.translate(l.Path), header, body)
	synctest.Wait()
}

// refused tells whether the answer to a call was a 401: then it had no
// credentials, which the recording does not show of the operator's calls.
func (r *replay) refused(call *line) bool {
	for _, l := range r.lines[call.pos+1:] {
		if l.call == call {
			return l.Status == http.StatusUnauthorized
		}
	}
	return false
}

// client stops, continues or kills the reader of a stream.
func (r *replay) client(l *line) {
	c := r.conns[strings.TrimPrefix(l.Process, "client ")]
	switch {
	case c == nil:
		r.report.add(l.Number, "admin", "%s has no stream", l.Process)
	case l.Signal == "SIGSTOP":
		c.pause()
	case l.Signal == "SIGCONT":
		c.resume()
	case l.Signal == "SIGKILL":
		c.unread = true
		c.cut()
	}
	synctest.Wait()
}

// process starts, stops or kills a process.
func (r *replay) process(i int, l *line) error {
	switch {
	case r.isMaster(l):
		return r.ensembleProcess(l)
	case l.Process == "master" && l.Action == "start process":
		if err := r.master.StartAgain(); err != nil {
			return err
		}
		synctest.Wait()
		r.schedule(i)
		return nil
	case l.Process == "master" && (l.Signal == "SIGKILL" || l.Signal == "SIGTERM"):
		r.master.Stop()
		synctest.Wait()
		return nil
	case strings.HasPrefix(l.Process, "client "):
		r.client(l)
		return nil
	case strings.HasPrefix(l.Process, "agent"):
		return r.agentProcess(l, "node-"+strings.TrimPrefix(l.Process, "agent"))
	}
	r.report.add(l.Number, "admin", "the replay cannot do: %s %s %s", l.Action, l.Process, l.Signal)
	return nil
}

// changeEstimate gives an agent that is started again the estimate a note told.
func (r *replay) changeEstimate(host string) error {
	if r.estimate == "" {
		return nil
	}
	estimate := r.estimate
	r.estimate = ""
	return r.master.SetEstimate(host, estimate)
}

// replaces tells whether an agent starts without what the one before it knew.
func replaces(flags []string) bool {
	return slices.ContainsFunc(flags, func(f string) bool { return strings.HasPrefix(f, "--work_dir=") })
}

// replaceAgent starts a new agent, with the flags of the cluster and more.
func (r *replay) replaceAgent(l *line, host string) error {
	n, err := strconv.Atoi(strings.TrimPrefix(host, "node-"))
	if err != nil {
		return err
	}
	k := maps.Clone(r.knobs)
	for _, f := range l.ExtraFlags {
		if res, ok := strings.CutPrefix(f, "--resources="); ok {
			k["RESOURCES_"+strconv.Itoa(n)] = res
		}
	}
	c, err := agentConfig(k, r.agentArgs, n)
	if err != nil {
		return err
	}
	return r.master.ReplaceAgent(c)
}

func (r *replay) agentProcess(l *line, host string) error {
	err := errors.ErrUnsupported
	switch {
	case l.Action == "start process" && replaces(l.ExtraFlags):
		err = r.replaceAgent(l, host)
	case l.Action == "start process":
		if err = r.changeEstimate(host); err == nil {
			err = r.master.ReturnAgent(host)
		}
	case l.Signal == "SIGKILL" || l.Signal == "SIGTERM":
		err = r.master.KillAgent(host)
	case l.Signal == "SIGSTOP":
		err = r.master.PartitionAgent(host)
	case l.Signal == "SIGCONT":
		err = r.master.ReturnAgent(host)
	case l.Signal == "SIGUSR1":
		err = r.master.ShutdownAgent(host)
	}
	if err != nil {
		r.report.add(l.Number, "admin", "%s", fmt.Sprintf("%s %s %s: %v", l.Action, l.Process, l.Signal, err))
	}
	synctest.Wait()
	return nil
}

// untoldDeeds are what the recorder did without a line for it, by the line that
// shows it first: the end of its session.
var untoldDeeds = map[string]map[int]string{
	"09-http-errors": {333: "agents", 334: "master"},
	"26-half-open":   {218: "agents", 220: "master"},
}

// untold does what was done just before a line without being told.
func (r *replay) untold(l *line) {
	what := untoldDeeds[r.name][l.Number]
	if what == "" {
		return
	}
	r.until(r.moment(l))
	r.await()
	r.driver, r.driven = l, time.Now()
	if what == "master" {
		r.master.Stop()
		synctest.Wait()
		return
	}
	for _, host := range r.hosts {
		// One that does not run any more stays as it is.
		_ = r.master.KillAgent(host)
	}
	synctest.Wait()
}
