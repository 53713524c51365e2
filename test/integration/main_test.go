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

package integration

import (
	"fmt"
	"os"
	"testing"

	"github.com/spf13/cobra"

	"k8s.io/component-base/cli"
	kubescheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"

	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-scheduler/app"
	"github.com/kube-mesos/kube-mesos/plugins/mesosoffers"
)

// commandVariable makes the test binary be one of the commands instead: a command
// is one process's, for the sake of metrics and signals.
const commandVariable = "KUBE_MESOS_TEST_COMMAND"

var commands = map[string]func() *cobra.Command{
	// ours is kube-mesos-scheduler.
	"ours": app.NewCommand,
	// stock is somebody else's kube-scheduler with our plugin.
	"stock": func() *cobra.Command {
		return kubescheduler.NewSchedulerCommand(kubescheduler.WithPlugin(mesosoffers.Name, mesosoffers.New))
	},
}

func TestMain(m *testing.M) {
	name := os.Getenv(commandVariable)
	if name == "" {
		os.Exit(m.Run())
	}
	command := commands[name]
	if command == nil {
		fmt.Fprintf(os.Stderr, "%s=%q is no command\n", commandVariable, name)
		os.Exit(2)
	}
	os.Exit(cli.Run(command()))
}
