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

package process

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Lock is an exclusive advisory lock on a file. The kernel releases it when the
// process dies.
type Lock struct{ f *os.File }

// ErrLocked tells that another process holds the lock.
var ErrLocked = errors.New("in use by another process")

// Acquire takes the lock at path, creating the file, without waiting. It
// returns an error wrapping ErrLocked if another process has it. Children do
// not inherit the lock.
func Acquire(path string) (*Lock, error) { return acquire(path, os.O_CREATE) }

// AcquireExisting is Acquire for a file that must exist: otherwise the error
// wraps fs.ErrNotExist.
func AcquireExisting(path string) (*Lock, error) { return acquire(path, syscall.O_NOFOLLOW) }

func acquire(path string, flags int) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, ErrLocked)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return &Lock{f: f}, nil
}

// Release gives the lock back.
func (l *Lock) Release() error { return l.f.Close() }
