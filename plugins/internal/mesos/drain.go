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

package mesos

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// AgentDrain is the drain of an agent: it makes no offers, its tasks are killed, and
// when all their ends are acknowledged it is drained. It stays so until it is
// reactivated.
type AgentDrain struct {
	// State is DrainStateDraining or DrainStateDrained.
	State string
	// MaxGrace bounds the grace of the kills; nil if each task's own counts.
	MaxGrace *time.Duration
	// MarkGone tells that the agent is gone for good when it is drained.
	MarkGone bool
	// Started is about when it began, to the second.
	Started time.Time
}

// The states of a drain (v1/mesos.proto DrainState).
const (
	DrainStateDraining = "DRAINING"
	DrainStateDrained  = "DRAINED"
)

// drainJSON is a DrainInfo as the master lists it.
type drainJSON struct {
	State  string `json:"state"`
	Config struct {
		MaxGrace *struct {
			Nanoseconds int64 `json:"nanoseconds"`
		} `json:"max_grace_period"`
		MarkGone bool `json:"mark_gone"`
	} `json:"config"`
}

func (d *drainJSON) drain(started int64) *AgentDrain {
	if d == nil {
		return nil
	}
	drain := &AgentDrain{State: d.State, MarkGone: d.Config.MarkGone}
	if grace := d.Config.MaxGrace; grace != nil {
		t := time.Duration(max(0, grace.Nanoseconds))
		drain.MaxGrace = &t
	}
	if started > 0 {
		drain.Started = time.Unix(started, 0)
	}
	return drain
}

const (
	drainAgent      = "DRAIN_AGENT"
	deactivateAgent = "DEACTIVATE_AGENT"
	reactivateAgent = "REACTIVATE_AGENT"
)

// onAgent is an operator call that concerns one agent, with its only member named as
// the type is.
type onAgent struct {
	Type       string     `json:"type"`
	Drain      *agentCall `json:"drain_agent,omitempty"`
	Deactivate *agentCall `json:"deactivate_agent,omitempty"`
	Reactivate *agentCall `json:"reactivate_agent,omitempty"`
}

type agentCall struct {
	AgentID struct {
		Value string `json:"value"`
	} `json:"agent_id"`
	// MaxGrace is a google.protobuf.Duration, the only one in this API. A master takes
	// the form of the others as 0 without a word.
	MaxGrace *protoDuration `json:"max_grace_period,omitempty"`
	MarkGone bool           `json:"mark_gone,omitempty"`
}

type protoDuration struct {
	Seconds int64 `json:"seconds"`
	Nanos   int64 `json:"nanos"`
}

// DrainAgent kills all tasks of an agent, those of other frameworks too, and keeps it
// from being offered until it is reactivated; maxGrace bounds the time that the tasks
// have to end, 0 and less leave each its own. markGone makes the agent unable to return. The
// master refuses agents that it does not know or that are in a maintenance schedule.
// Draining an agent that drains already is fine. The error is ErrNotSubscribed, a
// *CallError with the master's text (with ErrNotAllowed, if our principal may not), or
// the context's.
func (s *Session) DrainAgent(ctx context.Context, agentID string, maxGrace time.Duration, markGone bool) error {
	c := &agentCall{MarkGone: markGone}
	if maxGrace > 0 {
		c.MaxGrace = &protoDuration{Seconds: int64(maxGrace / time.Second), Nanos: int64(maxGrace % time.Second)}
	}
	return s.callAgent(ctx, agentID, c, onAgent{Type: drainAgent, Drain: c})
}

// DeactivateAgent keeps an agent from being offered to any framework until it is
// reactivated; its tasks go on. Errors are as of DrainAgent.
func (s *Session) DeactivateAgent(ctx context.Context, agentID string) error {
	c := &agentCall{}
	return s.callAgent(ctx, agentID, c, onAgent{Type: deactivateAgent, Deactivate: c})
}

// ReactivateAgent ends what DeactivateAgent and DrainAgent began. The master refuses
// while the agent still drains, and for an agent that is not deactivated. Errors are as
// of DrainAgent.
func (s *Session) ReactivateAgent(ctx context.Context, agentID string) error {
	c := &agentCall{}
	return s.callAgent(ctx, agentID, c, onAgent{Type: reactivateAgent, Reactivate: c})
}

func (s *Session) callAgent(ctx context.Context, agentID string, c *agentCall, body onAgent) error {
	if agentID == "" {
		return &CallError{Type: body.Type, Err: errors.New("which agent? its id is empty")}
	}
	c.AgentID.Value = agentID
	return s.operate(ctx, operation{name: body.Type, method: http.MethodPost, path: operatorPath, body: body})
}
