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

// Package app is the command kube-mesos-scheduler. It runs kube-scheduler by its
// exported parts, adds our plugin and Coscheduling to its registry, starts the
// Mesos session when this replica leads, and serves the session's readiness.
package app

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/cli/globalflag"
	"k8s.io/component-base/logs"
	"k8s.io/component-base/term"
	"k8s.io/component-base/version/verflag"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

// NewCommand returns the command. Its flags are kube-scheduler's.
func NewCommand() *cobra.Command {
	opts := options.NewOptions()
	cmd := &cobra.Command{
		Use: "kube-mesos-scheduler",
		Long: `kube-mesos-scheduler is a secondary Kubernetes scheduler and an Apache Mesos
framework at once. It binds a pod only to a node whose Mesos agent offered the
pod's resources and confirmed that they are held for it. It is kube-scheduler with
the plugin MesosOffers: all flags, profiles and plugins of kube-scheduler work.

Pods choose it with "schedulerName: kube-mesos" (the name is the profile's). The
plugin's arguments, above all the masters, are set in the configuration file under
profiles[].pluginConfig, kind MesosOffersArgs.`,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			// Feature gates must be set before the rest of the options is used.
			return opts.ComponentGlobalsRegistry.Set()
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			verflag.PrintAndExitIfRequested()
			return run(cmd, opts)
		},
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%q takes no arguments, got %q; everything is set by flags and --config", cmd.CommandPath(), args)
			}
			return nil
		},
	}
	flags := opts.Flags
	verflag.AddFlags(flags.FlagSet("global"))
	globalflag.AddGlobalFlags(flags.FlagSet("global"), cmd.Name(), logs.SkipLoggingConfigurationFlags())
	for _, set := range flags.FlagSets {
		cmd.Flags().AddFlagSet(set)
	}
	columns, _, _ := term.TerminalSize(os.Stdout)
	cliflag.SetUsageAndHelpFunc(cmd, *flags, columns)
	if err := cmd.MarkFlagFilename("config", "yaml", "yml", "json"); err != nil {
		klog.Background().Error(err, "Failed to mark flag filename")
	}
	return cmd
}
