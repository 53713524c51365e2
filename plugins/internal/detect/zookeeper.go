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

package detect

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/klog/v2"
)

// A connection with ZooKeeper that has failed is made anew after firstRetry, then
// each time after twice as long, up to lastRetry. Hosts that cannot be reached are
// tried one after the other, once in a second all.
const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// zooKeeper is masters that have registered in a ZooKeeper ensemble. What it told
// last is kept while it is away: the masters themselves go on without it for as
// long as their sessions last.
type zooKeeper struct {
	ensemble ensemble
	opts     Options
	changed  chan struct{}

	// known is closed when there is something to tell.
	known chan struct{}
	// observe, if set, is called after each news; for tests.
	observe func()

	mu sync.Mutex
	// masters are in order; the first leads if leading.
	masters []Candidate
	leading bool
	// told is whether ZooKeeper has ever told of the masters.
	told bool
	// err is why masters are missing or may be out of date.
	err error
}

func newZooKeeper(address string, opts Options) (*zooKeeper, error) {
	e, err := parseEnsemble(address, opts.InlinePassword)
	if err != nil {
		return nil, err
	}
	if e.auth != "" && opts.ZooKeeperAuthFile != "" {
		return nil, errors.New("ZooKeeper: user and password are in the address and in a file; only one can be right")
	}
	z := &zooKeeper{ensemble: e, opts: opts, changed: make(chan struct{}, 1), known: make(chan struct{})}
	if _, err := z.auth(); err != nil {
		return nil, err
	}
	return z, nil
}

// auth is what to show to ZooKeeper, "user:password" or empty.
func (z *zooKeeper) auth() (string, error) {
	if z.opts.ZooKeeperAuthFile == "" {
		return z.ensemble.auth, nil
	}
	data, err := os.ReadFile(z.opts.ZooKeeperAuthFile)
	if err != nil {
		return "", fmt.Errorf("the file for ZooKeeper cannot be read: %w", err)
	}
	auth := strings.TrimRight(string(data), "\r\n")
	if err := checkDigest(auth); err != nil {
		return "", fmt.Errorf("ZooKeeper: what the file %s holds %w", z.opts.ZooKeeperAuthFile, err)
	}
	return auth, nil
}

// Run implements Detector.
func (z *zooKeeper) Run(ctx context.Context) {
	logger := klog.FromContext(ctx)
	wait := firstRetry
	for ctx.Err() == nil {
		found, err := z.connect(ctx)
		if ctx.Err() != nil {
			return
		}
		if found {
			wait = firstRetry
		}
		z.away(err)
		logger.V(2).Info("The connection with ZooKeeper ended and is made anew", "ensemble", z.ensemble.String(), "err", err)
		select {
		case <-time.After(wait/2 + rand.N(wait/2+1)): //nolint:gosec // spreads load
		case <-ctx.Done():
		}
		wait = min(2*wait, lastRetry)
	}
}

// Candidates implements Detector.
func (z *zooKeeper) Candidates(ctx context.Context) ([]Candidate, error) {
	select {
	case <-z.known:
	case <-ctx.Done():
		return nil, fmt.Errorf("%s has not answered yet: %w", z.ensemble, ctx.Err())
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	return slices.Clone(z.masters), z.err
}

// Leader implements Detector.
func (z *zooKeeper) Leader() (Candidate, bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.leader()
}

// Changed implements Detector.
func (z *zooKeeper) Changed() <-chan struct{} { return z.changed }

// leader is the leading master; called with the lock held.
func (z *zooKeeper) leader() (Candidate, bool) {
	if !z.leading {
		return Candidate{}, false
	}
	return z.masters[0], true
}

// found takes over what ZooKeeper tells now.
func (z *zooKeeper) found(masters []Candidate, leading bool, err error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	before, had := z.leader()
	z.masters, z.leading, z.told, z.err = masters, leading, true, err
	z.tell()
	if after, has := z.leader(); had != has || has && *before.URL != *after.URL {
		select {
		case z.changed <- struct{}{}:
		default: // one is due already
		}
	}
}

// away notes that ZooKeeper does not tell at present, and why.
func (z *zooKeeper) away(why error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	switch {
	case !z.told:
		z.err = fmt.Errorf("%s does not tell where the masters are: %w", z.ensemble, why)
	case len(z.masters) == 0:
		z.err = fmt.Errorf("%s is away, and last knew of no master: %w", z.ensemble, why)
	default:
		z.err = fmt.Errorf("%s is away, the masters it knew last are used: %w", z.ensemble, why)
	}
	z.tell()
}

// tell lets Candidates answer; called with the lock held.
func (z *zooKeeper) tell() {
	select {
	case <-z.known:
	default:
		close(z.known)
	}
	if z.observe != nil {
		z.observe()
	}
}
