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
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/neighbour"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/runner"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/zk"
)

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
	o.addFlags(cmd.Flags())
	return cmd
}

// Run serves until ctx ends.
func (o *Options) Run(ctx context.Context) error {
	cfg, err := o.config()
	if err != nil {
		return err
	}
	if o.RunExecutors != "" {
		local := runner.New(o.RunExecutors)
		defer local.Close()
		cfg.OwnExecutors, cfg.AgentsListen, cfg.Executors = true, true, local
	}
	m, stop, err := o.start(ctx, cfg)
	if err != nil {
		return err
	}
	defer stop()
	klog.FromContext(ctx).Info("Emulated Mesos master listening", "address", m.Addr(), "masters", o.Masters, "agents", len(cfg.Agents))
	if o.PortFile != "" {
		if err := writeFile(o.PortFile, m.Addr()); err != nil {
			return err
		}
	}
	err = o.serve(ctx, m)
	klog.FromContext(ctx).Info("Emulated Mesos master stopping")
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	return errors.Join(err, m.Shutdown(stopCtx))
}

// start makes the masters listen, and ZooKeeper if there are several.
func (o *Options) start(ctx context.Context, cfg mesosmaster.Config) (m *mesosmaster.Master, stop func(), err error) {
	if o.Masters == 1 {
		if m, err = mesosmaster.NewMaster(cfg); err != nil {
			return nil, nil, err
		}
		if err := m.Start(o.Listen); err != nil {
			m.Close()
			return nil, nil, err
		}
		return m, m.Close, nil
	}
	cfg.RecoveryTime = recoveryTime
	e, err := mesosmaster.NewEnsemble(mesosmaster.EnsembleConfig{
		Config: cfg, Addresses: make([]mesosmaster.Address, o.Masters), SessionTimeout: o.SessionTimeout,
		JoinTime: joinTime, DetectTime: detectTime,
	})
	if err != nil {
		return nil, nil, err
	}
	for i := range o.Masters {
		addr, err := nextPort(o.Listen, i)
		if err == nil {
			err = e.Listen(i, addr)
		}
		if err != nil {
			e.Close()
			return nil, nil, err
		}
	}
	server := zk.NewServer(e)
	if err := server.Start(o.ZooKeeperListen); err != nil {
		server.Close()
		e.Close()
		return nil, nil, err
	}
	klog.FromContext(ctx).Info("Emulated ZooKeeper listening", "url", "zk://"+server.Addr()+"/mesos")
	return e.Master, func() { server.Close(); e.Close() }, nil
}

// What masters that are elected take their time for, as recorded.
const (
	recoveryTime = 40 * time.Millisecond
	joinTime     = 100 * time.Millisecond
	detectTime   = 20 * time.Millisecond
)

// nextPort is the address of master i: ports count up from that of --listen, or
// are any free ones.
func nextPort(listen string, i int) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("--listen %q: %w", listen, err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return "", fmt.Errorf("--listen %q: want a number as port", listen)
	}
	if n != 0 {
		n += i
	}
	return net.JoinHostPort(host, strconv.Itoa(n)), nil
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
