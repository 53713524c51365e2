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
	"net/http"
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
	// WrapAPI, if set, is put between the scheduler's client and the API server, for
	// faults. It must heed the context of requests that it delays; a call that it
	// forwards after Kill has no effect.
	WrapAPI func(api http.RoundTripper) http.RoundTripper
	// Recorder takes the scheduler's events; nil discards them.
	Recorder events.EventRecorder
	// Dir is where the configuration is written.
	Dir string
	// Logger is for the scheduler; the zero Logger discards.
	Logger logr.Logger
}

// Scheduler is one run of our scheduler. Runs may follow each other, also where the one
// before was killed and has not been waited for.
type Scheduler struct {
	Runtime   *mesosoffers.Runtime
	informers informers.SharedInformerFactory
	links     *links
	cancel    context.CancelFunc
	done      chan struct{}
}

// StartScheduler starts our scheduler as its command does when it leads. It returns
// when the scheduler's informers are synced; to start without that, when the API server
// may be out of reach, use BeginScheduler.
func StartScheduler(api *API, o SchedulerOptions) (*Scheduler, error) {
	s, err := BeginScheduler(api, o)
	if err != nil {
		return nil, err
	}
	s.informers.WaitForCacheSync(nil)
	return s, nil
}

// BeginScheduler starts our scheduler as its command does when it leads, and does not
// wait for anything.
func BeginScheduler(api *API, o SchedulerOptions) (*Scheduler, error) {
	if o.Logger.GetSink() == nil {
		o.Logger = logr.Discard()
	}
	if o.Recorder == nil {
		o.Recorder = silent{}
	}
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), o.Logger))
	s := &Scheduler{links: newLinks(), cancel: cancel, done: make(chan struct{})}
	s.Runtime = mesosoffers.NewRuntime(mesosoffers.WithDial(s.links.dialer(o.Dial)))
	sched, err := s.setup(ctx, api, o)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("stage: cannot set up the scheduler: %w", err)
	}
	s.Runtime.Gate(sched)
	s.informers.Start(ctx.Done())
	go func() {
		defer close(s.done)
		s.informers.WaitForCacheSync(ctx.Done())
		if sched.WaitForHandlersSync(ctx) == nil {
			sched.Run(ctx)
		}
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
	client := newClient(s.links.transport(api, o.WrapAPI))
	s.informers = scheduler.NewInformerFactory(client, resync)
	return scheduler.New(ctx, client, s.informers, nil,
		profile.RecorderFactory(func(string) events.EventRecorder { return o.Recorder }),
		scheduler.WithKubeConfig(&rest.Config{}),
		scheduler.WithProfiles(config.Profiles...),
		scheduler.WithFrameworkOutOfTreeRegistry(frameworkruntime.Registry{mesosoffers.Name: s.Runtime.New}))
}

// Stop ends the scheduler as SIGTERM does: it gives everything back first.
func (s *Scheduler) Stop(ctx context.Context) error {
	err := s.Runtime.Stop(ctx)
	s.end()
	return err
}

// Kill ends the process as SIGKILL does, as far as anybody else can see: its
// connections break, and from now on nothing of it reaches the master or the API
// server. It returns at once and may be called from anywhere, also from within a call
// of the scheduler's; Crash or Reap must follow.
func (s *Scheduler) Kill() {
	s.links.cut()
	s.cancel()
}

// Reap waits until nothing is left of a scheduler that was killed.
func (s *Scheduler) Reap() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	// Nothing is given back: nothing gets through. It waits for the goroutines.
	if err := s.Runtime.Stop(ctx); ctx.Err() != nil {
		return fmt.Errorf("stage: the killed scheduler does not end: %w", err)
	}
	s.end()
	return nil
}

// Crash is Kill and Reap.
func (s *Scheduler) Crash() error {
	s.Kill()
	return s.Reap()
}

func (s *Scheduler) end() {
	s.cancel()
	<-s.done
	s.informers.Shutdown()
	s.links.cut()
	// The scheduler's metrics look once a second whether they are to end.
	time.Sleep(2 * time.Second)
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
