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

package scheduler

import (
	"math"
	"testing"
)

func TestJudge(t *testing.T) {
	mean, largest := Use{CPU: 100, Memory: 100}, Use{CPU: 600, Memory: 600}
	for name, c := range map[string]struct {
		nodes []Use
		want  Placement
	}{
		"empty nodes": {[]Use{{CPU: 1200, Memory: 1200}, {CPU: 1200, Memory: 1200}}, Placement{}},
		"full nodes":  {[]Use{{CPU: 1000, Memory: 1000, UsedCPU: 1000, UsedMemory: 1000, Pods: 10}}, Placement{}},
		// Together there is room for one more large pod, on no node.
		"split": {[]Use{
			{CPU: 1000, Memory: 1000, UsedCPU: 700, UsedMemory: 700, Pods: 7}, {CPU: 1000, Memory: 1000, UsedCPU: 700, UsedMemory: 700, Pods: 7},
		}, Placement{Fragmented: 100}},
		"memory full": {[]Use{
			{CPU: 1000, Memory: 1000, UsedCPU: 500, UsedMemory: 1000, Pods: 1}, {CPU: 1000, Memory: 1000, Pods: 3},
		}, Placement{StrandedCPU: 25, Spread: 1, Fragmented: 0}},
		"CPU nearly full": {[]Use{{CPU: 1000, Memory: 1000, UsedCPU: 900, UsedMemory: 500}}, Placement{StrandedMemory: 40}},
	} {
		got := Judge(c.nodes, mean, largest)
		for what, pair := range map[string][2]float64{
			"fragmented": {got.Fragmented, c.want.Fragmented}, "stranded CPU": {got.StrandedCPU, c.want.StrandedCPU},
			"stranded memory": {got.StrandedMemory, c.want.StrandedMemory}, "spread": {got.Spread, c.want.Spread},
		} {
			if math.Abs(pair[0]-pair[1]) > 1e-9 {
				t.Errorf("%s: %s: got %v, want %v", name, what, pair[0], pair[1])
			}
		}
	}
}
