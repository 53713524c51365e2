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

package main

import (
	"context"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"k8s.io/component-base/cli"

	scheduler "github.com/kube-mesos/kube-mesos/cmd/kube-mesos-scheduler/app"
	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/components"
	mesosmaster "github.com/kube-mesos/kube-mesos/test/mesosmaster/app"
)

// addMesosComponents adds what is ours: the scheduler and the emulated master.
func addMesosComponents(registry components.Registry) {
	registry[components.Scheduler] = command(scheduler.NewCommand)
	registry[components.MesosMaster] = func(args []string) int {
		// The emulator ends with its command's context, unlike Kubernetes
		// components, which handle signals themselves.
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		return command(func() *cobra.Command {
			cmd := mesosmaster.NewCommand()
			cmd.SetContext(ctx)
			return cmd
		})(args)
	}
}

// command runs a cobra command the way the Kubernetes binaries do. It is built
// in the component's own process only.
func command(build func() *cobra.Command) components.Main {
	return func(args []string) int {
		cmd := build()
		cmd.SetArgs(args)
		return cli.Run(cmd)
	}
}
