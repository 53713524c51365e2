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

// fact is where a recorded framework's session of ours ends, as the recordings'
// README has it.
type fact struct {
	// conns are the recorded connections of the framework, in order.
	conns string
	// outcomes are the states of our sessions at their ends: Subscribed where the
	// recorded scheduler went away, with the master's words where it refused us.
	outcomes []string
	// tasks are the last states of some tasks, with reason where there is one.
	tasks map[string]string
	// inverse counts the inverse offers.
	inverse int
	// gone are the numbers of the agents that FAILURE named, in order.
	gone []string
}

const (
	subscribed = "Subscribed"
	removedFor = "Removed"
	failedOver = "FailedOver"
	noMaster   = "Backoff: connection refused"
	connecting = "Connecting"
)

// refusedFor is the outcome of a session that is refused again and again.
func refusedFor(text string) string { return `Backoff: "` + text + `"` }

// rolesRefused is the outcome of a session that is refused for its roles.
func rolesRefused(text string) string { return `Backoff for its roles: "` + text + `"` }

// termsRefused is the outcome of a session that is refused for the terms of its roles.
func termsRefused(text string) string { return `Backoff for its terms: "` + text + `"` }

// endings are facts of frameworks of which only the end is told.
func endings(conns string, outcomes ...string) fact {
	return fact{conns: conns, outcomes: outcomes}
}

// badRole is the fact of a refused role.
func badRole(text string) fact {
	return endings("R", rolesRefused("'FrameworkInfo.roles' contains invalid role: "+text))
}

func times(n int, f fact) []fact {
	var out []fact
	for range n {
		out = append(out, f)
	}
	return out
}

func join(lists ...[]fact) []fact {
	var out []fact
	for _, list := range lists {
		out = append(out, list...)
	}
	return out
}

// facts are those of every recording, by framework in the order of their first
// subscription. TEARDOWN leads to Removed: the session comes back and is told so.
var facts = map[string][]fact{
	"01-subscribe": join([]fact{endings("A", subscribed)}, times(8, endings("B", removedFor)), times(2, endings("C", removedFor))),
	"01p-protobuf": {{conns: "P,Q", outcomes: []string{failedOver, removedFor}, tasks: map[string]string{
		"pb-task": "STARTING", "no-such": "UNKNOWN/RECONCILIATION", "pb-bad": "DROPPED/INVALID_OFFERS",
	}}},
	"02-accept-launch": {{conns: "A", outcomes: []string{removedFor}, tasks: map[string]string{
		"t1": "RUNNING/RECONCILIATION", "t4a": "KILLED", "t5": "KILLED", "t6-ok": "FINISHED/RECONCILIATION",
		"t6-fail": "FAILED/RECONCILIATION", "t6-nouser": "DROPPED/RECONCILIATION",
	}}},
	"03-accept-invalid": {
		{conns: "A", outcomes: []string{removedFor}, tasks: map[string]string{"unknown-offer-0": "DROPPED/INVALID_OFFERS", "g2": "DROPPED/INVALID_OFFERS"}},
		{conns: "B", outcomes: []string{removedFor}, tasks: map[string]string{"foreign": "LOST/INVALID_OFFERS"}},
		{conns: "B", outcomes: []string{removedFor}, tasks: map[string]string{"two-agents-1": "LOST/INVALID_OFFERS"}},
	},
	"04-task-invalid": {{conns: "A", outcomes: []string{removedFor}, tasks: map[string]string{"nores": "ERROR/TASK_INVALID"}}},
	"05a-decline-revive-suppress-alloc1s": {
		endings("S", removedFor), {conns: "A", outcomes: []string{removedFor}, tasks: map[string]string{"x": "FINISHED"}},
	},
	"05b-decline-revive-suppress-alloc250ms": {
		endings("S", removedFor), {conns: "A", outcomes: []string{removedFor}, tasks: map[string]string{"x": "FINISHED"}},
	},
	"06-kill": {
		{conns: "A", outcomes: []string{removedFor}, tasks: map[string]string{
			"sleep": "KILLED", "never": "UNKNOWN/RECONCILIATION", "quick0": "KILLED/TASK_KILLED_DURING_LAUNCH",
		}},
		{conns: "B", outcomes: []string{removedFor}, tasks: map[string]string{"never": "LOST/RECONCILIATION"}},
	},
	"07-reconcile": {
		{conns: "A", outcomes: []string{removedFor}, gone: []string{"S0", "S0"}, tasks: map[string]string{
			"a1": "RUNNING/RECONCILIATION", "a3": "GONE_BY_OPERATOR/AGENT_REMOVED_BY_OPERATOR", "a4": "GONE/RECONCILIATION", "never2": "UNKNOWN/RECONCILIATION",
		}},
		{conns: "B", outcomes: []string{removedFor}, gone: []string{"S0", "S0"}, tasks: map[string]string{"b3": "LOST/AGENT_REMOVED"}},
	},
	"08-failover": {
		{conns: "A,B,C,D", outcomes: []string{failedOver, subscribed, subscribed, removedFor}, tasks: map[string]string{
			"t1": "RUNNING/RECONCILIATION", "stale": "DROPPED/INVALID_OFFERS",
		}},
		{conns: "E,F", outcomes: []string{removedFor}, tasks: map[string]string{"t2": "RUNNING"}},
		endings("G,H", subscribed, removedFor),
		endings("I,J", failedOver, removedFor),
		endings("K", refusedFor("Changing framework's principal is not allowed.")),
	},
	"08b-stream-end-raw": nil, // bytes: see TestRecordedStreamEnds
	"09-http-errors": join(times(6, endings("A", connecting)), []fact{
		endings("A", subscribed), endings("U", noMaster), endings("U", noMaster),
		endings("U", refusedFor("Changing framework's principal is not allowed.")),
	}),
	"09b-unknown-call-crashes-master": {endings("A", noMaster)},
	"10-roles": join([]fact{
		endings("A", removedFor), endings("B,B2", failedOver, removedFor),
		badRole("Role names cannot be the empty string"),
		badRole("Role '/a' cannot start with a slash"), badRole("Role 'a/' cannot end with a slash"),
		badRole("Role 'a//b' cannot contain two adjacent slashes"),
		badRole("Role '.' cannot include '.' as a component"), badRole("Role '..' cannot include '..' as a component"),
		badRole("Role 'a/.' cannot include '.' as a component"), badRole("Role 'a/..' cannot include '..' as a component"),
		badRole("Role component '-a' is invalid because it starts with a dash"), badRole("Role component '-b' is invalid because it starts with a dash"),
		badRole("Role 'a/*' cannot include '*' as a component"), badRole("Role '*/a' cannot include '*' as a component"),
		badRole("Role component 'a b' is invalid because it contains backspace or whitespace"),
		badRole("Role component 'a\\tb' is invalid because it contains backspace or whitespace"),
	}, times(5, endings("R", removedFor)), []fact{
		endings("R", rolesRefused("'FrameworkInfo.roles' contains duplicate items: { a }")),
		endings("R", refusedFor("'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable")),
		endings("R", refusedFor("'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable")),
		endings("R", refusedFor("Suppressed roles { b } are not contained in the set of roles")),
		endings("R", refusedFor("The framework failover_timeout (1e+30) is invalid")),
		endings("R", removedFor), endings("R", removedFor),
		endings("R", refusedFor("'a/b' contains invalid characters")),
		endings("R", removedFor), endings("R", removedFor), endings("R", removedFor),
		endings("R", termsRefused("Resource quantities must contain at least one quantity")),
		endings("R", removedFor),
		endings("R", rolesRefused("Roles { bad } are not present in the master's --roles")),
		endings("R", refusedFor("User 'root' is not allowed to run frameworks without --root_submissions set")),
		endings("R", removedFor),
	}),
	"11-reservations": join(times(5, endings("S", removedFor)), []fact{{conns: "A", outcomes: []string{removedFor}, tasks: map[string]string{
		"wronglabel": "ERROR/TASK_INVALID", "onres": "RUNNING", "onvol": "FINISHED",
	}}}),
	"12-revocable": {
		{conns: "A", outcomes: []string{removedFor}, tasks: map[string]string{"mix": "ERROR/TASK_INVALID", "rev1": "KILLED", "plain1": "RUNNING"}},
		endings("B", removedFor),
		{conns: "C", outcomes: []string{removedFor}, tasks: map[string]string{"p": "RUNNING", "v": "GONE/CONTAINER_PREEMPTED"}},
		{conns: "D", outcomes: []string{removedFor}, tasks: map[string]string{"p": "RUNNING", "v": "LOST/CONTAINER_PREEMPTED"}},
	},
	"13-maintenance": {
		{conns: "A", outcomes: []string{removedFor}, inverse: 6, gone: []string{"S0"}, tasks: map[string]string{"mA": "UNKNOWN/RECONCILIATION"}},
		{conns: "B", outcomes: []string{removedFor}, inverse: 4, gone: []string{"S0"}, tasks: map[string]string{"mB": "LOST/RECONCILIATION"}},
	},
	"14-drain": {
		{conns: "A", outcomes: []string{removedFor}, gone: []string{"S1"}, tasks: map[string]string{
			"d1A": "KILLED/AGENT_DRAINING", "late": "DROPPED/INVALID_OFFERS", "d3A": "RUNNING/RECONCILIATION", "d4A": "GONE_BY_OPERATOR/AGENT_DRAINING",
		}},
		{conns: "B", outcomes: []string{removedFor}, gone: []string{"S1"}, tasks: map[string]string{"d4B": "KILLED/AGENT_DRAINING", "d3B": "RUNNING"}},
	},
	"14b-drain-executor": {{conns: "A", outcomes: []string{removedFor}, tasks: map[string]string{"d3": "KILLED/AGENT_DRAINING"}}},
	"15-agent-loss": {
		{conns: "A", outcomes: []string{removedFor}, gone: []string{"S1", "S1", "S1", "S0"}, tasks: map[string]string{
			"t1A": "FAILED/EXECUTOR_TERMINATED", "t5A": "GONE_BY_OPERATOR/RECONCILIATION", "t6A": "GONE_BY_OPERATOR/AGENT_REMOVED_BY_OPERATOR",
		}},
		{conns: "B", outcomes: []string{removedFor}, gone: []string{"S1", "S1", "S1", "S0"}, tasks: map[string]string{"t5B": "LOST/RECONCILIATION", "t6B": "LOST/AGENT_REMOVED"}},
		{conns: "N", outcomes: []string{removedFor}, gone: []string{"S1", "S1", "S1", "S0"}, tasks: map[string]string{"t1N": "GONE/RECONCILIATION"}},
	},
	"16-offer-constraints-and-filters": {
		endings("A", removedFor),
		endings("B", termsRefused("Offer constraints are not valid: 'OfferConstraints::role_constraints' has an empty 'RoleConstraints::groups' for role batch")),
		endings("B2", termsRefused("Offer constraints specify `role_constraints` for a role 'nope'not contained in the set of roles")),
	},
	"17-quota": {
		{conns: "A", outcomes: []string{removedFor}, tasks: map[string]string{"q1": "KILLED", "q2": "ERROR/TASK_INVALID", "q3": "RUNNING"}},
		endings("E", removedFor), endings("G", removedFor),
	},
	"18-master-restart": {
		{conns: "A,B", outcomes: []string{removedFor}, tasks: map[string]string{
			"unack": "RUNNING", "t1": "RUNNING/RECONCILIATION", "staleoffer": "DROPPED/INVALID_OFFERS", "never1": "GONE/RECONCILIATION",
		}},
		{conns: "C,D,E", outcomes: []string{removedFor}, tasks: map[string]string{"u1": "RUNNING/RECONCILIATION", "x1": "GONE/RECONCILIATION"}},
	},
	"19-rescind": {
		{conns: "A", outcomes: []string{removedFor}, gone: []string{"S0"}},
		{conns: "B", outcomes: []string{removedFor}, tasks: map[string]string{"late": "DROPPED/INVALID_OFFERS"}},
	},
	"20-executor": {
		{conns: "A", outcomes: []string{removedFor}, tasks: map[string]string{"e3": "KILLED", "m19": "FINISHED", "a2": "FAILED/EXECUTOR_TERMINATED"}},
		{conns: "B", outcomes: []string{removedFor}, tasks: map[string]string{"nc": "LOST/AGENT_DISCONNECTED"}},
	},
	"22-zookeeper": {
		endings("master2", connecting),
		{conns: "A,B,C", outcomes: []string{removedFor}, tasks: map[string]string{"unack": "RUNNING/RECONCILIATION", "t1": "RUNNING/RECONCILIATION"}},
		endings("D", noMaster), endings("master3", connecting),
	},
	"23-operator-stream": {
		{conns: "A,A", outcomes: []string{subscribed, removedFor}, gone: []string{"S0", "S1", "S1"}, tasks: map[string]string{
			"t1": "RUNNING/AGENT_REREGISTERED", "t2": "KILLED", "bad": "DROPPED/INVALID_OFFERS",
		}},
		endings("B", subscribed),
	},
	"24-executor-timeouts": {
		{conns: "A", outcomes: []string{removedFor}, tasks: map[string]string{"n1A": "FAILED/EXECUTOR_REGISTRATION_TIMEOUT", "cmdfree": "RUNNING/RECONCILIATION", "r1A": "GONE/RECONCILIATION"}},
		{conns: "B", outcomes: []string{removedFor}, tasks: map[string]string{"r1B": "LOST/EXECUTOR_REREGISTRATION_TIMEOUT"}},
	},
	"25-gpus-ports-disks": {endings("N", removedFor), endings("L", removedFor), endings("A", removedFor), endings("F", removedFor), endings("H", removedFor)},
	"26-half-open": {
		{conns: "A,C", outcomes: []string{failedOver, removedFor}, gone: []string{"S0"}, tasks: map[string]string{
			"t2": "UNREACHABLE/AGENT_REMOVED", "ends": "FINISHED", "late": "RUNNING/RECONCILIATION", "flood-0-2": "UNKNOWN/RECONCILIATION",
		}},
		{conns: "B", outcomes: []string{noMaster}, gone: []string{"S0"}},
		endings("D", subscribed),
	},
}
