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
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// stats are the master's counters.
type stats struct {
	tasks map[mesos.TaskState]int64 // terminal transitions
}

func (s *stats) init() { s.tasks = map[mesos.TaskState]int64{} }

// frameworkStats are the counters of one framework (Mesos master/metrics.cpp
// FrameworkMetrics).
type frameworkStats struct {
	calls, events                       map[string]int64
	tasks                               map[mesos.TaskState]int64
	sent, accepted, declined, rescinded int64
	use                                 OfferUse
}

func (s *frameworkStats) init() {
	s.calls, s.events, s.tasks = map[string]int64{}, map[string]int64{}, map[mesos.TaskState]int64{}
}

func (s *frameworkStats) event(t scheduler.Event_Type) { s.events[t.String()]++ }
