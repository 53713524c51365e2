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
	"testing"

	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
)

func pluginSet(names ...string) (set schedulerconfig.PluginSet) {
	for _, name := range names {
		set.Enabled = append(set.Enabled, schedulerconfig.Plugin{Name: name})
	}
	return set
}

func TestProfileProblems(t *testing.T) {
	good := func() *schedulerconfig.Plugins {
		return &schedulerconfig.Plugins{
			Filter: pluginSet("NodeName", Name), PostFilter: pluginSet(Name, "DefaultPreemption"), Reserve: pluginSet(Name),
			PreBind: pluginSet("VolumeBinding", Name), Bind: pluginSet(Name), PostBind: pluginSet(Name),
		}
	}
	for _, tc := range []struct {
		name            string
		change          func(*schedulerconfig.Plugins)
		problem, advice string
	}{
		{"good", func(*schedulerconfig.Plugins) {}, "", ""},
		{"no post filter at all", func(p *schedulerconfig.Plugins) { p.PostFilter = pluginSet() }, "", ""},
		{"preemption first", func(p *schedulerconfig.Plugins) { p.PostFilter = pluginSet("DefaultPreemption", Name) }, "", advicePostFilter},
		{"another binder", func(p *schedulerconfig.Plugins) { p.Bind = pluginSet("DefaultBinder", Name) }, problemBinder, ""},
		{"no binder", func(p *schedulerconfig.Plugins) { p.Bind = pluginSet() }, problemBinder, ""},
		{"no filter", func(p *schedulerconfig.Plugins) { p.Filter = pluginSet("NodeName") }, problemPoints, ""},
		{"no reserve", func(p *schedulerconfig.Plugins) { p.Reserve = pluginSet() }, problemPoints, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			plugins := good()
			tc.change(plugins)
			if got := problemOf(plugins); got != tc.problem {
				t.Errorf("problem %q, want %q", got, tc.problem)
			}
			if got := adviceOn(plugins); got != tc.advice {
				t.Errorf("advice %q, want %q", got, tc.advice)
			}
		})
	}
}
