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

// Package app is the mesos-master-emulator command.
package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"k8s.io/klog/v2"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/neighbour"
)

// Options are the command's flags.
type Options struct {
	Listen              string
	Agents              int
	AgentHostnameFormat string
	AgentResources      string
	AgentsFromFile      string
	AllocationInterval  time.Duration
	LaunchDelay         time.Duration
	KillDelay           time.Duration
	NeighbourAgents     int
	NeighbourHold       time.Duration
	NeighbourRest       time.Duration
	Seed                int64
	PortFile            string
}

// NewCommand returns the command. It runs until its context ends.
func NewCommand() *cobra.Command {
	o := &Options{}
	cmd := &cobra.Command{
		Use:           "mesos-master-emulator",
		Short:         "An emulated Apache Mesos master with agents, for tests and demonstrations",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: false,
		RunE:          func(cmd *cobra.Command, _ []string) error { return o.Run(cmd.Context()) },
	}
	o.addFlags(cmd)
	return cmd
}

func (o *Options) addFlags(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&o.Listen, "listen", "127.0.0.1:5050", "host:port to listen on; port 0 takes any free one")
	fs.IntVar(&o.Agents, "agents", 3, "number of emulated agents")
	fs.StringVar(&o.AgentHostnameFormat, "agent-hostname-format", "node-%03d", "host names of the agents, numbered from 0")
	fs.StringVar(&o.AgentResources, "agent-resources", "cpus:4;mem:16384;disk:100000;ports:[31000-32000]", "resources of each agent, in the form of the Mesos agent's --resources")
	fs.StringVar(&o.AgentsFromFile, "agents-from-file", "", "JSON list of {hostname, resources, attributes} to use instead of --agents")
	fs.DurationVar(&o.AllocationInterval, "allocation-interval", time.Second, "time between allocation runs")
	fs.DurationVar(&o.LaunchDelay, "launch-delay", 0, "time an agent takes to start a task")
	fs.DurationVar(&o.KillDelay, "kill-delay", 0, "time a task takes to die")
	fs.IntVar(&o.NeighbourAgents, "neighbour-agents", 0, "number of agents a neighbour framework takes whole; 0 for none")
	fs.DurationVar(&o.NeighbourHold, "neighbour-hold", time.Minute, "time the neighbour keeps an agent; 0 for ever")
	fs.DurationVar(&o.NeighbourRest, "neighbour-rest", 10*time.Second, "time the neighbour waits before it takes an agent again")
	fs.Int64Var(&o.Seed, "seed", 0, "seed of ids and of the order of agents; 0 takes a random one")
	fs.StringVar(&o.PortFile, "port-file", "", "file to write the address listened on to")
}

// agentEntry is one element of --agents-from-file.
type agentEntry struct {
	Hostname   string            `json:"hostname"`
	Resources  string            `json:"resources"`
	Attributes map[string]string `json:"attributes"`
}

func (o *Options) agents() ([]mesosmaster.AgentConfig, error) {
	var out []mesosmaster.AgentConfig
	if o.AgentsFromFile == "" {
		if strings.Contains(fmt.Sprintf(o.AgentHostnameFormat, 0), "%!") {
			return nil, fmt.Errorf("--agent-hostname-format %q: want exactly one verb for a number, such as %%03d", o.AgentHostnameFormat)
		}
		for i := range o.Agents {
			out = append(out, mesosmaster.AgentConfig{Hostname: fmt.Sprintf(o.AgentHostnameFormat, i), Resources: o.AgentResources})
		}
		return out, nil
	}
	data, err := os.ReadFile(o.AgentsFromFile)
	if err != nil {
		return nil, fmt.Errorf("--agents-from-file: %w", err)
	}
	var entries []agentEntry
	if err := json.Unmarshal(data, &entries); err != nil {
		return nil, fmt.Errorf("--agents-from-file %s: want a JSON list of {hostname, resources, attributes}: %w", o.AgentsFromFile, err)
	}
	for _, e := range entries {
		if e.Resources == "" {
			e.Resources = o.AgentResources
		}
		out = append(out, mesosmaster.AgentConfig{Hostname: e.Hostname, Resources: e.Resources, Attributes: e.Attributes})
	}
	return out, nil
}

// Run serves until ctx ends.
func (o *Options) Run(ctx context.Context) error {
	logger := klog.FromContext(ctx)
	if o.Agents < 0 || o.NeighbourAgents < 0 {
		return errors.New("--agents and --neighbour-agents must not be negative")
	}
	list, err := o.agents()
	if err != nil {
		return err
	}
	seed := o.Seed
	if seed == 0 {
		seed = time.Now().UnixNano()
	}
	m, err := mesosmaster.NewMaster(mesosmaster.Config{
		AllocationInterval: o.AllocationInterval, LaunchDelay: o.LaunchDelay, KillDelay: o.KillDelay, Seed: seed,
		Agents: list,
	})
	if err != nil {
		return err
	}
	defer m.Close()
	if err := m.Start(o.Listen); err != nil {
		return err
	}
	logger.Info("Emulated Mesos master listening", "address", m.Addr(), "agents", len(list))
	if o.PortFile != "" {
		if err := writeFile(o.PortFile, m.Addr()); err != nil {
			return err
		}
	}
	err = o.serve(ctx, m)
	logger.Info("Emulated Mesos master stopping")
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	return errors.Join(err, m.Shutdown(stopCtx))
}

// shutdownTimeout bounds how long calls in flight are waited for.
const shutdownTimeout = 5 * time.Second

// serve waits for the end of ctx, with the neighbour running meanwhile.
func (o *Options) serve(ctx context.Context, m *mesosmaster.Master) error {
	if o.NeighbourAgents <= 0 {
		<-ctx.Done()
		return nil
	}
	n, err := neighbour.New(neighbour.Config{
		URL: m.URL(), Transport: m.Transport(), Machines: o.NeighbourAgents, Hold: o.NeighbourHold, Rest: o.NeighbourRest,
	})
	if err != nil {
		return err
	}
	return n.Run(ctx)
}

// writeFile writes whole or not at all, so that a reader never sees half of it.
func writeFile(path, content string) error {
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, []byte(content+"\n"), 0o644); err != nil {
		return fmt.Errorf("--port-file: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return errors.Join(fmt.Errorf("--port-file: %w", err), os.Remove(tmp))
	}
	return nil
}
