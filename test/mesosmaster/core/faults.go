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
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// Rejection is how an injected launch failure looks. Source decides the form:
// SOURCE_MASTER has no uuid and the task never exists, otherwise the agent
// reports it.
type Rejection struct {
	State   mesos.TaskState
	Reason  mesos.TaskStatus_Reason
	Source  mesos.TaskStatus_Source
	Message string
}

// faults are the disturbances tests have asked for.
type faults struct {
	swallowLaunches int
	loseLaunches    int
	rejections      []Rejection
	updateDelay     time.Duration
	duplicateNext   int
	holdHeartbeats  bool
	padOffers       int
}

func (x *faults) init() { *x = faults{} }

// swallow tells whether this ACCEPT is to vanish behind its 202.
func (x *faults) swallow(call *scheduler.Call_Accept) bool {
	if x.swallowLaunches == 0 {
		return false
	}
	for i := range call.Operations {
		if tasksOf(&call.Operations[i]) != nil {
			x.swallowLaunches--
			return true
		}
	}
	return false
}

// loseLaunch tells whether the message with this task is lost on its way to the
// agent.
func (x *faults) loseLaunch() bool {
	if x.loseLaunches == 0 {
		return false
	}
	x.loseLaunches--
	return true
}

func (x *faults) rejection() (Rejection, bool) {
	if len(x.rejections) == 0 {
		return Rejection{}, false
	}
	r := x.rejections[0]
	x.rejections = x.rejections[1:]
	return r, true
}

func (x *faults) duplicates(*scheduler.Event) int {
	if x.duplicateNext == 0 {
		return 0
	}
	x.duplicateNext--
	return 1
}

// SwallowLaunches makes the next n ACCEPTs with a launch vanish: 202, the offers
// are consumed, nothing is launched, nothing is said.
func (m *Master) SwallowLaunches(n int) { m.fault.swallowLaunches = n }

// LoseLaunches makes the next n tasks get lost between master and agent: the
// master holds them as TASK_STAGING.
func (m *Master) LoseLaunches(n int) { m.fault.loseLaunches = n }

// RejectLaunch makes the next valid task fail this way; calls add up.
func (m *Master) RejectLaunch(r Rejection) { m.fault.rejections = append(m.fault.rejections, r) }

// DelayUpdates holds every UPDATE back for d from now on.
func (m *Master) DelayUpdates(d time.Duration) { m.fault.updateDelay = d }

// DuplicateUpdates sends each of the next n UPDATEs twice.
func (m *Master) DuplicateUpdates(n int) { m.fault.duplicateNext = n }

// HoldHeartbeats stops HEARTBEAT events, or lets them go again.
func (m *Master) HoldHeartbeats(hold bool) { m.fault.holdHeartbeats = hold }

// PadOffers adds a text attribute of n bytes to every offer, so that OFFERS
// records get as large as a test wants; 0 ends it.
func (m *Master) PadOffers(n int) { m.fault.padOffers = n }
