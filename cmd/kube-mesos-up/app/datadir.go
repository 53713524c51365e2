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
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/process"
)

const (
	// temporaryPrefix begins the names of temporary data folders.
	temporaryPrefix = "kube-mesos-up-"
	// lockFile is the file in a data folder that its run holds locked.
	lockFile = "lock"
)

// dataDir is the folder of one run.
type dataDir struct {
	path      string
	ephemeral bool
	lock      *process.Lock
}

// openDataDir makes the data folder and takes its lock, so that two runs never
// share one.
func openDataDir(path string) (*dataDir, error) {
	d := &dataDir{path: path}
	var err error
	if path == "" {
		d.ephemeral = true
		if d.path, err = os.MkdirTemp("", temporaryPrefix); err != nil {
			return nil, fmt.Errorf("create a temporary data folder: %w", err)
		}
	} else if d.path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	if d.lock, err = process.Acquire(filepath.Join(d.path, lockFile)); err != nil {
		return nil, fmt.Errorf("--data-dir: %w; choose another folder or end the other run", err)
	}
	return d, nil
}

// close gives the folder back, removing a temporary one.
func (d *dataDir) close() error {
	if d.ephemeral {
		if err := os.RemoveAll(d.path); err != nil {
			return errors.Join(fmt.Errorf("remove the temporary data folder: %w", err), d.lock.Release())
		}
	}
	return d.lock.Release()
}
