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
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	cliflag "k8s.io/component-base/cli/flag"
	basecompatibility "k8s.io/component-base/compatibility"
	"k8s.io/component-base/featuregate"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kube-scheduler/app"
	schedulerconfig "k8s.io/kubernetes/cmd/kube-scheduler/app/config"
	"k8s.io/kubernetes/cmd/kube-scheduler/app/options"
	// Coscheduling's arguments are decoded by kube-scheduler's own scheme.
	_ "sigs.k8s.io/scheduler-plugins/apis/config/scheme"
	"sigs.k8s.io/scheduler-plugins/pkg/coscheduling"

	"github.com/kube-mesos/kube-mesos/plugins/mesosoffers"
)

// stopTimeout bounds how long the offers are given back before the process ends.
const stopTimeout = 10 * time.Second

// run is kube-scheduler's own runCommand with three additions: the session starts
// when this replica leads, it ends before the scheduler does, and /readyz knows
// about it.
func run(cmd *cobra.Command, opts *options.Options) error {
	gates := opts.ComponentGlobalsRegistry.FeatureGateFor(basecompatibility.DefaultKubeComponent)
	if err := logsapi.ValidateAndApply(opts.Logs, gates); err != nil {
		return err
	}
	cliflag.PrintFlags(cmd.Flags())

	signals, stopSignals := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stopSignals()
	ctx, cancel := context.WithCancel(context.WithoutCancel(cmd.Context()))
	defer cancel()

	runtime := mesosoffers.NewRuntime()
	cc, sched, err := app.Setup(ctx, opts,
		app.WithPlugin(mesosoffers.Name, runtime.New),
		app.WithPlugin(coscheduling.Name, coscheduling.New))
	if err != nil {
		return err
	}
	if gates, ok := gates.(featuregate.MutableFeatureGate); ok {
		gates.AddMetrics()
	}
	opts.ComponentGlobalsRegistry.AddMetrics()

	leads := runtime.Gate(sched)
	stopServing, err := serve(ctx, cc, sched, runtime, leads)
	if err != nil {
		return err
	}
	go watch(ctx, signals, cancel, runtime, stopServing)
	err = app.Run(ctx, cc, sched)
	if signals.Err() != nil {
		return nil
	}
	return err
}

// watch ends the process: in good order on a signal, at once when another instance
// has taken over our framework. A framework that the master removed stays up, not
// ready, for people to decide: restarting would not help.
func watch(ctx context.Context, signals context.Context, cancel context.CancelFunc, runtime *mesosoffers.Runtime, stopServing func()) {
	logger := klog.FromContext(ctx)
	for {
		select {
		case err := <-runtime.Fatal():
			if errors.Is(err, mesosoffers.ErrTakenOver) {
				logger.Error(err, "Stepping down")
				klog.FlushAndExit(klog.ExitFlushTimeout, 1)
			}
		case <-signals.Done():
			logger.Info("Stopping: giving offers back to Mesos")
			stop, done := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
			if err := runtime.Stop(stop); err != nil {
				logger.Error(err, "Did not give everything back in time; Mesos takes it back when the connection ends")
			}
			done()
			stopServing()
			cancel()
			return
		case <-ctx.Done():
			return
		}
	}
}

// completedConfig is what app.Setup returns.
type completedConfig = schedulerconfig.CompletedConfig
