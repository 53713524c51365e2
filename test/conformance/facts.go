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
	"net/http"
	"path"
	"slices"
	"strings"
)

// Notes also hold what the recorder found out about the state of the master: who
// is connected and holds offers, which agents there are, where masters send their
// clients. The replay asks the emulated master's operator API the same.

// facts compares the facts of a note, and reports false if it has none.
func (r *replay) facts(l *line) bool {
	note := parseBody(l.Raw)
	frameworks, agents := member(note, "frameworks"), member(note, "agents")
	redirects, children := member(note, "redirects"), member(note, "children")
	before, after := member(note, "before"), member(note, "after")
	_, byName := frameworks.(map[string]any)
	if !byName && agents == nil && redirects == nil && children == nil && (before == nil || after == nil) || r.master == nil || l.pos == 0 {
		return false
	}
	r.until(r.moment(l))
	r.report.Compared["notes of the master's state"]++
	add := func(format string, args ...any) { r.report.add(l.Number, "note "+l.Text, format, args...) }
	if byName {
		r.frameworkFacts(frameworks, add)
	}
	if after != nil {
		r.goneFact(after, add)
	}
	if agents != nil {
		r.agentFacts(agents, add)
	}
	if to, ok := redirects.(map[string]any); ok {
		r.redirectFacts(to, add)
	}
	if names, ok := children.([]any); ok {
		r.nodeFacts(names, add)
	}
	return true
}

// ask calls the operator API of the master that leads.
func (r *replay) ask(call string, add func(string, ...any)) any {
	base := r.base
	if r.ensemble != nil {
		if i, ok := r.ensemble.Leader(); ok {
			base = r.ensemble.MasterURL(i)
		}
	}
	a := r.send(r.master.Transport(), "facts", http.MethodPost, base+"/api/v1", jsonHeaders, []byte(`{"type":"`+call+`"}`))
	if a.err != nil || a.status != http.StatusOK {
		add("%s: answered %d %.100q: %v", call, a.status, a.body, a.err)
		return nil
	}
	return parseBody(a.body)
}

// frameworkFacts compares frameworks by name.
func (r *replay) frameworkFacts(want any, add func(string, ...any)) {
	list, _ := member(r.ask("GET_FRAMEWORKS", add), "get_frameworks", "frameworks").([]any)
	got := map[string]any{}
	for _, f := range list {
		got[memberText(f, "framework_info", "name")] = frameworkFact(f)
	}
	c := r.comparison()
	byName, _ := want.(map[string]any)
	for _, name := range sortedKeys(byName) {
		c.tree(name, "", byName[name], got[name])
	}
	for _, d := range c.diffs {
		add("%s", d)
	}
}

func frameworkFact(f any) any {
	offers, _ := member(f, "offers").([]any)
	return map[string]any{"connected": member(f, "connected"), "active": member(f, "active"), "offers": float64(len(offers))}
}

// goneFact compares the one framework that has lost its client.
func (r *replay) goneFact(want any, add func(string, ...any)) {
	list, _ := member(r.ask("GET_FRAMEWORKS", add), "get_frameworks", "frameworks").([]any)
	for _, f := range list {
		if member(f, "connected") == false && maskedText(frameworkFact(f)) == maskedText(want) {
			return
		}
	}
	add("no framework is as recorded: %s", brief(want))
}

// agentFacts compares agents: their names, or those of registered and recovered
// ones, or some of their members by name.
func (r *replay) agentFacts(want any, add func(string, ...any)) {
	answer := member(r.ask("GET_AGENTS", add), "get_agents")
	registered, byName := hostsOf(member(answer, "agents"), "agent_info", "hostname")
	recovered, _ := hostsOf(member(answer, "recovered_agents"), "hostname")
	c := r.comparison()
	switch want := want.(type) {
	case map[string]any:
		c.agentMembers(want, byName)
	case []any:
		if len(want) > 0 {
			if _, lists := want[0].([]any); lists {
				c.tree("registered, recovered", "ranges", any(want), any([]any{registered, recovered}))
				break
			}
		}
		c.tree("registered", "", any(want), any(registered))
	}
	for _, d := range c.diffs {
		add("%s", d)
	}
}

func hostsOf(list any, name ...string) (hosts []any, byName map[string]any) {
	byName, hosts = map[string]any{}, []any{}
	agents, _ := list.([]any)
	for _, a := range agents {
		host := memberText(a, name...)
		byName[host] = a
		hosts = append(hosts, host)
	}
	return hosts, byName
}

// agentMembers compares what the recorder wrote of each agent: members of
// GET_AGENTS, or its id.
func (c *comparison) agentMembers(want, got map[string]any) {
	for _, host := range sortedKeys(want) {
		members, _ := want[host].(map[string]any)
		agent, ok := got[host].(map[string]any)
		if !ok {
			c.addf(host, "no such agent")
			continue
		}
		if id, ok := members["value"]; ok {
			c.tree(host+".id", "value", id, member(agent, "agent_info", "id", "value"))
			continue
		}
		for _, k := range sortedKeys(members) {
			v, ok := agent[k]
			if !ok {
				v = false // absent means that in this API
			}
			c.tree(host+"."+k, k, members[k], v)
		}
	}
}

// redirectFacts compares where masters send their clients.
func (r *replay) redirectFacts(want map[string]any, add func(string, ...any)) {
	for _, name := range sortedKeys(want) {
		i := slices.Index(r.masterNames, name)
		if i < 0 {
			add("no master %s", name)
			continue
		}
		a := r.send(r.master.Transport(), "facts", http.MethodGet, r.ensemble.MasterURL(i)+"/redirect", nil, nil)
		if a.err != nil || a.header.Get("Location") != want[name] {
			add("%s: recorded %v, emulated %q %v", name, want[name], a.header.Get("Location"), a.err)
		}
	}
}

// nodeFacts compares the names of the nodes in ZooKeeper.
func (r *replay) nodeFacts(want []any, add func(string, ...any)) {
	nodes, err := r.ensemble.Znodes()
	if err != nil {
		add("%v", err)
		return
	}
	got := []any{}
	for _, n := range nodes {
		if dir, name := path.Split(n.Path); strings.Count(dir, "/") == 2 { // directly below the path of --zk
			got = append(got, name)
		}
	}
	if a, b := maskedText(want), maskedText(got); a != b {
		w, _ := json.Marshal(want)
		add("nodes: recorded %s, emulated %s", w, b)
	}
}
