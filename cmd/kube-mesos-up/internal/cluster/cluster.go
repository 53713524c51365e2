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

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/components"
	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/mesosstate"
	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/pki"
	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/process"
)

// Options describe a local cluster.
type Options struct {
	// Program is the path of this program, which runs each component.
	Program string
	// DataDir holds all files of the cluster; the caller holds its lock.
	DataDir string
	// Ephemeral says that DataDir is removed at the end.
	Ephemeral bool
	// Kubeconfig is where the administrator's kubeconfig is written.
	Kubeconfig string
	// MesosMaster is the address of a real master, "host:port". Empty: an
	// emulated one is started as Emulator says.
	MesosMaster string
	Emulator    components.Emulator
	// SchedulerConfig is the content of a KubeSchedulerConfiguration file. Its
	// masters and kubeconfig are replaced.
	SchedulerConfig []byte
	// Manifests are YAML files to apply before the scheduler starts: its service
	// account and rights, and what its configuration needs beside.
	Manifests [][]byte
	// Verbosity is the -v of the Kubernetes components.
	Verbosity int
	// Progress is told what was done, one line each.
	Progress func(line string)
}

// Cluster is a local cluster whose components run.
type Cluster struct {
	// Config reaches the kube-apiserver as administrator, without client-side
	// throttling.
	Config *rest.Config
	Client kubernetes.Interface
	// Mesos reads the Mesos master; MasterAddress is its "host:port".
	Mesos         *mesosstate.Client
	MasterAddress string
	// FrameworkName is how the scheduler registers with Mesos.
	FrameworkName string
	// Nodes is how many nodes there are.
	Nodes int

	opts       Options
	settings   components.Settings
	authority  *pki.Authority
	supervisor *process.Supervisor
}

// How long components may take to end. The scheduler gives its offers back
// first; the rest has nothing worth waiting for long.
const (
	schedulerGrace = 10 * time.Second
	componentGrace = 3 * time.Second
)

// New prepares a cluster: ports, certificates and configuration. It starts
// nothing.
func New(opts Options) (*Cluster, error) {
	ports, err := choosePorts(opts.DataDir)
	if err != nil {
		return nil, err
	}
	c := &Cluster{
		opts: opts, supervisor: process.NewSupervisor(), MasterAddress: opts.MesosMaster,
		settings: components.Settings{
			DataDir: opts.DataDir, PKIDir: filepath.Join(opts.DataDir, "pki"), Ports: ports,
			Ephemeral: opts.Ephemeral, Verbosity: opts.Verbosity, Emulator: opts.Emulator,
			SchedulerConfig: filepath.Join(opts.DataDir, "scheduler-config.yaml"),
		},
	}
	if c.MasterAddress == "" {
		c.MasterAddress = components.Local(ports.MesosMaster)
	}
	if c.Mesos, err = mesosstate.NewClient(c.MasterAddress); err != nil {
		return nil, err
	}
	if err := c.writeCertificates(); err != nil {
		return nil, err
	}
	if err := c.writeConfigurations(); err != nil {
		return nil, err
	}
	if c.Config, err = clientcmd.BuildConfigFromFlags("", opts.Kubeconfig); err != nil {
		return nil, fmt.Errorf("read the kubeconfig just written: %w", err)
	}
	c.Config.QPS = -1
	if c.Client, err = kubernetes.NewForConfig(c.Config); err != nil {
		return nil, fmt.Errorf("client of the kube-apiserver: %w", err)
	}
	return c, nil
}

// writeCertificates issues what every component needs to prove who it is.
func (c *Cluster) writeCertificates() error {
	authority, err := pki.LoadOrCreate(c.settings.PKIDir, time.Now)
	if err != nil {
		return err
	}
	c.authority = authority
	if err := authority.SigningKey("service-accounts"); err != nil {
		return err
	}
	admins := []string{"system:masters"}
	for name, subject := range map[string]pki.Subject{
		string(components.Etcd):      {User: "etcd", Server: true},
		"etcd-client":                {User: "kube-apiserver"},
		"front-proxy":                {User: components.FrontProxyUser},
		string(components.APIServer): {User: "kube-apiserver", Server: true, ServiceIPs: []net.IP{net.IPv4(10, 96, 0, 1)}},
		string(components.ControllerManager): {
			User: "system:kube-controller-manager", Server: true,
		},
		string(components.Kwok):      {User: "kwok", Groups: admins},
		string(components.Scheduler): {User: "kube-mesos-scheduler-endpoint", Server: true},
		"admin":                      {User: "kubernetes-admin", Groups: admins},
	} {
		if err := authority.Issue(name, subject); err != nil {
			return err
		}
	}
	server := c.Server()
	for _, name := range []components.Name{components.ControllerManager, components.Kwok} {
		if err := authority.CertificateKubeconfig(c.kubeconfig(name), server, string(name)); err != nil {
			return err
		}
	}
	return authority.CertificateKubeconfig(c.opts.Kubeconfig, server, "admin")
}

// writeConfigurations writes the files that components read.
func (c *Cluster) writeConfigurations() error {
	config, err := fitSchedulerConfig(c.opts.SchedulerConfig, c.MasterAddress, c.kubeconfig(components.Scheduler))
	if err != nil {
		return err
	}
	c.FrameworkName = config.frameworkName
	if err := pki.WriteFile(c.settings.SchedulerConfig, config.yaml, 0o600); err != nil {
		return err
	}
	return pki.WriteFile(c.settings.StagesPath(), components.Stages, 0o600)
}

func (c *Cluster) kubeconfig(name components.Name) string {
	return filepath.Join(c.settings.PKIDir, string(name)+".kubeconfig")
}

// Server returns the URL of the kube-apiserver.
func (c *Cluster) Server() string { return "https://" + components.Local(c.settings.Ports.APIServer) }

// LogPath returns where a component logs.
func (c *Cluster) LogPath(name components.Name) string {
	return filepath.Join(c.opts.DataDir, "logs", string(name)+".log")
}

// Exited delivers the first component that ended by itself.
func (c *Cluster) Exited() <-chan *process.Exit { return c.supervisor.Exited() }

// Stop ends all components, the scheduler first. Once ctx is done the rest is
// killed.
func (c *Cluster) Stop(ctx context.Context) error {
	c.Mesos.Close()
	return c.supervisor.Stop(ctx)
}

// run starts one component.
func (c *Cluster) run(name components.Name) error {
	args, err := c.settings.Args(name)
	if err != nil {
		return err
	}
	grace := componentGrace
	if name == components.Scheduler {
		grace = schedulerGrace
	}
	// A log tells of this run alone.
	if err := os.Remove(c.LogPath(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the old log of %s: %w", name, err)
	}
	return c.supervisor.Start(process.Spec{
		Name: string(name), Path: c.opts.Program, Args: append([]string{"component", string(name)}, args...),
		Env: c.settings.Env(name), LogPath: c.LogPath(name), StopGrace: grace,
	})
}
