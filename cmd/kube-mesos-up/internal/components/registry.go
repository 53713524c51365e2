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

// Package components holds the programs that make up a local cluster. All of
// them are linked into one binary and each runs in a process of its own, since
// Kubernetes components share process globals (feature gates, flags, metrics).
package components

import (
	"fmt"
	"slices"
	"strings"
)

// Name is the name of one component, as used on the command line
// ("kube-mesos-up component NAME ARGS...") and for its log file.
type Name string

// The components of a local cluster, in the order they start.
const (
	Etcd              Name = "etcd"
	APIServer         Name = "kube-apiserver"
	ControllerManager Name = "kube-controller-manager"
	Kwok              Name = "kwok"
	MesosMaster       Name = "mesos-master"
	Scheduler         Name = "kube-mesos-scheduler"
)

// Main runs a component with its arguments (without the program's name) until
// it ends, and returns the exit code of the process. It may use every process
// global, since nothing else runs in its process.
type Main func(args []string) int

// Registry maps components to their entry points. Entry points are called in
// the component's own process only; building them has side effects there
// (signal handlers, feature gates).
type Registry map[Name]Main

// Run runs the component called name and returns its exit code. An unknown
// name is an error that lists the known ones.
func (r Registry) Run(name Name, args []string) (int, error) {
	main, ok := r[name]
	if !ok {
		return 0, fmt.Errorf("unknown component %q: use one of %s", name, strings.Join(r.names(), ", "))
	}
	return main(args), nil
}

func (r Registry) names() []string {
	names := make([]string, 0, len(r))
	for name := range r {
		names = append(names, string(name))
	}
	slices.Sort(names)
	return names
}
