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
	"math"
	"slices"
	"sort"
	"strings"
)

// comparison collects what differs between a recorded and a live JSON tree,
// while it pairs their ids.
type comparison struct {
	ids *bijection
	// epochs are the recording's and the bubble's time 0 as wall-clock seconds;
	// zero leaves moments uncompared.
	recordedEpoch, liveEpoch float64
	// ready is when the cluster was ready, in seconds since time 0: what happened
	// before is not in the recording.
	ready float64
	diffs []string
}

// momentTolerance is how far, in seconds, a timestamp may be from the recorded
// one, both relative to the start of their sessions.
const momentTolerance = 1.5

func (c *comparison) addf(path, format string, args ...any) {
	c.diffs = append(c.diffs, strings.TrimPrefix(path, ".")+": "+fmt.Sprintf(format, args...))
}

// tree compares two JSON values. key is the member name that holds them.
func (c *comparison) tree(path, key string, recorded, live any) {
	switch r := recorded.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		if !ok {
			c.addf(path, "recorded %s, emulated %s", brief(recorded), brief(live))
			return
		}
		c.object(path, r, l)
	case []any:
		l, ok := live.([]any)
		if !ok {
			c.addf(path, "recorded %s, emulated %s", brief(recorded), brief(live))
			return
		}
		c.array(path, key, r, l)
	case string:
		l, ok := live.(string)
		if !ok {
			c.addf(path, "recorded %s, emulated %s", brief(recorded), brief(live))
			return
		}
		c.text(path, r, l)
	case float64:
		l, ok := live.(float64)
		if !ok {
			c.addf(path, "recorded %s, emulated %s", brief(recorded), brief(live))
			return
		}
		c.number(path, key, r, l)
	default:
		if recorded != live {
			c.addf(path, "recorded %s, emulated %s", brief(recorded), brief(live))
		}
	}
}

func (c *comparison) object(path string, r, l map[string]any) {
	for _, k := range sortedKeys(r) {
		v, ok := l[k]
		if !ok {
			c.addf(path+"."+k, "recorded %s, emulated nothing", brief(r[k]))
			continue
		}
		c.tree(path+"."+k, k, r[k], v)
	}
	for _, k := range sortedKeys(l) {
		if _, ok := r[k]; !ok {
			c.addf(path+"."+k, "recorded nothing, emulated %s", brief(l[k]))
		}
	}
}

// sets names the lists whose order is that of a hash map, or of agents visited at
// random, in a master; all others are compared in order.
var sets = map[string]bool{
	"offers": true, "inverse_offers": true, "agents": true, "recovered_agents": true, "slaves": true, "recovered_slaves": true,
	"frameworks": true, "completed_frameworks": true, "tasks": true, "completed_tasks": true, "unreachable_tasks": true,
	"pending_tasks": true, "orphan_tasks": true, "executors": true, "completed_executors": true, "roles": true,
	"executor_ids": true,
}

// isSet tells whether the order of a list tells nothing. Resources are sets: their
// entries come in the order of a master's sums.
func isSet(key string) bool {
	return key == "" || sets[key] || strings.HasSuffix(key, "resources") || strings.HasSuffix(key, "resources_full")
}

func (c *comparison) array(path, key string, r, l []any) {
	if isSet(key) {
		r, l = sortSet(r), sortSet(l)
		r, l = alignKeys(r, l)
	}
	for i := 0; i < len(r) || i < len(l); i++ {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case i >= len(l) || i < len(r) && l[i] == absent:
			c.addf(path+"[]", "recorded %s, emulated nothing", brief(r[i]))
		case i >= len(r) || r[i] == absent:
			c.addf(path+"[]", "recorded nothing, emulated %s", brief(l[i]))
		default:
			c.tree(at, key, r[i], l[i])
		}
	}
}

type absence struct{}

var absent any = absence{}

// alignKeys puts elements of the same name side by side and marks those without
// a counterpart, so that one missing element is one difference.
func alignKeys(r, l []any) (outR, outL []any) {
	i, j := 0, 0
	for i < len(r) || j < len(l) {
		switch {
		case j >= len(l) || i < len(r) && elementName(r[i]) < elementName(l[j]):
			outR, outL = append(outR, r[i]), append(outL, absent)
			i++
		case i >= len(r) || elementName(r[i]) > elementName(l[j]):
			outR, outL = append(outR, absent), append(outL, l[j])
			j++
		default:
			outR, outL = append(outR, r[i]), append(outL, l[j])
			i, j = i+1, j+1
		}
	}
	return outR, outL
}

func sortSet(in []any) []any {
	type entry struct {
		v            any
		name, masked string
	}
	entries := make([]entry, len(in))
	for i, v := range in {
		entries[i] = entry{v, elementName(v), maskedText(v)}
	}
	sort.SliceStable(entries, func(i, j int) bool {
		a, b := entries[i], entries[j]
		return a.name < b.name || a.name == b.name && a.masked < b.masked
	})
	out := make([]any, len(in))
	for i := range entries {
		out[i] = entries[i].v
	}
	return out
}

// nameMembers are the members that identify an element of a list, as far as they
// do not hold ids made up by a master.
var nameMembers = [][]string{
	{"hostname"}, {"agent_info", "hostname"}, {"task_id", "value"}, {"framework_info", "name"}, {"name"}, {"id"}, {"type"}, {"key"},
	{"executor_id", "value"}, {"executor_info", "executor_id", "value"}, {"role"}, {"allocation_info", "role"}, {"revocable"}, {"reservations"}, {"disk"}, {"state"},
}

// elementName is what identifies an element within its list.
func elementName(v any) string {
	obj, ok := v.(map[string]any)
	if !ok {
		return maskedText(v)
	}
	var b strings.Builder
	for _, p := range nameMembers {
		if x := member(obj, p...); x != nil {
			b.WriteString(maskedText(x))
		}
		b.WriteByte('|')
	}
	return b.String()
}

// member follows a path of object members, nil if there is none.
func member(v any, path ...string) any {
	for _, k := range path {
		obj, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = obj[k]
	}
	return v
}

// memberText is member as text, "" if there is none.
func memberText(v any, path ...string) string {
	s, _ := member(v, path...).(string)
	return s
}

// maskedText renders a tree with its ids masked and its sets sorted.
func maskedText(v any) string {
	b, err := json.Marshal(masked("", v))
	if err != nil {
		return err.Error() // never: the tree came from JSON
	}
	return string(b)
}

func masked(key string, v any) any {
	switch v := v.(type) {
	case string:
		return mask(v)
	case float64:
		if moment[key] || identifying[key] {
			return 0
		}
		return v
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = masked(key, v[i])
		}
		if isSet(key) {
			out = sortByText(out)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = masked(k, x)
		}
		return out
	}
	return v
}

func sortByText(in []any) []any {
	sort.SliceStable(in, func(i, j int) bool {
		a, _ := json.Marshal(in[i])
		b, _ := json.Marshal(in[j])
		return string(a) < string(b)
	})
	return in
}

// moment names the members that hold a point in time, identifying those that
// hold a number a machine made up.
var (
	moment = map[string]bool{
		"timestamp": true, "registered_time": true, "reregistered_time": true, "start_time": true, "elected_time": true,
		"unregistered_time": true, "estimated_drain_start_time_seconds": true,
	}
	momentNanos = map[string]bool{"nanoseconds": true}
	identifying = map[string]bool{"executor_pid": true}
)

func (c *comparison) number(path, key string, r, l float64) {
	switch {
	case moment[key]:
		c.moment(path, r, l)
	case momentNanos[key] && r > 1e18:
		c.moment(path, r/1e9, l/1e9)
	case identifying[key]:
		if err := c.ids.pair(key, fmt.Sprint(r), fmt.Sprint(l)); err != nil {
			c.addf(path, "%v", err)
		}
	case math.Abs(r-l) > 1e-9*max(1, math.Abs(r)):
		c.addf(path, "recorded %v, emulated %v", r, l)
	}
}

// moment compares points in time relative to the starts of their sessions.
func (c *comparison) moment(path string, r, l float64) {
	if c.recordedEpoch == 0 || c.liveEpoch == 0 {
		return
	}
	r, l = r-c.recordedEpoch, l-c.liveEpoch
	if r < c.ready && l <= c.ready+momentTolerance {
		return
	}
	if d := l - r; math.Abs(d) > momentTolerance {
		c.addf(path, "%.1f s from the recorded moment", d)
	}
}

func (c *comparison) text(path, r, l string) {
	if d := c.ids.pairText(r, l); d != "" {
		c.addf(path, "%s", d)
	}
}

func brief(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	const most = 300
	if len(b) > most {
		return string(b[:most]) + "..."
	}
	return string(b)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func sorted(in []string) []string {
	out := slices.Clone(in)
	slices.Sort(out)
	return out
}
