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

package components

import (
	"github.com/spf13/cobra"

	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

// RunAPIServer runs the stock kube-apiserver with its own flags.
func RunAPIServer(args []string) int {
	return runCommand(apiserver.NewAPIServerCommand, args)
}

// RunControllerManager runs the stock kube-controller-manager with its own
// flags.
func RunControllerManager(args []string) int {
	return runCommand(controllermanager.NewControllerManagerCommand, args)
}

// runCommand builds a component's command in this process and runs it the way
// the Kubernetes binaries do.
func runCommand(build func() *cobra.Command, args []string) int {
	command := build()
	command.SetArgs(args)
	return cli.Run(command)
}
