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

// Command kube-mesos-up runs a whole local cluster: etcd, kube-apiserver,
// kube-controller-manager, simulated nodes, an emulated (or a real) Mesos master
// and kube-mesos-scheduler, all from this one program, each in a process of its
// own. Nothing is downloaded and nothing outlives it.
package main

import (
	"fmt"
	"os"

	"k8s.io/component-base/cli"

	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/app"
	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/components"
)

func main() { os.Exit(run()) }

func run() int {
	registry := components.Default()
	addMesosComponents(registry)
	// Components parse their arguments themselves, some from os.Args.
	if len(os.Args) >= 3 && os.Args[1] == "component" {
		code, err := registry.Run(components.Name(os.Args[2]), os.Args[3:])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
		return code
	}
	return cli.Run(app.NewCommand())
}
