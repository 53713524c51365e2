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
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Agent is one agent that the master knows, whether it offers us anything or not.
type Agent struct {
	ID, Hostname string
	// IP is the address that the agent registered from, by which maintenance schedules
	// name it beside its hostname; "" if the master does not tell.
	IP string
	// Active is false for agents that are disconnected, deactivated or draining:
	// they make no offers.
	Active bool
	// Deactivated is true for those that an operator deactivated or drains; Drain tells
	// of the drain, nil for none.
	Deactivated bool
	Drain       *AgentDrain
	// Recovered is true for one that the master knows from its registry only, because it
	// has not come back since the master's start: it is not active, and the master tells
	// only its name, attributes and fault domain.
	Recovered bool
	// Attributes by name, as text: numbers as the master writes them, ranges and
	// sets in Mesos' text form. Of several with one name the first counts, as it does
	// for offer constraints (Mesos offer_constraints_filter.cpp).
	Attributes map[string]string
	// NotText are the attributes that are, or may be, of another type than TEXT.
	NotText []string
	// Total is all that the agent has for frameworks: reserved or not, in use or not.
	Total resources.Vector
	// Reserved is all of Total that is reserved, by flavour, in use or not; Used is
	// what tasks and executors hold of it. The same is left out as in offers.
	Reserved []AgentReservation
	Used     []resources.Portion
	// Region and Zone are the agent's fault domain, "" for none.
	Region, Zone string
}

// AgentReservation is what an agent has of one flavour of reserved resources.
type AgentReservation struct {
	// Role is for whom it is reserved: that of the deciding reservation.
	Role    string
	Flavour *resources.Flavour
	Bundle  resources.Bundle
}

// agentsPath lists the agents (master http.cpp Master::Http::slaves). It answers
// like every read, in the readonly realm: credentials that may subscribe need not
// be enough for it.
const agentsPath = "/slaves"

// getAgents is the name of that request in errors and metrics.
const getAgents = "GET " + agentsPath

// Agents lists the agents registered with the master that holds the subscription, and
// those that it waits for since its start. The answer of a big cluster is big (some 2 KB of JSON for each
// agent): ask seldom. A refusal says nothing about the subscription, which goes
// on. The error is ErrNotSubscribed, a *CallError or the context's.
func (s *Session) Agents(ctx context.Context) ([]Agent, error) {
	var answer struct {
		Slaves    []agentJSON `json:"slaves"`
		Recovered []agentJSON `json:"recovered_slaves"`
	}
	if err := s.operate(ctx, operation{name: getAgents, method: http.MethodGet, path: agentsPath, into: &answer}); err != nil {
		return nil, err
	}
	flavours := newMemo(maxFlavours, parseFlavour)
	agents := make([]Agent, 0, len(answer.Slaves)+len(answer.Recovered))
	for _, a := range answer.Slaves {
		agents = append(agents, a.agent(flavours))
	}
	for _, a := range answer.Recovered {
		back := a.agent(flavours)
		back.Active, back.Recovered = false, true
		agents = append(agents, back)
	}
	return agents, nil
}

// agentJSON is an agent as the master lists it (common/http.cpp model(SlaveInfo)).
type agentJSON struct {
	ID         string                     `json:"id"`
	Hostname   string                     `json:"hostname"`
	PID        string                     `json:"pid"`
	Active     bool                       `json:"active"`
	Attributes firstValues                `json:"attributes"`
	Resources  map[string]json.RawMessage `json:"resources"`
	Reserved   map[string][]resourceJSON  `json:"reserved_resources_full"`
	Used       []resourceJSON             `json:"used_resources_full"`
	Off        bool                       `json:"deactivated"`
	Drain      *drainJSON                 `json:"drain_info"`
	DrainSince int64                      `json:"estimated_drain_start_time_seconds"`
	Domain     struct {
		FaultDomain struct {
			Region, Zone struct {
				Name string `json:"name"`
			}
		} `json:"fault_domain"`
	} `json:"domain"`
}

func (a *agentJSON) agent(flavours *memo[*resources.Flavour]) Agent {
	agent := Agent{
		ID: a.ID, Hostname: a.Hostname, IP: addressOf(a.PID), Active: a.Active, Deactivated: a.Off, Drain: a.Drain.drain(a.DrainSince),
		Region: a.Domain.FaultDomain.Region.Name, Zone: a.Domain.FaultDomain.Zone.Name,
	}
	for name, value := range a.Resources {
		var amount float64
		if kind, ok := resources.KindOfMesos(name); ok && json.Unmarshal(value, &amount) == nil {
			agent.Total[kind], _ = resources.FromMesosScalar(amount) // what is no amount is nothing
		}
	}
	for _, role := range slices.Sorted(maps.Keys(a.Reserved)) {
		for _, p := range reservedPortions(a.Reserved[role], flavours) {
			agent.Reserved = append(agent.Reserved, AgentReservation{Role: p.Flavour.Reserved().Role, Flavour: p.Flavour, Bundle: p.Bundle})
		}
	}
	agent.Used = reservedPortions(a.Used, flavours)
	for _, name := range slices.Sorted(maps.Keys(a.Attributes)) {
		if agent.Attributes == nil {
			agent.Attributes = map[string]string{}
		}
		text, isText := attributeText(a.Attributes[name])
		agent.Attributes[name] = text
		if !isText {
			agent.NotText = append(agent.NotText, name)
		}
	}
	return agent
}

// addressOf is the IP address in a libprocess PID, "slave(1)@127.0.0.1:5051".
func addressOf(pid string) string {
	_, address, _ := strings.Cut(pid, "@")
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	return host
}

// firstValues is a JSON object of which the first of equal names counts: a master
// writes an attribute as often as the agent has it.
type firstValues map[string]json.RawMessage

// UnmarshalJSON implements json.Unmarshaler.
func (v *firstValues) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if start, err := d.Token(); err != nil || start == nil {
		return err
	} else if start != json.Delim('{') {
		return fmt.Errorf("attributes are no object but begin with %v", start)
	}
	*v = firstValues{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		// Between the braces of an object a name is a string.
		if name, ok := name.(string); ok && (*v)[name] == nil {
			(*v)[name] = value
		}
	}
	return nil
}

// attributeText is a string's content, and anything else as it stands: a number.
// Ranges and sets come as strings, too, in brackets or braces: those may be no text.
func attributeText(value json.RawMessage) (text string, isText bool) {
	if json.Unmarshal(value, &text) == nil {
		return text, !strings.HasPrefix(text, "[") && !strings.HasPrefix(text, "{")
	}
	return string(value), false
}
