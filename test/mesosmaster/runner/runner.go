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

// Package runner runs the executors of an emulated agent as processes of this
// machine: it fetches what their command names, gives them a sandbox, and tells
// how they end. They run as the user of this process, whatever user they ask for,
// without limits on what they use: it is for commands one trusts.
package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/agent"
)

// Local runs processes below a directory. It implements mesosmaster.Executors.
type Local struct {
	root   string
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	running map[string]*process // by container id
	closed  bool
	ended   sync.WaitGroup
}

// process is one that was asked for; started when it has a pid.
type process struct {
	cancel context.CancelFunc
	cmd    *exec.Cmd
}

// New returns a runner with its sandboxes below root, which is made if it does
// not exist and never removed.
func New(root string) *Local {
	l := &Local{root: root, running: map[string]*process{}}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// Sandbox is the directory of a container.
func (l *Local) Sandbox(hostname, containerID string) string {
	return filepath.Join(l.root, filepath.Base(hostname), filepath.Base(containerID))
}

// Start implements mesosmaster.Executors.
func (l *Local) Start(hostname string, p *agent.Process, exited func(status int32, err error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	ctx, cancel := context.WithCancel(l.ctx)
	l.running[p.ContainerID] = &process{cancel: cancel}
	l.ended.Add(1)
	go func() {
		defer l.ended.Done()
		defer cancel()
		status, err := l.run(ctx, hostname, p)
		l.mu.Lock()
		delete(l.running, p.ContainerID)
		l.mu.Unlock()
		exited(status, err)
	}()
}

// run fetches, starts and waits.
func (l *Local) run(ctx context.Context, hostname string, p *agent.Process) (int32, error) {
	dir := l.Sandbox(hostname, p.ContainerID)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, fmt.Errorf("Failed to create executor directory: %w", err)
	}
	for i := range p.Command.GetURIs() {
		if err := fetch(ctx, &p.Command.URIs[i], dir); err != nil {
			return 0, fmt.Errorf("Failed to fetch all URIs for container '%s': %w", p.ContainerID, err)
		}
	}
	cmd := command(p.Command)
	cmd.Dir = dir
	env := map[string]string{"MESOS_SANDBOX": dir, "MESOS_DIRECTORY": dir, "PWD": dir}
	for name, value := range p.Environment {
		if _, ours := env[name]; !ours {
			env[name] = value
		}
	}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	// A group of its own, so that what the command starts dies with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := os.Create(filepath.Join(dir, "stdout"))
	if err != nil {
		return 0, err
	}
	defer out.Close()
	errs, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		return 0, err
	}
	defer errs.Close()
	cmd.Stdout, cmd.Stderr = out, errs
	if err := l.begin(ctx, p.ContainerID, cmd); err != nil {
		return 0, err
	}
	err = cmd.Wait()
	kill(cmd) // whatever it has left behind
	if exit := (&exec.ExitError{}); err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok {
		return 0, fmt.Errorf("runner: no wait status from %s", cmd.ProcessState)
	}
	return int32(status), nil
}

// begin starts a command unless it has been killed before.
func (l *Local) begin(ctx context.Context, id string, cmd *exec.Cmd) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	l.running[id].cmd = cmd
	return nil
}

// command is what a CommandInfo runs: its value through a shell, or as a file
// with arguments.
func command(c *mesos.CommandInfo) *exec.Cmd {
	if c.GetShell() {
		return exec.Command("/bin/sh", "-c", c.GetValue())
	}
	cmd := &exec.Cmd{Path: c.GetValue(), Args: c.GetArguments()}
	if path, err := exec.LookPath(c.GetValue()); err == nil {
		cmd.Path = path
	}
	if len(cmd.Args) == 0 {
		cmd.Args = []string{c.GetValue()}
	}
	return cmd
}

// kill ends a process and all of its group.
func kill(cmd *exec.Cmd) {
	if cmd != nil && cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // gone already is what is wanted
	}
}

// Kill implements mesosmaster.Executors.
func (l *Local) Kill(_, containerID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.running[containerID]; p != nil {
		p.cancel()
		kill(p.cmd)
	}
}

// Close kills everything and waits for its end.
func (l *Local) Close() {
	l.mu.Lock()
	l.closed = true
	l.cancel()
	for _, p := range l.running {
		kill(p.cmd)
	}
	l.mu.Unlock()
	l.ended.Wait()
}
