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

package agent

// maxCompleted bounds the completed tasks of a framework that an agent remembers, unless
// its settings do (Mesos slave/constants.hpp MAX_COMPLETED_EXECUTORS_PER_FRAMEWORK).
const maxCompleted = 150

// archive remembers a task whose end is acknowledged.
func (a *Agent) archive(t *Task) {
	if a.completed == nil {
		a.completed = map[string][]*Task{}
	}
	keep := a.set.MaxCompletedExecutors
	if keep == 0 {
		keep = maxCompleted
	}
	list := append(a.completed[t.FrameworkID], t)
	a.completed[t.FrameworkID] = list[max(0, len(list)-keep):]
}

// Completed are the tasks of a framework whose ends were acknowledged, as the
// agent tells a master that it registers with again.
func (a *Agent) Completed(frameworkID string) []*Task { return a.completed[frameworkID] }
