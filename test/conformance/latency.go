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
	"strings"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/agent"
)

// How long processes take to start and to die, when agents find their master and
// when pings give them up is chance on a real machine. The emulated machines take
// as long as the recorded ones took: the next recorded trace of the step tells.

// traceSlack is how much before the trace of a step the step itself is over.
const traceSlack = 300 * time.Microsecond

// latency answers the agents' question how long a step takes that begins now. It
// reads only what never changes, as it is asked from the emulator's goroutines.
func (r *replay) latency(step agent.Step, subject string) (time.Duration, bool) {
	now := time.Since(r.start)
	var at time.Duration
	var ok bool
	switch step {
	case agent.StepStart:
		at, ok = r.startTrace(now, subject)
	case agent.StepExit, agent.StepSleep:
		at, ok = r.endTrace(now, subject, exited)
	case agent.StepKill:
		at, ok = r.endTrace(now, subject, terminal)
	case agent.StepRegister:
		at, ok = r.registerTrace(now, subject)
	case agent.StepPing:
		at, ok = r.firstTrace(now, func(l *line) bool { return r.showsLoss(l, subject) })
	case agent.StepContainer:
		return r.containerTrace(now, subject, "network_infos")
	case agent.StepProcess:
		return r.containerTrace(now, subject, "executor_pid")
	case agent.StepEstimate:
		return r.phase(now, r.estimates, func(l *line) bool {
			return l.eventType() == "RESCIND" && l.At()-r.causeOf(l) > atOnce // not as anything was done
		})
	case agent.StepCorrect:
		return r.phase(now, r.corrections, func(l *line) bool {
			return memberText(l.event, "update", "status", "reason") == "REASON_CONTAINER_PREEMPTED"
		})
	case agent.StepReap:
		at, ok = r.firstTrace(now, fails(subject))
	case agent.StepExecutor:
		const atOnce = time.Second // one that never registers ends by itself, or not
		at, ok = r.firstTrace(now, fails(subject))
		ok = ok && at-now < atOnce
	}
	if !ok {
		return 0, false
	}
	return max(0, at-now-traceSlack), true
}

// fails matches the FAILURE of an executor, or the end of the task of a command's.
func fails(executor string) func(*line) bool {
	return func(l *line) bool {
		status := member(l.event, "update", "status")
		return memberText(l.event, "failure", "executor_id", "value") == executor ||
			memberText(status, "executor_id", "value") == executor && memberText(status, "task_id", "value") == executor &&
				memberText(status, "source") == "SOURCE_AGENT" && terminal(status)
	}
}

// firstTrace finds the first line at or after a moment that shows something.
func (r *replay) firstTrace(now time.Duration, shows func(*line) bool) (time.Duration, bool) {
	for _, l := range r.lines {
		if l.At() < now {
			continue
		}
		if l.startsMaster() && l.Action == "start cluster" && l.At() > now {
			return 0, false
		}
		if shows(l) {
			return l.At(), true
		}
	}
	return 0, false
}

// statusTrace finds the first status of a task, at or after a moment, that its
// agent made, and when it became so: when the master told, or, where the update
// waited for the acknowledgement of another or for its framework, its own timestamp.
func (r *replay) statusTrace(now time.Duration, task string, wanted func(status any) bool) (any, time.Duration) {
	const waited, sending = 150 * time.Millisecond, 4 * time.Millisecond
	for _, l := range r.lines {
		status := member(l.event, "update", "status")
		if status == nil {
			status = member(l.event, "task_updated", "status") // where only operators were told
		}
		if l.At() < now || memberText(status, "task_id", "value") != task || memberText(status, "uuid") == "" || !wanted(status) {
			continue
		}
		at := l.At()
		if ts, ok := member(status, "timestamp").(float64); ok && r.epoch > 0 {
			if own := time.Duration((ts - r.epoch) * float64(time.Second)); at-own > waited {
				at = own + sending
			}
		}
		return status, at
	}
	return nil, 0
}

// startTrace finds when a task got its first update. One that was killed before
// did not start in time.
func (r *replay) startTrace(now time.Duration, task string) (time.Duration, bool) {
	status, at := r.statusTrace(now, task, func(any) bool { return true })
	if status == nil || at < now {
		return 0, false
	}
	if memberText(status, "reason") == "REASON_TASK_KILLED_DURING_LAUNCH" {
		const later = time.Second
		return at + later, true
	}
	return at, true
}

// containerTrace finds when something of the container of a task was there: at
// once if the first update showed it, else when the task ran.
func (r *replay) containerTrace(now time.Duration, task, what string) (time.Duration, bool) {
	first, at := r.statusTrace(now, task, func(any) bool { return true })
	if first == nil || member(first, "container_status", what) != nil {
		return 0, first != nil
	}
	runs, at := r.statusTrace(at, task, func(status any) bool { return memberText(status, "state") == "TASK_RUNNING" })
	return max(0, at-now-traceSlack), runs != nil
}

// phase finds when something that is done at an interval was done first, by the
// first trace of it.
func (r *replay) phase(now, interval time.Duration, shows func(*line) bool) (time.Duration, bool) {
	at, ok := r.firstTrace(now, shows)
	if !ok || interval <= 0 {
		return 0, false
	}
	return (at - traceSlack - now) % interval, true
}

// causeOf is when the last call or deed before a line was made.
func (r *replay) causeOf(l *line) time.Duration {
	for i := l.pos - 1; i >= 0; i-- {
		if r.lines[i].drives() {
			return r.lines[i].At()
		}
	}
	return 0
}

// endTrace finds when a task ended.
func (r *replay) endTrace(now time.Duration, task string, how func(status any) bool) (time.Duration, bool) {
	status, at := r.statusTrace(now, task, terminal)
	return at, status != nil && at >= now && how(status)
}

func terminal(status any) bool { return terminalStates[memberText(status, "state")] }

// exited tells whether a task ended by itself.
func exited(status any) bool {
	state := memberText(status, "state")
	return memberText(status, "source") == "SOURCE_EXECUTOR" && (state == "TASK_FINISHED" || state == "TASK_FAILED")
}

// registerTrace finds when an agent was registered again. Offers that a call of
// the framework brought show only that it was by then.
func (r *replay) registerTrace(now time.Duration, host string) (time.Duration, bool) {
	const usual = 4 * time.Second
	called := time.Duration(-1)
	for _, l := range r.lines {
		switch {
		case l.At() < now:
		case l.At() > now && l.startsMaster() && l.Action == "start cluster":
			return 0, false
		case l.Kind == "call" && triggers[l.callType()]:
			called = l.done
		case l.Kind == "note" && strings.HasPrefix(l.Text, "agent active again"):
			const poll = 50 * time.Millisecond // the recorder's
			return l.At() - poll, true
		case r.showsAgent(l, host):
			const before = 20 * time.Millisecond // the tick that brought the offers
			byCall := l.eventType() == "OFFERS" && called >= 0 && l.At()-called < atOnce
			return l.At() - before, !byCall || l.At()-now < usual/2
		}
	}
	return 0, false
}

var terminalStates = map[string]bool{
	"TASK_FINISHED": true, "TASK_FAILED": true, "TASK_KILLED": true, "TASK_ERROR": true, "TASK_LOST": true, "TASK_DROPPED": true,
	"TASK_GONE": true, "TASK_GONE_BY_OPERATOR": true,
}

// showsAgent tells whether a line shows that the agent is registered.
func (r *replay) showsAgent(l *line, host string) bool {
	if l.Kind != "event" {
		return false
	}
	for _, o := range offerList(l.event) {
		if memberText(o, "hostname") == host {
			return true
		}
	}
	if memberText(l.event, "agent_added", "agent", "agent_info", "hostname") == host {
		return true
	}
	status := member(l.event, "update", "status")
	if r.hostOf(memberText(status, "agent_id", "value")) != host {
		return false
	}
	return memberText(status, "reason") == "REASON_SLAVE_REREGISTERED" || memberText(status, "reason") == "REASON_AGENT_REREGISTERED" ||
		memberText(status, "uuid") != ""
}

// showsLoss tells whether a line shows that the agent was given up.
func (r *replay) showsLoss(l *line, host string) bool {
	if r.hostOf(memberText(l.event, "failure", "agent_id", "value")) == host && member(l.event, "failure", "executor_id") == nil {
		return true
	}
	status := member(l.event, "update", "status")
	return r.hostOf(memberText(status, "agent_id", "value")) == host && strings.Contains(memberText(status, "message"), "health check timed out")
}

// hostOf is the host name of a recorded agent id, "" if the recording never says.
func (r *replay) hostOf(agentID string) string {
	if agentID == "" {
		return ""
	}
	return r.hostByID[agentID]
}

// hostNames collects the host names of agents by their recorded ids.
func hostNames(lines []*line) map[string]string {
	out := map[string]string{}
	for _, l := range lines {
		for _, o := range offerList(l.event) {
			if id := memberText(o, "agent_id", "value"); id != "" {
				out[id] = memberText(o, "hostname")
			}
		}
	}
	return out
}
