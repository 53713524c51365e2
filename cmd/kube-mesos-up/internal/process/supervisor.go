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

// Package process runs the components of a local cluster as child processes and
// makes sure that none outlives the program that started them.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Spec describes one child process.
type Spec struct {
	// Name identifies the child in errors.
	Name string
	// Path is the program, Args its arguments without the program's name.
	Path string
	Args []string
	// Env is added to this process's environment, as "KEY=value".
	Env []string
	// LogPath receives standard output and standard error, appended.
	LogPath string
	// StopGrace is how long the child may take to end after SIGTERM before it
	// gets SIGKILL. Zero kills at once.
	StopGrace time.Duration
}

// Exit tells that a child ended although nobody had asked it to.
type Exit struct {
	// Name and LogPath are those of the child's Spec.
	Name    string
	LogPath string
	// Err is how it ended; nil when it ended with exit code 0.
	Err error
}

// Error says which child ended and how.
func (e *Exit) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("%s ended by itself with exit code 0", e.Name)
	}
	return fmt.Sprintf("%s ended by itself: %v", e.Name, e.Err)
}

// Unwrap returns how the child ended.
func (e *Exit) Unwrap() error { return e.Err }

// Supervisor starts children and stops them in reverse order. Its methods may
// be called from several goroutines.
type Supervisor struct {
	exits chan *Exit

	mu       sync.Mutex
	stopping bool
	children []*child
}

type child struct {
	spec Spec
	pid  int
	// done is closed once the child was waited for.
	done chan struct{}
}

// NewSupervisor returns a supervisor without children.
func NewSupervisor() *Supervisor {
	return &Supervisor{exits: make(chan *Exit, 1)}
}

// Exited delivers the first child that ended by itself. Later ones are usually
// consequences of the first and are not delivered.
func (s *Supervisor) Exited() <-chan *Exit { return s.exits }

// Start starts a child in a process group of its own, so that a terminal's
// Ctrl-C reaches only this process, which then stops its children in order. On
// Linux the kernel kills the child if this process dies, however it dies.
func (s *Supervisor) Start(spec Spec) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return fmt.Errorf("start %s: the cluster is being stopped", spec.Name)
	}
	if err := os.MkdirAll(filepath.Dir(spec.LogPath), 0o755); err != nil {
		return fmt.Errorf("start %s: create the log folder: %w", spec.Name, err)
	}
	log, err := os.OpenFile(spec.LogPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: open its log: %w", spec.Name, err)
	}
	cmd := exec.Command(spec.Path, spec.Args...)
	cmd.Env = append(os.Environ(), spec.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = sysProcAttr()

	c := &child{spec: spec, done: make(chan struct{})}
	started := make(chan error)
	go s.run(c, cmd, log, started)
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", spec.Name, err)
	}
	s.children = append(s.children, c)
	return nil
}

// run starts the child and waits for its end on one locked thread: the kernel
// sends the parent-death signal when the thread that forked ends, not when the
// process does.
func (s *Supervisor) run(c *child, cmd *exec.Cmd, log *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer log.Close()
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	c.pid = cmd.Process.Pid
	started <- nil
	err := cmd.Wait()
	close(c.done)
	s.mu.Lock()
	stopping := s.stopping
	s.mu.Unlock()
	if stopping {
		return
	}
	select {
	case s.exits <- &Exit{Name: c.spec.Name, LogPath: c.spec.LogPath, Err: err}:
	default:
	}
}

// Stop ends all children, the last started first: SIGTERM, then SIGKILL after
// the child's grace or once ctx is done. It returns when all are gone and
// accepts no further Start.
func (s *Supervisor) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.stopping = true
	children := s.children
	s.children = nil
	s.mu.Unlock()
	var errs []error
	for i := len(children) - 1; i >= 0; i-- {
		if err := children[i].stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", children[i].spec.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (c *child) stop(ctx context.Context) error {
	select {
	case <-c.done:
		return nil
	default:
	}
	if c.spec.StopGrace > 0 && ctx.Err() == nil {
		if err := signalGroup(c.pid, syscall.SIGTERM); err != nil {
			return err
		}
		timer := time.NewTimer(c.spec.StopGrace)
		defer timer.Stop()
		select {
		case <-c.done:
			return nil
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	if err := signalGroup(c.pid, syscall.SIGKILL); err != nil {
		return err
	}
	<-c.done
	return nil
}

// signalGroup sends a signal to a child's process group; one that is gone
// already is no error.
func signalGroup(pid int, sig syscall.Signal) error {
	if err := syscall.Kill(-pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal %v: %w", sig, err)
	}
	return nil
}
