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

package main

// Mutations are behaviours that frameworks can observe, each of another part of
// the emulator.
var Mutations = []Mutation{
	{
		Name: "offers named in a bad ACCEPT are rescinded", File: "core/accept.go",
		Old: "m.discardOffer(o, false)", New: "m.discardOffer(o, true)",
	},
	{
		Name: "tasks of a bad ACCEPT fail for another reason", File: "core/accept.go",
		Old: "mesos.REASON_INVALID_OFFERS", New: "mesos.REASON_TASK_INVALID",
	},
	{
		Name: "a task that its agent does not know is unknown, not gone", File: "core/reconcile.go",
		Old: `answer(mesos.TASK_GONE, "Task is unknown to the agent")`, New: `answer(mesos.TASK_UNKNOWN, "Task is unknown to the agent")`,
	},
	{
		Name: "unacknowledged updates are repeated after 20 s", File: "agent/updates.go",
		Old: "t.stream.retry = a.set.UpdateRetryMin", New: "t.stream.retry = 2 * a.set.UpdateRetryMin",
	},
	{
		Name: "updates do not wait for the acknowledgement of the one before", File: "agent/updates.go",
		Old: "if len(t.stream.pending) == 1 {", New: "if len(t.stream.pending) >= 1 {",
	},
	{
		Name: "a decline filter covers only offers of the very same size", File: "allocator/filter.go",
		Old: "r.resources.Contains(candidate)", New: "r.resources.Contains(candidate) && candidate.Contains(r.resources)",
	},
	{
		Name: "REVIVE leaves decline filters in force", File: "allocator/books.go",
		Old: "\t\ta.clearRole(f, role)\n\t\tdelete(f.suppressed, role)\n\t\ta.enroll(f, role)\n\t}\n\ta.runEverywhere()", New: "\t\tdelete(f.suppressed, role)\n\t\ta.enroll(f, role)\n\t}\n\ta.runEverywhere()",
	},
	{
		Name: "rescinded resources are refused for 5 s", File: "core/offer.go",
		Old: "m.recoverRes(o.fw, o.agent, o.role, o.res, 0)", New: "m.recoverRes(o.fw, o.agent, o.role, o.res, defaultRefuse)",
	},
	{
		Name: "a maintenance schedule rescinds nothing", File: "core/maintenance.go",
		Old: "\tm.rescindAgent(a)\n\tm.rescindInverse(a)\n\tm.alloc.SetUnavailability(", New: "\tm.alloc.SetUnavailability(",
	},
	{
		Name: "the return of an unreachable agent is not told", File: "core/agent.go",
		Old: "\tif !wasUnreachable {\n\t\treturn\n\t}\n\tstatus :=", New: "\tif wasUnreachable || !wasUnreachable {\n\t\treturn\n\t}\n\tstatus :=",
	},
	{
		Name: "tasks of unreachable agents are lost", File: "core/agentloss.go",
		Old: "state := t.fw.oneOf(mesos.TASK_UNREACHABLE)", New: "state := mesos.TASK_LOST",
	},
	{
		Name: "draining does not cap grace periods", File: "agent/drain.go",
		Old: "if d.maxGrace == nil {", New: "if d.maxGrace != nil || d.maxGrace == nil {",
	},
	{
		Name: "heartbeats come every 14 s", File: "core/subscribe.go",
		Old: "m.after(m.cfg.HeartbeatInterval, func() { m.heartbeat(f, stream) })", New: "m.after(m.cfg.HeartbeatInterval-1e9, func() { m.heartbeat(f, stream) })",
	},
	{
		Name: "agents with GPUs are offered to everybody", File: "allocator/framework.go",
		Old: "if on.gpus && !a.OfferGPUsToAll && !f.gpus {", New: "if on.gpus && !a.OfferGPUsToAll && !f.gpus && false {",
	},
	{
		Name: "statuses of operations do not name the agent", File: "agent/operations.go",
		Old: "UUID: &mesos.UUID{Value: status[:]}, AgentID: &mesos.AgentID{Value: a.id},", New: "UUID: &mesos.UUID{Value: status[:]},",
	},
	{
		Name: "streams end without their closing chunk", File: "wire/response.go",
		Old: `append(w.appendPending(nil), "0\r\n\r\n"...)`, New: `append(w.appendPending(nil), ""...)`,
	},
}
