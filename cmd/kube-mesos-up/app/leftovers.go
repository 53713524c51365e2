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
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/process"
)

// leftoverAge is how old a temporary data folder must be to be taken for a
// leftover: a run that begins just now may not have locked its own yet.
const leftoverAge = time.Minute

// removeLeftovers removes the temporary data folders below parent of runs that
// were killed and could not do it themselves, and returns their paths. What it
// cannot remove it leaves alone: it may belong to somebody else.
func removeLeftovers(parent string, now time.Time) (removed []string) {
	// Elsewhere the components of a killed run live on and use its folder.
	if runtime.GOOS != "linux" {
		return nil
	}
	paths, err := filepath.Glob(filepath.Join(parent, temporaryPrefix+"*"))
	if err != nil {
		return nil
	}
	for _, path := range paths {
		if ok, err := removeLeftover(path, now); ok && err == nil {
			removed = append(removed, path)
		}
	}
	return removed
}

// removeLeftover removes a data folder that is ours, old enough and used by
// nobody; false if it is not.
func removeLeftover(path string, now time.Time) (bool, error) {
	lock := filepath.Join(path, lockFile)
	if !leftover(path, os.ModeDir, now) || !leftover(lock, 0, now) {
		return false, nil
	}
	held, err := process.AcquireExisting(lock)
	if err != nil {
		return false, err
	}
	defer func() { _ = held.Release() }()
	if err := os.RemoveAll(path); err != nil {
		return false, fmt.Errorf("remove the leftover folder of a killed run: %w", err)
	}
	return true, nil
}

// leftover tells whether a file of exactly this type, no link to one, belongs to
// this user and is old enough.
func leftover(path string, want os.FileMode, now time.Time) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != want || now.Sub(info.ModTime()) < leftoverAge {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Getuid()
}
