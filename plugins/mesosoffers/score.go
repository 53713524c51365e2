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

package mesosoffers

import (
	"context"
	"time"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// maintenanceHorizon is how far ahead a maintenance window of an agent makes its
// node less wanted.
const maintenanceHorizon = 24 * time.Hour

// PreScore implements framework.PreScorePlugin. Only agents with a scheduled
// maintenance window are worth telling apart here; without one, scoring is left
// to the other plugins and costs nothing.
func (p *Plugin) PreScore(_ context.Context, _ fwk.CycleState, _ *v1.Pod, infos []fwk.NodeInfo) *fwk.Status {
	if p.manager.Cache().AnyUnavailable() {
		for _, info := range infos {
			if !p.unavailableAt(info).IsZero() {
				return nil
			}
		}
	}
	return fwk.NewStatus(fwk.Skip)
}

// Score implements framework.ScorePlugin: the later an agent goes into
// maintenance, the better; none is best.
func (p *Plugin) Score(_ context.Context, _ fwk.CycleState, _ *v1.Pod, info fwk.NodeInfo) (int64, *fwk.Status) {
	return maintenanceScore(p.unavailableAt(info), time.Now()), nil
}

// ScoreExtensions implements framework.ScorePlugin.
func (p *Plugin) ScoreExtensions() framework.ScoreExtensions { return nil }

func (p *Plugin) unavailableAt(info fwk.NodeInfo) time.Time {
	return p.manager.Cache().UnavailableAt(p.manager.Index().Lookup(info.Node()))
}

func maintenanceScore(at, now time.Time) int64 {
	if at.IsZero() {
		return framework.MaxNodeScore
	}
	left := min(max(at.Sub(now), 0), maintenanceHorizon)
	return int64(left) * (framework.MaxNodeScore - 1) / int64(maintenanceHorizon)
}
