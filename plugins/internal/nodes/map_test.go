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

package nodes

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestHostOf(t *testing.T) {
	tests := []struct{ name, label, want string }{
		{"node-1", "", "node-1"},
		{"node-1", "agent-7.example.com", "agent-7.example.com"},
		{"node-1", "Agent-7.Example.COM", "agent-7.example.com"},
		{"node-1.example.com.", "", "node-1.example.com"},
	}
	for _, tc := range tests {
		node := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: tc.name}}
		if tc.label != "" {
			node.Labels = map[string]string{HostnameLabel: tc.label}
		}
		if got := HostOf(node); got != tc.want {
			t.Errorf("host of %s with label %q is %q, want %q", tc.name, tc.label, got, tc.want)
		}
	}
}

// event is one call of the map and the changes it must return.
type event struct {
	call    func(*Map) []Change
	changes []Change
}

func setNode(name, host string) func(*Map) []Change {
	return func(m *Map) []Change { return m.SetNode(name, host) }
}

func setAgent(id, host string) func(*Map) []Change {
	return func(m *Map) []Change { return m.SetAgent(id, host) }
}

func deleteNode(name string) func(*Map) []Change {
	return func(m *Map) []Change { return m.DeleteNode(name) }
}

func deleteAgent(id string) func(*Map) []Change {
	return func(m *Map) []Change { return m.DeleteAgent(id) }
}

func clearAgents(m *Map) []Change { m.ClearAgents(); return nil }

func TestMap(t *testing.T) {
	is := func(agent, node string) Change { return Change{AgentID: agent, Node: node} }
	tests := []struct {
		name   string
		events []event
		pairs  map[string]string
		counts Counts
		// doubt lists the ambiguous hosts.
		doubt []Ambiguity
	}{
		{"node first", []event{
			{setNode("n", "h"), nil}, {setAgent("a", "h"), []Change{is("a", "n")}},
		}, map[string]string{"a": "n"}, Counts{Nodes: 1, Agents: 1, Pairs: 1}, nil},
		{"agent first", []event{
			{setAgent("a", "h"), nil}, {setNode("n", "h"), []Change{is("a", "n")}},
		}, map[string]string{"a": "n"}, Counts{Nodes: 1, Agents: 1, Pairs: 1}, nil},
		{"case and a trailing dot do not matter", []event{
			{setAgent("a", "Host.Example."), nil}, {setNode("n", "hOST.example"), []Change{is("a", "n")}},
		}, map[string]string{"a": "n"}, Counts{Nodes: 1, Agents: 1, Pairs: 1}, nil},
		{"told again", []event{
			{setNode("n", "h"), nil}, {setAgent("a", "h"), []Change{is("a", "n")}},
			{setNode("n", "H"), nil}, {setAgent("a", "h."), nil},
		}, map[string]string{"a": "n"}, Counts{Nodes: 1, Agents: 1, Pairs: 1}, nil},
		{"different hosts", []event{
			{setNode("n", "h"), nil}, {setAgent("a", "g"), nil},
		}, map[string]string{}, Counts{Nodes: 1, Agents: 1}, nil},
		{"two agents of one host", []event{
			{setNode("n", "h"), nil}, {setAgent("a", "h"), []Change{is("a", "n")}},
			{setAgent("b", "h"), []Change{is("a", "")}},
		}, map[string]string{}, Counts{Nodes: 1, Agents: 2, AmbiguousNodes: 1},
			[]Ambiguity{{"h", []string{"n"}, []string{"a", "b"}}}},
		{"one of two agents leaves", []event{
			{setNode("n", "h"), nil}, {setAgent("a", "h"), []Change{is("a", "n")}},
			{setAgent("b", "h"), []Change{is("a", "")}}, {deleteAgent("a"), []Change{is("b", "n")}},
		}, map[string]string{"b": "n"}, Counts{Nodes: 1, Agents: 1, Pairs: 1}, nil},
		{"two nodes of one host", []event{
			{setAgent("a", "h"), nil}, {setNode("y", "h"), []Change{is("a", "y")}},
			{setNode("x", "h"), []Change{is("a", "")}},
		}, map[string]string{}, Counts{Nodes: 2, Agents: 1, AmbiguousNodes: 2},
			[]Ambiguity{{"h", []string{"x", "y"}, []string{"a"}}}},
		{"two nodes of one host and no agent are not in doubt yet", []event{
			{setNode("y", "h"), nil}, {setNode("x", "h"), nil},
		}, map[string]string{}, Counts{Nodes: 2}, nil},
		{"one of two nodes leaves", []event{
			{setAgent("a", "h"), nil}, {setNode("y", "h"), []Change{is("a", "y")}},
			{setNode("x", "h"), []Change{is("a", "")}}, {deleteNode("y"), []Change{is("a", "x")}},
		}, map[string]string{"a": "x"}, Counts{Nodes: 1, Agents: 1, Pairs: 1}, nil},
		{"a node moves to another host", []event{
			{setAgent("a", "h"), nil}, {setAgent("b", "g"), nil}, {setNode("n", "h"), []Change{is("a", "n")}},
			{setNode("n", "g"), []Change{is("a", ""), is("b", "n")}},
		}, map[string]string{"b": "n"}, Counts{Nodes: 1, Agents: 2, Pairs: 1}, nil},
		{"an agent moves to a host without node", []event{
			{setNode("n", "h"), nil}, {setAgent("a", "h"), []Change{is("a", "n")}},
			{setAgent("a", "g"), []Change{is("a", "")}},
		}, map[string]string{}, Counts{Nodes: 1, Agents: 1}, nil},
		{"an agent moves to another node", []event{
			{setNode("n", "h"), nil}, {setNode("o", "g"), nil}, {setAgent("a", "h"), []Change{is("a", "n")}},
			{setAgent("a", "g"), []Change{is("a", ""), is("a", "o")}},
		}, map[string]string{"a": "o"}, Counts{Nodes: 2, Agents: 1, Pairs: 1}, nil},
		{"an agent moves into doubt", []event{
			{setNode("n", "h"), nil}, {setNode("o", "g"), nil}, {setAgent("a", "h"), []Change{is("a", "n")}},
			{setAgent("b", "g"), []Change{is("b", "o")}}, {setAgent("a", "g"), []Change{is("a", ""), is("b", "")}},
		}, map[string]string{}, Counts{Nodes: 2, Agents: 2, AmbiguousNodes: 1},
			[]Ambiguity{{"g", []string{"o"}, []string{"a", "b"}}}},
		{"the pair's node leaves", []event{
			{setNode("n", "h"), nil}, {setAgent("a", "h"), []Change{is("a", "n")}},
			{deleteNode("n"), []Change{is("a", "")}}, {deleteNode("n"), nil},
		}, map[string]string{}, Counts{Agents: 1}, nil},
		{"the pair's agent leaves", []event{
			{setNode("n", "h"), nil}, {setAgent("a", "h"), []Change{is("a", "n")}},
			{deleteAgent("a"), nil}, {deleteAgent("a"), nil},
		}, map[string]string{}, Counts{Nodes: 1}, nil},
		{"an agent comes back with another id", []event{
			{setNode("n", "h"), nil}, {setAgent("a", "h"), []Change{is("a", "n")}},
			{deleteAgent("a"), nil}, {setAgent("b", "h"), []Change{is("b", "n")}},
		}, map[string]string{"b": "n"}, Counts{Nodes: 1, Agents: 1, Pairs: 1}, nil},
		{"all agents leave", []event{
			{setNode("n", "h"), nil}, {setNode("o", "g"), nil}, {setAgent("a", "h"), []Change{is("a", "n")}},
			{setAgent("b", "g"), []Change{is("b", "o")}}, {setAgent("c", "x"), nil}, {clearAgents, nil},
			{setAgent("c", "h"), []Change{is("c", "n")}},
		}, map[string]string{"c": "n"}, Counts{Nodes: 2, Agents: 1, Pairs: 1}, nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			m := NewMap()
			for i, e := range tc.events {
				if got := e.call(m); !slices.Equal(got, e.changes) {
					t.Fatalf("event %d changed %v, want %v", i, got, e.changes)
				}
			}
			for agent := range m.agents {
				node := m.NodeOf(agent)
				if node != tc.pairs[agent] {
					t.Errorf("agent %s is node %q, want %q", agent, node, tc.pairs[agent])
				}
				if node != "" && m.AgentOf(node) != agent {
					t.Errorf("node %s is agent %q, want %q", node, m.AgentOf(node), agent)
				}
			}
			if got := m.Count(); got != tc.counts {
				t.Errorf("counts are %+v, want %+v", got, tc.counts)
			}
			if got := m.Ambiguities(); !reflect.DeepEqual(got, tc.doubt) {
				t.Errorf("in doubt are %+v, want %+v", got, tc.doubt)
			}
			var ambiguous []string
			for _, a := range tc.doubt {
				ambiguous = append(ambiguous, a.Nodes...)
			}
			for node := range m.nodes {
				if m.Ambiguous(node) != slices.Contains(ambiguous, node) {
					t.Errorf("node %s: ambiguous is %v", node, m.Ambiguous(node))
				}
			}
			if m.NodeOf("unknown") != "" || m.AgentOf("unknown") != "" || m.Ambiguous("unknown") {
				t.Error("something is known of what was never told")
			}
		})
	}
}

// TestMapChanges plays random events and checks that one who believes every
// change, in order, always knows the pairs and never gives two agents one node.
func TestMapChanges(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 3))
		m := NewMap()
		nodes, agents, told := map[string]string{}, map[string]string{}, map[string]string{}
		for step := range 400 {
			id, host := fmt.Sprint(r.IntN(5)), fmt.Sprint("h", r.IntN(4))
			var changes []Change
			switch r.IntN(9) {
			case 0, 1, 2:
				changes, nodes[id] = m.SetNode(id, host), host
			case 3, 4, 5:
				changes, agents[id] = m.SetAgent(id, host), host
			case 6:
				changes = m.DeleteNode(id)
				delete(nodes, id)
			case 7:
				delete(told, id)
				changes = m.DeleteAgent(id)
				delete(agents, id)
			case 8:
				if r.IntN(10) == 0 {
					m.ClearAgents()
					clear(agents)
					clear(told)
				}
			}
			for _, c := range changes {
				for agent, node := range told {
					if c.Node != "" && node == c.Node && agent != c.AgentID {
						t.Fatalf("seed %d step %d: %v while agent %s is the node", seed, step, changes, agent)
					}
				}
				told[c.AgentID] = c.Node
			}
			for agent, host := range agents {
				want := partner(agent, host, nodes, agents)
				if m.NodeOf(agent) != want || told[agent] != want {
					t.Fatalf("seed %d step %d: agent %s is %q and was told to be %q, want %q", seed, step, agent, m.NodeOf(agent), told[agent], want)
				}
			}
		}
		for host, h := range m.hosts {
			if len(h.nodes)+len(h.agents) == 0 {
				t.Fatalf("seed %d: host %s is kept for nobody", seed, host)
			}
		}
	}
}

// partner returns the only node of the agent's host, if the agent is its only one.
func partner(agent, host string, nodes, agents map[string]string) string {
	for other, h := range agents {
		if other != agent && h == host {
			return ""
		}
	}
	found := ""
	for node, h := range nodes {
		if h != host {
			continue
		}
		if found != "" {
			return ""
		}
		found = node
	}
	return found
}
