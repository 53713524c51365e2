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
	"sync"

	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// profileCheck finds out, once, whether the profile lets the plugin do its work.
// A factory cannot know: the profile is complete only when all plugins are built.
type profileCheck struct {
	once    sync.Once
	problem string
}

// Problems of a profile. They are told on every pod that it turns away.
const (
	problemBinder = "the scheduler profile binds with another plugin before MesosOffers; disable DefaultBinder at the extension point bind"
	problemPoints = "the scheduler profile does not enable MesosOffers at all its extension points; enable it under multiPoint"
)

// check returns why no pod may be placed with this profile, "" if all is well. A
// pod that another plugin binds would not name its task: after a restart nobody
// would know what it holds.
func (c *profileCheck) check(handle framework.Handle, logger klog.Logger, pod *v1.Pod) string {
	c.once.Do(func() {
		lister, ok := handle.(interface {
			ListPlugins() *schedulerconfig.Plugins
		})
		if !ok {
			return
		}
		if c.problem = problemOf(lister.ListPlugins()); c.problem != "" {
			logger.Error(nil, "The scheduler profile is wrong, none of its pods is placed", "profile", pod.Spec.SchedulerName, "problem", c.problem)
		} else if advice := adviceOn(lister.ListPlugins()); advice != "" {
			logger.Info("The scheduler profile should be changed", "profile", pod.Spec.SchedulerName, "problem", advice)
		}
	})
	return c.problem
}

func problemOf(plugins *schedulerconfig.Plugins) string {
	if len(plugins.Bind.Enabled) == 0 || plugins.Bind.Enabled[0].Name != Name {
		return problemBinder
	}
	for _, set := range []schedulerconfig.PluginSet{plugins.Filter, plugins.Reserve, plugins.PreBind, plugins.PostBind} {
		enabled := false
		for _, plugin := range set.Enabled {
			enabled = enabled || plugin.Name == Name
		}
		if !enabled {
			return problemPoints
		}
	}
	return ""
}

// advicePostFilter is for a profile that works, but preempts too much.
const advicePostFilter = "another plugin comes before MesosOffers at the extension point postFilter, and may preempt pods for one that merely waits for an offer; enable MesosOffers under postFilter, too: that puts it first"

// adviceOn returns what should be changed in a profile that works, "" for nothing.
func adviceOn(plugins *schedulerconfig.Plugins) string {
	if set := plugins.PostFilter.Enabled; len(set) > 0 && set[0].Name != Name {
		return advicePostFilter
	}
	return ""
}
