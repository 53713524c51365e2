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

package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"k8s.io/component-base/version/verflag"

	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/cluster"
	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/demo"
	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/process"
	"github.com/kube-mesos/kube-mesos/manifests"
)

// stopTimeout bounds how long the components may take to end together.
const stopTimeout = 20 * time.Second

// logTailLines is how much of a failed component's log is shown.
const logTailLines = 25

// errInterrupted ends a run at the user's wish: it is no failure.
var errInterrupted = errors.New("interrupted")

// NewCommand returns the command kube-mesos-up.
func NewCommand() *cobra.Command {
	opts := NewOptions(os.Stdout)
	cmd := &cobra.Command{
		Use:   "kube-mesos-up",
		Short: "Run a local Kubernetes cluster that shares its machines with Mesos",
		Long: `kube-mesos-up runs a whole local cluster on this machine, without containers and
without downloads: etcd, kube-apiserver, kube-controller-manager, simulated nodes
(KWOK), an emulated Mesos master and kube-mesos-scheduler. Pods with
"schedulerName: kube-mesos" are bound to machines whose Mesos agent offered the
resources. Ctrl-C ends everything.`,
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			verflag.PrintAndExitIfRequested()
			opts.Complete()
			if err := opts.Validate(); err != nil {
				return err
			}
			return opts.Run(cmd.Context())
		},
	}
	opts.AddFlags(cmd.Flags())
	return cmd
}

// Run runs the cluster until the user interrupts it, a component fails or the
// demo is over.
func (o *Options) Run(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() {
		select {
		case <-signals:
			cancel(errInterrupted)
		case <-ctx.Done():
		}
	}()
	err := o.run(ctx, cancel)
	if errors.Is(err, errInterrupted) {
		return nil
	}
	return err
}

func (o *Options) run(ctx context.Context, cancel context.CancelCauseFunc) (err error) {
	progress := newProgress(o.out, time.Now)
	for _, path := range removeLeftovers(os.TempDir(), time.Now()) {
		progress.line("removed " + path + ", left by a run that was killed")
	}
	dir, err := openDataDir(o.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.close()) }()
	c, err := o.newCluster(dir, progress)
	if err != nil {
		return err
	}
	go func() {
		select {
		case exit := <-c.Exited():
			cancel(exit)
		case <-ctx.Done():
		}
	}()
	defer func() {
		progress.line("stopping")
		stop, done := context.WithTimeout(context.Background(), stopTimeout)
		defer done()
		err = errors.Join(err, c.Stop(stop))
		showFailure(o.out, err)
	}()
	starting, done := context.WithTimeoutCause(ctx, o.StartTimeout,
		fmt.Errorf("the cluster did not start within %v (--start-timeout)", o.StartTimeout))
	defer done()
	if err := c.Start(starting); err != nil {
		// Whatever was under way failed because of what ended the start.
		if starting.Err() != nil {
			return fmt.Errorf("%w (while starting: %v)", context.Cause(starting), err)
		}
		return err
	}
	o.printUsage(c)
	if o.Demo {
		return o.runDemo(ctx, c, progress.start)
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func (o *Options) newCluster(dir *dataDir, progress *progress) (*cluster.Cluster, error) {
	config, err := o.schedulerConfig()
	if err != nil {
		return nil, err
	}
	further, err := o.manifests()
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	if o.Kubeconfig == "" {
		o.Kubeconfig = filepath.Join(dir.path, "kubeconfig")
	}
	progress.line("data in " + dir.path)
	return cluster.New(cluster.Options{
		Program: program, DataDir: dir.path, Ephemeral: dir.ephemeral, Kubeconfig: o.Kubeconfig,
		MesosMaster: o.MesosMaster, Emulator: o.emulator(), SchedulerConfig: config, Manifests: append([][]byte{manifests.RBAC}, further...),
		Verbosity: o.Verbosity, Progress: progress.line,
	})
}

func (o *Options) runDemo(ctx context.Context, c *cluster.Cluster, start time.Time) error {
	ctx, done := context.WithTimeoutCause(ctx, o.DemoTimeout,
		fmt.Errorf("the demo did not end within %v (--demo-timeout)", o.DemoTimeout))
	defer done()
	return demo.Run(ctx, c, demo.Options{Start: start, Neighbours: o.NeighbourAgents > 0, Out: o.out})
}

func (o *Options) printUsage(c *cluster.Cluster) {
	fmt.Fprintf(o.out, `
The cluster is up. In another terminal:

  export KUBECONFIG=%s
  kubectl get nodes
  kubectl apply -f manifests/examples/deployment.yaml
  kubectl get pods -o wide

Mesos master: http://%s/state
`, o.Kubeconfig, c.MasterAddress)
	if !o.Demo {
		fmt.Fprint(o.out, "\nCtrl-C ends everything.\n")
	}
}

// showFailure prints the end of the log of a component that ended.
func showFailure(out io.Writer, err error) {
	var exit *process.Exit
	if !errors.As(err, &exit) {
		return
	}
	tail, readErr := process.Tail(exit.LogPath, logTailLines)
	if readErr != nil {
		tail = readErr.Error()
	}
	fmt.Fprintf(out, "\nThe end of %s:\n%s\n", exit.LogPath, tail)
}
