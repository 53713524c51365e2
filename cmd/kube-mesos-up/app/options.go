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

// Package app is the command line of kube-mesos-up.
package app

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/components"
	"github.com/kube-mesos/kube-mesos/manifests"
)

// Options are the flags of kube-mesos-up.
type Options struct {
	Nodes           int
	NodeResources   string
	NeighbourAgents int
	NeighbourHold   time.Duration
	MesosMaster     string
	DataDir         string
	Kubeconfig      string
	SchedulerConfig string
	Apply           []string
	Verbosity       int
	StartTimeout    time.Duration
	Demo            bool
	DemoTimeout     time.Duration

	out io.Writer
}

// NewOptions returns the defaults.
func NewOptions(out io.Writer) *Options {
	return &Options{
		Nodes: 20, NodeResources: "cpus:4;mem:16384;disk:100000;ports:[31000-32000]",
		NeighbourAgents: -1, NeighbourHold: 20 * time.Second,
		Verbosity: 2, StartTimeout: 3 * time.Minute, DemoTimeout: 5 * time.Minute, out: out,
	}
}

// AddFlags adds the flags to a set.
func (o *Options) AddFlags(fs *pflag.FlagSet) {
	fs.IntVar(&o.Nodes, "nodes", o.Nodes, "Number of machines: each is a Kubernetes node and an agent of the emulated Mesos master.")
	fs.StringVar(&o.NodeResources, "node-resources", o.NodeResources, "What each machine has, in Mesos' text form (mem and disk in MiB).")
	fs.IntVar(&o.NeighbourAgents, "neighbour-agents", o.NeighbourAgents, "How many machines' worth of resources another Mesos framework takes, gives back and takes again. Default: none, or half of the machines with --demo.")
	fs.DurationVar(&o.NeighbourHold, "neighbour-hold", o.NeighbourHold, "How long the other framework keeps what it took.")
	fs.StringVar(&o.MesosMaster, "mesos-master", "", "Use the Mesos cluster of this master (host:port) instead of an emulated one: one node for each of its agents.")
	fs.StringVar(&o.DataDir, "data-dir", "", "Folder for all data, kept for the next run. Default: a temporary folder, removed at exit.")
	fs.StringVar(&o.Kubeconfig, "kubeconfig", "", "Where to write the administrator's kubeconfig. Default: kubeconfig in the data folder.")
	fs.StringVar(&o.SchedulerConfig, "scheduler-config", "", "KubeSchedulerConfiguration to use; masters and kubeconfig are filled in. Default: manifests/scheduler-config/kube-mesos.yaml.")
	fs.StringSliceVar(&o.Apply, "apply", nil, "Manifests to apply before the scheduler starts, such as CustomResourceDefinitions and RBAC of further plugins. Separate files by commas or repeat the flag.")
	fs.IntVar(&o.Verbosity, "verbosity", o.Verbosity, "Log verbosity of the Kubernetes components.")
	fs.DurationVar(&o.StartTimeout, "start-timeout", o.StartTimeout, "How long the cluster may take to start.")
	fs.BoolVar(&o.Demo, "demo", false, "Run the examples, check from outside that every bound pod holds a matching Mesos task, print figures, and exit.")
	fs.DurationVar(&o.DemoTimeout, "demo-timeout", o.DemoTimeout, "How long the demo may take.")
}

// Complete fills in defaults that depend on other flags.
func (o *Options) Complete() {
	if o.NeighbourAgents < 0 {
		o.NeighbourAgents = 0
		if o.Demo && o.MesosMaster == "" {
			o.NeighbourAgents = o.Nodes / 2
		}
	}
}

// Validate returns all that is wrong with the flags.
func (o *Options) Validate() error {
	var errs []error
	if o.MesosMaster == "" && (o.Nodes < 1 || o.Nodes > 5000) {
		errs = append(errs, fmt.Errorf("--nodes: %d is not between 1 and 5000", o.Nodes))
	}
	if o.NeighbourAgents > 0 && o.MesosMaster != "" {
		errs = append(errs, errors.New("--neighbour-agents: only the emulated Mesos master has neighbours; leave out --mesos-master"))
	}
	if o.NeighbourAgents > o.Nodes {
		errs = append(errs, fmt.Errorf("--neighbour-agents: %d is more than the %d machines", o.NeighbourAgents, o.Nodes))
	}
	for name, d := range map[string]time.Duration{
		"--neighbour-hold": o.NeighbourHold, "--start-timeout": o.StartTimeout, "--demo-timeout": o.DemoTimeout,
	} {
		if d <= 0 {
			errs = append(errs, fmt.Errorf("%s: %v is not greater than zero", name, d))
		}
	}
	return errors.Join(errs...)
}

func (o *Options) emulator() components.Emulator {
	return components.Emulator{
		Agents: o.Nodes, Resources: o.NodeResources,
		NeighbourAgents: o.NeighbourAgents, NeighbourHold: o.NeighbourHold,
	}
}

// schedulerConfig returns the content of --scheduler-config or its default.
func (o *Options) schedulerConfig() ([]byte, error) {
	if o.SchedulerConfig == "" {
		return manifests.SchedulerConfig.ReadFile("scheduler-config/kube-mesos.yaml")
	}
	data, err := os.ReadFile(o.SchedulerConfig)
	if err != nil {
		return nil, fmt.Errorf("--scheduler-config: %w", err)
	}
	return data, nil
}

// manifests returns the contents of the files of --apply.
func (o *Options) manifests() ([][]byte, error) {
	var all [][]byte
	for _, path := range o.Apply {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("--apply: %w", err)
		}
		all = append(all, data)
	}
	return all, nil
}
