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

package simulation

import (
	"fmt"
	"time"
)

// What happens to pods.
const (
	jobComes      Kind = "job"
	serviceScales Kind = "scale"
)

// Faults of Mesos, of Kubernetes, of the connections, and of our own process.
const (
	rescindAll     Kind = "rescind-all"
	rescindAgent   Kind = "rescind-agent"
	agentRestarts  Kind = "agent-restarts"
	agentDies      Kind = "agent-dies"
	agentReturns   Kind = "agent-returns"
	hostDies       Kind = "host-dies"
	hostReturns    Kind = "host-returns"
	partition      Kind = "partition"
	partitionEnds  Kind = "partition-ends"
	agentGone      Kind = "agent-marked-gone"
	agentReplaced  Kind = "agent-replaced"
	agentShutDown  Kind = "agent-shut-down"
	deactivate     Kind = "deactivate"
	reactivate     Kind = "reactivate"
	drain          Kind = "drain"
	maintenance    Kind = "maintenance"
	maintenanceEnd Kind = "maintenance-ends"
	taskLost       Kind = "task-lost"
	taskFailed     Kind = "task-failed"
	manyTasksLost  Kind = "many-tasks-lost"
	launchDropped  Kind = "launch-dropped"
	launchLost     Kind = "launch-lost"
	launchRefused  Kind = "launch-refused"
	acceptFails    Kind = "accept-fails"
	updatesDelayed Kind = "updates-delayed"
	updatesFlow    Kind = "updates-flow"
	updatesTwice   Kind = "updates-twice"
	masterDies     Kind = "master-dies"
	masterReturns  Kind = "master-returns"
	unavailable    Kind = "master-unavailable"
	cut            Kind = "connection-cut"
	freeze         Kind = "connection-freezes"
	thaw           Kind = "connection-thaws"
	apiDown        Kind = "api-down"
	apiUp          Kind = "api-up"
	watchesBreak   Kind = "watches-break"
	apiFlaky       Kind = "api-flaky"
	apiSound       Kind = "api-sound"
	stopOurs       Kind = "stop"
	crashOurs      Kind = "crash"
	startOurs      Kind = "start"
	usurp          Kind = "usurp"
)

// faults are all kinds of faults with their shares.
func faults() []fault {
	const s, m = time.Second, time.Minute
	return []fault{
		{begin: rescindAll, share: 2},
		{begin: rescindAgent, share: 3, host: true},
		{begin: agentRestarts, share: 4, host: true, least: 10 * s, most: 10 * s},
		{begin: agentDies, end: agentReturns, share: 5, host: true, least: 5 * s, most: 10 * m},
		{begin: hostDies, end: hostReturns, share: 4, host: true, least: 20 * s, most: 15 * m},
		{begin: partition, end: partitionEnds, share: 4, host: true, least: 5 * s, most: 15 * m},
		{begin: agentGone, end: agentReplaced, share: 3, host: true, least: 30 * s, most: 10 * m},
		{begin: agentDies, end: agentReplaced, share: 3, host: true, least: 5 * s, most: 10 * m},
		{begin: agentShutDown, end: agentReturns, share: 2, host: true, least: 5 * s, most: 10 * m},
		{begin: deactivate, end: reactivate, share: 2, host: true, least: 30 * s, most: 30 * m},
		{begin: drain, end: reactivate, share: 3, host: true, least: 15 * m, most: 40 * m},
		{begin: maintenance, end: maintenanceEnd, share: 3, host: true, alone: "maintenance", least: 20 * m, most: 60 * m},
		{begin: taskLost, share: 5}, {begin: taskFailed, share: 3}, {begin: manyTasksLost, share: 1, alone: "many"},
		{begin: launchDropped, share: 2}, {begin: launchLost, share: 2}, {begin: launchRefused, share: 3}, {begin: acceptFails, share: 2},
		{begin: updatesDelayed, end: updatesFlow, share: 2, alone: "updates", least: 5 * s, most: 2 * m},
		{begin: updatesTwice, share: 2},
		{begin: masterDies, end: masterReturns, share: 4, alone: "master", most: 3 * m},
		{begin: unavailable, share: 2, alone: "master", least: s, most: m},
		{begin: cut, share: 5, alone: "connection", least: s, most: s},
		{begin: freeze, end: thaw, share: 3, alone: "connection", least: 5 * s, most: 3 * m},
		{begin: apiDown, end: apiUp, share: 4, alone: "api", least: s, most: 6 * m},
		{begin: watchesBreak, share: 3, alone: "api", least: s, most: s},
		{begin: apiFlaky, end: apiSound, share: 4, alone: "api", least: 30 * s, most: 5 * m},
		{begin: stopOurs, end: startOurs, share: 3, alone: "ours", most: 2 * m},
		{begin: crashOurs, end: startOurs, share: 6, alone: "ours", most: 2 * m},
		{begin: usurp, share: 2, alone: "ours", least: m, most: m},
	}
}

// disturbs is how long after its end an event may still keep us from our duties: how
// long we may take to connect again, or to see what we missed.
func disturbs(k Kind) time.Duration {
	switch k {
	case apiDown, apiUp, apiFlaky, apiSound:
		return 90 * time.Second // reflectors wait up to 30 s, and up to twice that with jitter
	case watchesBreak, freeze, thaw, usurp, masterDies, masterReturns, unavailable, cut, updatesDelayed, updatesFlow:
		return time.Minute
	case stopOurs, crashOurs, startOurs:
		return 30 * time.Second
	}
	return 0
}

// host is the name of a machine.
func host(n int) string { return fmt.Sprintf("agent-%03d", n) }
