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

import "time"

// AlignTicks moves the phase of the allocation interval so that it ticks at at,
// and every interval from there. The phase of a real master depends on when it
// was elected and drifts with its load; a test that follows a real master needs
// the same.
func (m *Master) AlignTicks(now, at time.Time) {
	m.enter(now)
	m.alloc.AlignTicks(at)
}
