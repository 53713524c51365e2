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

package stage

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kube-scheduler/app/options"
	"k8s.io/kubernetes/pkg/scheduler"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	"k8s.io/kubernetes/pkg/scheduler/profile"

	"github.com/kube-mesos/kube-mesos/plugins/mesosoffers"
)

// SchedulerName is what the stage's pods ask for.
const SchedulerName = "kube-mesos"

const configuration = `
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- schedulerName: ` + SchedulerName + `
  plugins:
    postFilter: {enabled: [{name: MesosOffers}]}
    bind: {disabled: [{name: DefaultBinder}]}
    multiPoint: {enabled: [{name: MesosOffers}]}
  pluginConfig:
  - name: MesosOffers
    args:
      apiVersion: kubescheduler.config.k8s.io/v1
      kind: MesosOffersArgs
      masters: ["master.example:5050"]
      framework: {name: %q, role: %q}
%s`

// resync of the informers. Those of a fake API server never block on a network, and
// with 0 the reflector would make a channel that synctest takes for a deadlock.
const resync = 24 * time.Hour

// SchedulerOptions say how our scheduler is set up.
type SchedulerOptions struct {
	// Name is the framework's name, Role the Mesos role of all pods.
	Name, Role string
	// Args are further arguments of the plugin, YAML indented by six spaces.
	Args string
	// Dial reaches the master.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Dir is where the configuration is written.
	Dir string
	// Logger is for the scheduler; the zero Logger discards.
	Logger logr.Logger
}

// Scheduler is one run of our scheduler.
type Scheduler struct {
	Runtime   *mesosoffers.Runtime
	informers informers.SharedInformerFactory
	cancel    context.CancelFunc
	done      chan struct{}
}

// StartScheduler starts our scheduler as its command does when it leads.
func StartScheduler(api *API, o SchedulerOptions) (*Scheduler, error) {
	if o.Logger.GetSink() == nil {
		o.Logger = logr.Discard()
	}
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), o.Logger))
	s := &Scheduler{Runtime: mesosoffers.NewRuntime(mesosoffers.WithDial(o.Dial)), cancel: cancel, done: make(chan struct{})}
	sched, err := s.setup(ctx, api, o)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("stage: cannot set up the scheduler: %w", err)
	}
	s.Runtime.Gate(sched)
	s.informers.Start(ctx.Done())
	s.informers.WaitForCacheSync(ctx.Done())
	if err := sched.WaitForHandlersSync(ctx); err != nil {
		cancel()
		return nil, fmt.Errorf("stage: the scheduler's informers: %w", err)
	}
	go func() {
		defer close(s.done)
		sched.Run(ctx)
	}()
	return s, nil
}

func (s *Scheduler) setup(ctx context.Context, api *API, o SchedulerOptions) (*scheduler.Scheduler, error) {
	file := filepath.Join(o.Dir, "scheduler.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, configuration, o.Name, o.Role, o.Args), 0o600); err != nil {
		return nil, err
	}
	config, err := options.LoadConfigFromFile(klog.FromContext(ctx), file)
	if err != nil {
		return nil, err
	}
	s.informers = informers.NewSharedInformerFactory(api.Client(), resync)
	return scheduler.New(ctx, api.Client(), s.informers, nil,
		profile.RecorderFactory(func(string) events.EventRecorder { return silent{} }),
		scheduler.WithKubeConfig(&rest.Config{}),
		scheduler.WithProfiles(config.Profiles...),
		scheduler.WithFrameworkOutOfTreeRegistry(frameworkruntime.Registry{mesosoffers.Name: s.Runtime.New}))
}

// Stop ends the scheduler as SIGTERM does: it gives everything back first.
func (s *Scheduler) Stop(ctx context.Context) error {
	err := s.Runtime.Stop(ctx)
	s.cancel()
	<-s.done
	s.informers.Shutdown()
	// The scheduler's metrics look once a second whether they are to end.
	time.Sleep(2 * time.Second)
	return err
}

// silent is an event recorder for events that nobody reads.
type silent struct{}

// Eventf implements events.EventRecorder.
func (silent) Eventf(runtime.Object, runtime.Object, string, string, string, string, ...any) {}

// nodeCapacity is more than any pod of the stage asks for: what a node has room for
// is for Mesos to say.
func nodeCapacity() v1.ResourceList {
	return v1.ResourceList{
		v1.ResourceCPU: resource.MustParse("1000"), v1.ResourceMemory: resource.MustParse("10Ti"),
		v1.ResourcePods: resource.MustParse("10000"),
	}
}
