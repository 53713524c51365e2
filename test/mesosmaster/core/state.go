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

package core

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// object is a JSON object of the read endpoints. Keys are those of a recorded
// master.
type object = map[string]any

// seconds is a time as the read endpoints show it.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixNano()/1000) / 1e6
}

// flat shows resources as /state does: sums by name, the four well-known scalars
// always there, ranges as text.
func flat(rs resource.Resources) object {
	out := object{"cpus": 0.0, "mem": 0.0, "disk": 0.0, "gpus": 0.0}
	for i := range rs {
		name := rs[i].Name
		switch rs[i].Kind {
		case resource.Scalar:
			out[name] = units(rs, name)
		case resource.RangeSet:
			out[name] = rs.Ranges(name).String()
		}
	}
	return out
}

// State is the body of GET /state.
func (m *Master) State() any {
	s := m.Slaves(false)
	connected, deactivated := 0, 0
	for _, a := range m.order {
		if a.offerable() {
			connected++
		} else {
			deactivated++
		}
	}
	unreachable := 0
	for _, l := range m.registry.lost {
		if !l.gone {
			unreachable++
		}
	}
	for k, v := range m.FrameworkList() {
		s[k] = v
	}
	pid := m.info.GetPID()
	maps.Copy(s, m.VersionObject())
	s["id"], s["pid"], s["hostname"] = m.id, pid, m.cfg.Hostname
	if dir, ok := m.cfg.Flags["log_dir"]; ok {
		s["log_dir"] = dir
	}
	s["start_time"], s["elected_time"] = seconds(m.begun), seconds(m.begun)
	s["capabilities"] = []string{"AGENT_UPDATE", "AGENT_DRAINING", "QUOTA_V2"}
	s["activated_slaves"], s["deactivated_slaves"], s["unreachable_slaves"] = float64(connected), float64(deactivated), float64(unreachable)
	s["leader"] = pid
	s["leader_info"] = object{"id": m.id, "pid": pid, "port": m.cfg.Port, "hostname": m.cfg.Hostname}
	s["cluster"] = m.cfg.Cluster
	s["orphan_tasks"] = []any{}
	s["flags"] = m.flags()
	return s
}

// flags are the master's flags: those the emulator has, with what they are set
// to, and the rest as a recorded master had them.
func (m *Master) flags() map[string]string {
	flags := maps.Clone(recordedFlags)
	maps.Copy(flags, m.cfg.Flags)
	flags["agent_ping_timeout"] = durationText(m.cfg.AgentPingTimeout / time.Duration(m.cfg.AgentPings))
	flags["cluster"] = m.cfg.Cluster
	flags["root_submissions"] = strconv.FormatBool(!m.cfg.NoRootSubmissions)
	flags["max_agent_ping_timeouts"] = strconv.Itoa(m.cfg.AgentPings)
	flags["agent_reregister_timeout"] = durationText(m.cfg.AgentReregisterTimeout)
	flags["allocation_interval"] = durationText(m.cfg.AllocationInterval)
	flags["filter_gpu_resources"] = strconv.FormatBool(!m.cfg.KeepGPUsForAll)
	flags["hostname"], flags["ip"], flags["port"] = m.cfg.Hostname, m.cfg.IP, strconv.Itoa(m.cfg.Port)
	flags["min_allocatable_resources"] = minAllocatableText(m.cfg.MinAllocatable)
	if m.cfg.OfferTimeout > 0 {
		flags["offer_timeout"] = durationText(m.cfg.OfferTimeout)
	}
	if m.cfg.Roles != nil {
		flags["roles"] = strings.Join(m.cfg.Roles, ",")
	}
	return flags
}

// Slaves is the body of GET /slaves; full adds the typed resources only that
// endpoint has.
func (m *Master) Slaves(full bool) object {
	list := []any{}
	for _, a := range m.order {
		list = append(list, m.slaveObject(a, full))
	}
	back := []any{}
	for _, id := range sortedKeys(m.recovered) {
		info := m.recovered[id].info
		s := object{"id": id, "hostname": *info.Hostname, "port": *info.Port, "attributes": attributeObject(info.Attributes)}
		if info.Domain != nil {
			s["domain"] = raw(info.Domain)
		}
		back = append(back, s)
	}
	return object{"slaves": list, "recovered_slaves": back}
}

func (m *Master) slaveObject(a *agent, full bool) object {
	used, offered := m.agentHoldings(a)
	var unreserved resource.Resources
	byRole := map[string]resource.Resources{}
	for _, r := range a.total {
		switch role := r.Flavor.Role(); {
		case role != "":
			byRole[role] = byRole[role].Add(resource.Resources{r})
		default:
			unreserved = append(unreserved, r)
		}
	}
	roles := object{}
	for role, rs := range byRole {
		roles[role] = flat(rs)
	}
	s := object{
		"id": a.id, "hostname": a.hostname, "port": a.host.Port(), "pid": fmt.Sprintf("slave(1)@%s:%d", a.host.IP(), a.host.Port()),
		"attributes": attributeObject(a.attributes), "registered_time": seconds(a.registered),
		"resources": flat(a.total), "used_resources": flat(used), "offered_resources": flat(offered),
		"reserved_resources": roles, "unreserved_resources": flat(unreserved),
		"active": a.offerable(), "deactivated": a.deactivated, "version": Version, "capabilities": agentCapabilities,
	}
	if !a.reregistered.IsZero() {
		s["reregistered_time"] = seconds(a.reregistered)
	}
	if a.domain != nil {
		s["domain"] = raw(a.domain)
	}
	if d := m.registry.drains[a.id]; d.info() != nil {
		s["drain_info"], s["estimated_drain_start_time_seconds"] = raw(d.info()), d.started.Unix()
	}
	if full {
		reservedFull := object{}
		for role, rs := range byRole {
			reservedFull[role] = rawList(rs, operatorForm)
		}
		s["reserved_resources_full"], s["unreserved_resources_full"] = reservedFull, rawList(unreserved, operatorForm)
		s["used_resources_full"], s["offered_resources_full"] = rawList(used, operatorForm), rawList(offered, operatorForm)
	}
	return s
}

var agentCapabilities = []string{
	"MULTI_ROLE", "HIERARCHICAL_ROLE", "RESERVATION_REFINEMENT", "RESOURCE_PROVIDER", "RESIZE_VOLUME",
	"AGENT_OPERATION_FEEDBACK", "AGENT_DRAINING", "TASK_RESOURCE_LIMITS",
}

// attributeObject shows attributes by name.
func attributeObject(list []mesos.Attribute) object {
	out := object{}
	for i := range list {
		out[list[i].Name] = attributeValue(&list[i])
	}
	return out
}

func attributeValue(a *mesos.Attribute) any {
	switch a.Type {
	case mesos.SCALAR:
		return a.GetScalar().GetValue()
	case mesos.RANGES:
		var r resource.Ranges
		for _, x := range a.GetRanges().GetRange() {
			r = append(r, resource.Range{Begin: x.Begin, End: x.End})
		}
		return r.String()
	}
	return a.GetText().GetValue()
}

// raw is a message in the master's JSON.
func raw(msg any) json.RawMessage {
	b, err := codec.MarshalJSON(msg)
	if err != nil {
		return json.RawMessage("null")
	}
	return b
}

func rawList(rs resource.Resources, form resource.WireForm) []json.RawMessage {
	out := []json.RawMessage{}
	for _, r := range rs.ToProto(form) {
		out = append(out, raw(&r))
	}
	return out
}
