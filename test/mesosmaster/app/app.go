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
	"strings"
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
	c, err := o.start(cfg)
	if err != nil {
		return err
	}
	defer c.stop()
	klog.FromContext(ctx).Info("Emulated Mesos listening", "addresses", c.addresses, "masters", o.Masters, "agents", len(cfg.Agents))
	if o.PortFile != "" {
		if err := writeFile(o.PortFile, strings.Join(c.addresses, "\n")); err != nil {
			return err
		}
	}
	err = o.serve(ctx, c.m)
	klog.FromContext(ctx).Info("Emulated Mesos stopping")
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	return errors.Join(err, c.m.Shutdown(stopCtx))
}

// cluster is what runs.
type cluster struct {
	m         *mesosmaster.Master
	e         *mesosmaster.Ensemble // nil with one master
	addresses []string
	closers   []func()
}

func (c *cluster) stop() {
	for i := len(c.closers) - 1; i >= 0; i-- {
		c.closers[i]()
	}
}

// start makes everything listen.
func (o *Options) start(cfg mesosmaster.Config) (c *cluster, err error) {
	c = &cluster{}
	defer func() {
		if err != nil {
			c.stop()
		}
	}()
	if o.Masters == 1 {
		err = o.startOne(c, cfg)
	} else {
		err = o.startSeveral(c, cfg)
	}
	if err != nil || o.ControlListen == "" {
		return c, err
	}
	bound, stop, err := serveControl(o.ControlListen, &control{c.m, c.e})
	if err != nil {
		return c, err
	}
	c.closers, c.addresses = append(c.closers, stop), append(c.addresses, bound)
	return c, nil
}

func (o *Options) startOne(c *cluster, cfg mesosmaster.Config) error {
	m, err := mesosmaster.NewMaster(cfg)
	if err != nil {
		return err
	}
	c.m, c.closers = m, append(c.closers, m.Close)
	if err := m.Start(o.Listen); err != nil {
		return err
	}
	c.addresses = append(c.addresses, m.Addr())
	return nil
}

// startSeveral starts several masters and their ZooKeeper.
func (o *Options) startSeveral(c *cluster, cfg mesosmaster.Config) error {
	cfg.RecoveryTime = recoveryTime
	e, err := mesosmaster.NewEnsemble(mesosmaster.EnsembleConfig{
		Config: cfg, Addresses: make([]mesosmaster.Address, o.Masters), SessionTimeout: o.SessionTimeout,
		JoinTime: joinTime, DetectTime: detectTime,
	})
	if err != nil {
		return err
	}
	c.m, c.e, c.closers = e.Master, e, append(c.closers, e.Close)
	for i := range o.Masters {
		addr, err := nextPort(o.Listen, i)
		if err == nil {
			err = e.Listen(i, addr)
		}
		if err != nil {
			return err
		}
		c.addresses = append(c.addresses, e.Address(i))
	}
	server := zk.NewServer(e)
	c.closers = append(c.closers, server.Close)
	if err := server.Start(o.ZooKeeperListen); err != nil {
		return err
	}
	c.addresses = append(c.addresses, server.Addr())
	return nil
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
