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
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Agent is one agent that the master knows, whether it offers us anything or not.
type Agent struct {
	ID, Hostname string
	// Active is false for agents that are disconnected, deactivated or draining:
	// they make no offers.
	Active bool
	// Attributes by name, as text: numbers as the master writes them, ranges and
	// sets in Mesos' text form.
	Attributes map[string]string
	// Total is all that the agent has for frameworks: reserved or not, in use or not.
	Total resources.Vector
	// Region and Zone are the agent's fault domain, "" for none.
	Region, Zone string
}

// agentsPath lists the agents (master http.cpp Master::Http::slaves). It answers
// like every read, in the readonly realm: credentials that may subscribe need not
// be enough for it.
const agentsPath = "/slaves"

// getAgents is the name of that request in errors and metrics.
const getAgents = "GET " + agentsPath

// Agents lists the agents registered with the master that holds the
// subscription. The answer of a big cluster is big (some 2 KB of JSON for each
// agent): ask seldom. A refusal says nothing about the subscription, which goes
// on. The error is ErrNotSubscribed, a *CallError or the context's.
func (s *Session) Agents(ctx context.Context) ([]Agent, error) {
	sub, err := s.begin()
	if err != nil {
		return nil, err
	}
	defer s.inflight.Done()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	started := time.Now()
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	defer context.AfterFunc(sub.ctx, cancel)()
	agents, status, err := s.fetchAgents(ctx, sub)
	if err == nil {
		s.observeCall(getAgents, strconv.Itoa(status), started)
		return agents, nil
	}
	if sub.ctx.Err() != nil {
		err = context.Cause(sub.ctx)
	}
	var refusal *CallError
	if errors.As(err, &refusal) && refusal.Type == getAgents {
		s.observeCall(getAgents, strconv.Itoa(refusal.Status), started)
		return nil, refusal
	}
	s.observeCall(getAgents, failureName(err), started)
	// A read changes nothing, so its outcome is never in doubt: Sent stays false.
	return nil, &CallError{Type: getAgents, Err: err}
}

// fetchAgents asks for the list and reads it.
func (s *Session) fetchAgents(ctx context.Context, sub *subscription) ([]Agent, int, error) {
	url := strings.TrimSuffix(sub.endpoint, schedulerPath) + agentsPath
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Accept", "application/json")
	if err := s.authorize(req); err != nil {
		return nil, 0, err
	}
	resp, err := s.transport.RoundTrip(req)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, 0, &CallError{Type: getAgents, Status: resp.StatusCode, Body: readText(resp.Body), Sent: true}
	}
	var answer struct {
		Slaves []agentJSON `json:"slaves"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, s.cfg.MaxRecordBytes)).Decode(&answer); err != nil {
		return nil, 0, fmt.Errorf("the master's list of agents cannot be read: %w", err)
	}
	agents := make([]Agent, 0, len(answer.Slaves))
	for _, a := range answer.Slaves {
		agents = append(agents, a.agent())
	}
	return agents, resp.StatusCode, nil
}

// agentJSON is an agent as the master lists it (common/http.cpp model(SlaveInfo)).
type agentJSON struct {
	ID         string                     `json:"id"`
	Hostname   string                     `json:"hostname"`
	Active     bool                       `json:"active"`
	Attributes map[string]json.RawMessage `json:"attributes"`
	Resources  map[string]json.RawMessage `json:"resources"`
	Domain     struct {
		FaultDomain struct {
			Region, Zone struct {
				Name string `json:"name"`
			}
		} `json:"fault_domain"`
	} `json:"domain"`
}

func (a *agentJSON) agent() Agent {
	agent := Agent{
		ID: a.ID, Hostname: a.Hostname, Active: a.Active,
		Region: a.Domain.FaultDomain.Region.Name, Zone: a.Domain.FaultDomain.Zone.Name,
	}
	for name, value := range a.Resources {
		var amount float64
		if kind, ok := resources.KindOfMesos(name); ok && json.Unmarshal(value, &amount) == nil {
			agent.Total[kind], _ = resources.FromMesosScalar(amount) // what is no amount is nothing
		}
	}
	for name, value := range a.Attributes {
		if agent.Attributes == nil {
			agent.Attributes = map[string]string{}
		}
		agent.Attributes[name] = attributeText(value)
	}
	return agent
}

// attributeText is a string's content, and anything else as it stands: a number.
func attributeText(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}
