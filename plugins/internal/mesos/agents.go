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
	"fmt"
	"io"
	"net/http"
)

// Agent is one agent that the master knows, whether it offers us anything or not.
type Agent struct {
	ID, Hostname string
	// Active is false for agents that are disconnected, deactivated or draining:
	// they make no offers.
	Active bool
}

// agentsPath lists the agents (master http.cpp Master::Http::slaves). It answers
// like every read, in the readonly realm: credentials that may subscribe need not
// be enough for it.
const agentsPath = "/slaves"

// Agents lists the agents registered with the master that holds the
// subscription. The answer of a big cluster is big (some 2 KB of JSON for each
// agent): ask seldom. The error is ErrNotSubscribed, a *CallError or the context's.
func (s *Session) Agents(ctx context.Context) ([]Agent, error) {
	s.mu.Lock()
	sub := s.current
	s.mu.Unlock()
	if sub == nil {
		return nil, ErrNotSubscribed
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	req, err := s.request(ctx, sub, nil)
	if err != nil {
		return nil, err
	}
	req.Method, req.Body, req.ContentLength = http.MethodGet, nil, 0
	req.URL.Path = agentsPath
	req.Header.Del("Content-Type")
	req.Header.Del(headerStreamID)
	req.Header.Set("Accept", "application/json")
	resp, err := s.transport.RoundTrip(req)
	if err != nil {
		return nil, &CallError{Type: "GET " + agentsPath, Err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, &CallError{Type: "GET " + agentsPath, Status: resp.StatusCode, Body: readText(resp.Body)}
	}
	var answer struct {
		Slaves []struct {
			ID       string `json:"id"`
			Hostname string `json:"hostname"`
			Active   bool   `json:"active"`
		} `json:"slaves"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, s.cfg.MaxRecordBytes)).Decode(&answer); err != nil {
		return nil, fmt.Errorf("the master's list of agents cannot be read: %w", err)
	}
	agents := make([]Agent, 0, len(answer.Slaves))
	for _, a := range answer.Slaves {
		agents = append(agents, Agent{ID: a.ID, Hostname: a.Hostname, Active: a.Active})
	}
	return agents, nil
}
