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

// Package mesosoffers is the scheduling-framework plugin: a pod is bound only to
// a node whose Mesos agent offered the pod's resources and confirmed that we hold
// them. It holds extension points and nothing else; what they decide on lives in
// the packages below plugins/internal. It is also the only package that imports
// the scheduler framework.
//
// kube-mesos-scheduler gates the Mesos session by leader election. In any other
// scheduler, register New:
//
//	app.NewSchedulerCommand(app.WithPlugin(mesosoffers.Name, mesosoffers.New))
//
// and the session starts with the first scheduling cycle, which only a leader
// runs.
package mesosoffers

import (
	"context"
	"fmt"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/runtime"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config"
	// The plugin's arguments are decoded by kube-scheduler's own scheme.
	_ "github.com/kube-mesos/kube-mesos/plugins/apis/config/scheme"
	"github.com/kube-mesos/kube-mesos/plugins/internal/lifecycle"
)

// Name is the plugin's name in the scheduler's configuration.
const Name = "MesosOffers"

// Plugin is one profile's instance; all profiles of a process share one Runtime.
type Plugin struct {
	runtime *Runtime
	manager *lifecycle.Manager
	handle  framework.Handle
	args    *config.MesosOffersArgs
	reasons *reasons
	// next is where the next choice of candidates starts.
	next atomic.Int64
	// budget bounds how many pods an event of the cluster wakes.
	budget hintBudget
	// profile is the check of the profile that this instance serves.
	profile profileCheck
}

var (
	_ framework.PreFilterPlugin     = (*Plugin)(nil)
	_ framework.PreFilterExtensions = (*Plugin)(nil)
	_ framework.FilterPlugin        = (*Plugin)(nil)
	_ framework.PostFilterPlugin    = (*Plugin)(nil)
	_ framework.PreScorePlugin      = (*Plugin)(nil)
	_ framework.ScorePlugin         = (*Plugin)(nil)
	_ framework.ReservePlugin       = (*Plugin)(nil)
	_ framework.PreBindPlugin       = (*Plugin)(nil)
	_ framework.BindPlugin          = (*Plugin)(nil)
	_ framework.PostBindPlugin      = (*Plugin)(nil)
	_ framework.EnqueueExtensions   = (*Plugin)(nil)
)

// shared is the runtime of schedulers that register New themselves.
var shared = NewRuntime()

// New builds the plugin for one profile, of a scheduler that has no leader gate
// of its own: see the package comment.
func New(ctx context.Context, args runtime.Object, handle framework.Handle) (framework.Plugin, error) {
	shared.startOnCycle()
	return shared.New(ctx, args, handle)
}

// Name implements framework.Plugin.
func (p *Plugin) Name() string { return Name }

func getArgs(obj runtime.Object) (*config.MesosOffersArgs, error) {
	args, ok := obj.(*config.MesosOffersArgs)
	if !ok {
		return nil, fmt.Errorf("want args of type MesosOffersArgs for plugin %s, got %T; set pluginConfig with kind MesosOffersArgs", Name, obj)
	}
	return args, nil
}

// reject turns a pod or node away for a reason that users read. Reasons are
// histogram keys in the scheduler's messages: they must be constant.
func reject(code fwk.Code, reason string) *fwk.Status { return fwk.NewStatus(code, reason) }

func nodeNameOf(info fwk.NodeInfo) string {
	if node := info.Node(); node != nil {
		return node.Name
	}
	return ""
}
