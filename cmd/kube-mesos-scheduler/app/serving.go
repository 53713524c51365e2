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

package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	goruntime "runtime"
	"time"

	genericapifilters "k8s.io/apiserver/pkg/endpoints/filters"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericfilters "k8s.io/apiserver/pkg/server/filters"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/apiserver/pkg/server/mux"
	"k8s.io/apiserver/pkg/server/routes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/component-base/configz"
	"k8s.io/component-base/logs"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/component-base/metrics/prometheus/slis"
	"k8s.io/kubernetes/pkg/scheduler"
	"k8s.io/kubernetes/pkg/scheduler/metrics/resources"

	"github.com/kube-mesos/kube-mesos/plugins/mesosoffers"
)

// serve serves what kube-scheduler serves, with two additions: /readyz fails while
// a leading replica has no Mesos session, and the debug pages of the plugin.
// kube-scheduler's own server has no hook for checks, so it is switched off here
// and one like it is built of the same public parts.
func serve(ctx context.Context, cc *completedConfig, sched *scheduler.Scheduler, runtime *mesosoffers.Runtime, leads func() bool) (stop func(), err error) {
	if cc.SecureServing == nil {
		return func() {}, nil
	}
	secure := cc.SecureServing
	cc.SecureServing = nil
	stopCh := make(chan struct{})
	stopped, listenerStopped, err := secure.Serve(protect(endpoints(ctx, cc, sched, runtime, leads), cc), 5*time.Second, stopCh)
	if err != nil {
		return nil, fmt.Errorf("cannot serve on %s: %w", secure.Listener.Addr(), err)
	}
	return func() {
		close(stopCh)
		<-listenerStopped
		<-stopped
	}, nil
}

// protect puts kube-scheduler's authentication and authorization before a handler.
func protect(handler http.Handler, cc *completedConfig) http.Handler {
	resolver := &apirequest.RequestInfoFactory{}
	handler = genericapifilters.WithAuthorization(handler, cc.Authorization.Authorizer, scheme.Codecs)
	handler = genericapifilters.WithAuthentication(handler, cc.Authentication.Authenticator, genericapifilters.Unauthorized(scheme.Codecs), nil, nil)
	handler = genericapifilters.WithRequestInfo(handler, resolver)
	handler = genericapifilters.WithCacheControl(handler)
	handler = genericfilters.WithHTTPLogging(handler)
	return genericfilters.WithPanicRecovery(handler, resolver)
}

func endpoints(ctx context.Context, cc *completedConfig, sched *scheduler.Scheduler, runtime *mesosoffers.Runtime, leads func() bool) http.Handler {
	paths := mux.NewPathRecorderMux("kube-mesos-scheduler")
	var live []healthz.HealthChecker
	if cc.ComponentConfig.LeaderElection.LeaderElect {
		live = append(live, cc.LeaderElection.WatchDog)
	}
	synced := make(chan struct{})
	go func() {
		if sched.WaitForHandlersSync(ctx) == nil {
			close(synced)
		}
	}()
	ready := append(live,
		healthz.NewShutdownHealthz(ctx.Done()),
		healthz.NamedCheck("sched-handler-sync", func(*http.Request) error {
			select {
			case <-synced:
				return nil
			default:
				return errors.New("handlers are not fully synchronized")
			}
		}),
		// A standby is ready: it can take over. Whether Mesos answers matters only
		// to the leader, and never to liveness: a restart cures no master.
		healthz.NamedCheck("mesos-session", func(*http.Request) error { return runtime.Ready() }))
	healthz.InstallHandler(paths, live...)
	healthz.InstallLivezHandler(paths)
	healthz.InstallReadyzHandler(paths, ready...)

	configz.InstallHandler(paths)
	paths.Handle("/metrics", legacyregistry.HandlerWithReset())
	podResources := resources.Handler(cc.InformerFactory.Core().V1().Pods().Lister())
	paths.HandleFunc("/metrics/resources", func(w http.ResponseWriter, r *http.Request) {
		if leads() {
			podResources.ServeHTTP(w, r)
		}
	})
	slis.SLIMetricsWithReset{}.Install(paths)
	debug := runtime.DebugHandler()
	paths.Handle(mesosoffers.DebugPrefix, debug)
	paths.HandlePrefix(mesosoffers.DebugPrefix+"/", debug)
	if cc.ComponentConfig.EnableProfiling {
		routes.Profiling{}.Install(paths)
		if cc.ComponentConfig.EnableContentionProfiling {
			goruntime.SetBlockProfileRate(1)
		}
		routes.DebugFlags{}.Install(paths, "v", routes.StringFlagPutHandler(logs.GlogSetter))
	}
	return paths
}
