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

package cluster

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
	"k8s.io/kubernetes/cmd/kube-scheduler/app/options"
	"k8s.io/kubernetes/pkg/scheduler"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	"k8s.io/kubernetes/pkg/scheduler/profile"

	"github.com/kube-mesos/kube-mesos/plugins/mesosoffers"
)

// SchedulerName is what the tests' pods ask for.
const SchedulerName = "kube-mesos"

const schedulerConfig = `
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
      masters: [%q]
      frameworkIDConfigMap: {namespace: kube-system, name: %q}
%s`

// Scheduler is one run of our scheduler.
type Scheduler struct {
	Runtime *mesosoffers.Runtime
	cancel  context.CancelFunc
	done    chan struct{}
}

// StartScheduler starts our scheduler as its command does, as a leader.
func (c *Cluster) StartScheduler() *Scheduler {
	s := c.BuildScheduler(true)
	return s
}

// BuildScheduler starts our scheduler. A standby runs its informers and nothing
// else, as before leader election.
func (c *Cluster) BuildScheduler(leader bool) *Scheduler {
	c.T.Helper()
	logger := ktesting.NewLogger(c.T, ktesting.NewConfig(ktesting.Verbosity(2)))
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), logger))
	s := &Scheduler{Runtime: mesosoffers.NewRuntime(), cancel: cancel, done: make(chan struct{})}
	sched, start, err := c.setup(ctx, s.Runtime)
	if err != nil {
		cancel()
		c.T.Fatal(err)
	}
	if leader {
		s.Runtime.Gate(sched)
	}
	go func() {
		defer close(s.done)
		start()
		if !leader {
			<-ctx.Done()
			return
		}
		sched.Run(ctx)
	}()
	c.T.Cleanup(s.Kill)
	return s
}

func (c *Cluster) setup(ctx context.Context, runtime *mesosoffers.Runtime) (*scheduler.Scheduler, func(), error) {
	file := filepath.Join(c.T.TempDir(), "scheduler.yaml")
	master := cmp.Or(c.Master, c.Mesos.Addr())
	if c.MesosAPI != nil {
		master = c.proxy()
	}
	text := fmt.Sprintf(schedulerConfig, master, c.configMap, c.Args)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, nil, err
	}
	config, err := options.LoadConfigFromFile(klog.FromContext(ctx), file)
	if err != nil {
		return nil, nil, err
	}
	api := rest.CopyConfig(c.Config)
	api.QPS, api.Burst = 5000, 5000
	hook := c.API
	api.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return tripper(func(req *http.Request) (*http.Response, error) {
			switch {
			case ctx.Err() != nil:
				// Of a process that was killed nothing goes out any more.
				return nil, ctx.Err()
			case hook != nil:
				return hook(req, next)
			}
			return next.RoundTrip(req)
		})
	})
	client, err := kubernetes.NewForConfig(api)
	if err != nil {
		return nil, nil, err
	}
	informers := scheduler.NewInformerFactory(client, 0)
	broadcaster := events.NewEventBroadcasterAdapterWithContext(ctx, client)
	broadcaster.StartRecordingToSink(ctx.Done())
	sched, err := scheduler.New(ctx, client, informers, nil,
		profile.RecorderFactory(func(name string) events.EventRecorder { return broadcaster.NewRecorder(name) }),
		scheduler.WithKubeConfig(api),
		scheduler.WithProfiles(config.Profiles...),
		scheduler.WithFrameworkOutOfTreeRegistry(frameworkruntime.Registry{mesosoffers.Name: runtime.New}))
	if err != nil {
		return nil, nil, err
	}
	sched.SchedulingQueue = copyingQueue{sched.SchedulingQueue}
	return sched, func() {
		informers.Start(ctx.Done())
		informers.WaitForCacheSync(ctx.Done())
		_ = sched.WaitForHandlersSync(ctx)
	}, nil
}

// Kill ends the scheduler as kill -9 would: nothing is given back in order. It may
// be called more than once.
func (s *Scheduler) Kill() {
	s.cancel()
	<-s.done
}

// Stop ends the scheduler as SIGTERM would.
func (s *Scheduler) Stop(ctx context.Context) error {
	err := s.Runtime.Stop(ctx)
	s.Kill()
	return err
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func freeURLs(t *testing.T, n int) []url.URL {
	t.Helper()
	urls := make([]url.URL, 0, n)
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		urls = append(urls, url.URL{Scheme: "http", Host: l.Addr().String()})
	}
	return urls
}
