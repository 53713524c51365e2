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

package recorded

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/test/recordings/wire"
)

// goodAnswer is what we ask of our answers to inverse offers: without filters the next
// one follows after 5 s.
func goodAnswer(answer protoreflect.Message) string {
	if len(wire.List(answer, "inverse_offer_ids")) == 0 {
		return "an answer to no inverse offer"
	}
	if filters := wire.Sub(answer, "filters"); filters == nil {
		return "no filters"
	}
	return ""
}

// upkeep is what an operator was recorded doing to an agent.
type upkeep struct {
	at    time.Duration
	agent string
	// off and drain are how the agent is from then on.
	off   bool
	drain *mesos.AgentDrain
}

// recordedUpkeep reads the operator calls of a recording that were answered 200.
func recordedUpkeep(t testing.TB, name string) (out []upkeep) {
	t.Helper()
	type onAgent struct {
		AgentID struct{ Value string }          `json:"agent_id"`
		Grace   *struct{ Seconds, Nanos int64 } `json:"max_grace_period"`
		Gone    bool                            `json:"mark_gone"`
	}
	calls := map[int]upkeep{}
	for _, l := range read(t, name) {
		if done, ok := calls[l.N]; l.Action == "operator response" && l.Status == 200 && ok {
			done.at = l.At()
			out = append(out, done)
		}
		if l.Action != "operator call" {
			continue
		}
		var body struct {
			Type       string
			Drain      *onAgent `json:"drain_agent"`
			Deactivate *onAgent `json:"deactivate_agent"`
			Reactivate *onAgent `json:"reactivate_agent"`
		}
		if json.Unmarshal(l.Body, &body) != nil {
			continue
		}
		switch {
		case body.Drain != nil:
			d := &mesos.AgentDrain{State: mesos.DrainStateDraining, MarkGone: body.Drain.Gone}
			if g := body.Drain.Grace; g != nil {
				grace := time.Duration(g.Seconds)*time.Second + time.Duration(g.Nanos)
				d.MaxGrace = &grace
			}
			calls[l.N] = upkeep{agent: body.Drain.AgentID.Value, off: true, drain: d}
		case body.Deactivate != nil:
			calls[l.N] = upkeep{agent: body.Deactivate.AgentID.Value, off: true}
		case body.Reactivate != nil:
			calls[l.N] = upkeep{agent: body.Reactivate.AgentID.Value}
		}
	}
	return out
}

// listed are the agents of a life as its master would list them: those of its offers, as
// its operator was recorded treating them.
type listed struct {
	w    *world
	done []upkeep
}

// Agents implements lifecycle.Agents.
func (a listed) Agents(context.Context) ([]mesos.Agent, error) {
	m := a.w.master
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.live
	if p == nil {
		return nil, mesos.ErrNotSubscribed
	}
	past := func(at time.Duration) bool { return !time.Now().Before(p.opened.Add(p.stream.lived(at))) }
	var list []mesos.Agent
	index := map[string]int{}
	for _, f := range p.stream.frames {
		if !past(f.at) {
			break
		}
		if f.kind() == "FAILURE" && wire.Text(f.event, "failure", "executor_id", "value") == "" {
			delete(index, wire.Text(f.event, "failure", "agent_id", "value"))
		}
		if f.kind() != "OFFERS" {
			continue
		}
		for _, o := range wire.List(wire.Sub(f.event, "offers"), "offers") {
			id := wire.Text(o, "agent_id", "value")
			if _, known := index[id]; !known {
				index[id] = len(list)
				list = append(list, mesos.Agent{ID: id, Hostname: wire.Text(o, "hostname"), Active: true})
			}
		}
	}
	for _, u := range a.done {
		if i, known := index[u.agent]; known && past(u.at) {
			list[i].Active, list[i].Deactivated, list[i].Drain = !u.off, u.off, u.drain
		}
	}
	out := list[:0]
	for i, agent := range list {
		if at, known := index[agent.ID]; known && at == i {
			out = append(out, agent)
		}
	}
	return out, nil
}
