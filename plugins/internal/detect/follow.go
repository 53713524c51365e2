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
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"k8s.io/klog/v2"
)

// errLost ends a connection whose session is not sure to go on. We own no node, so
// a new session is as good: nothing has to be carried over, and nothing missed.
var errLost = errors.New("the connection was lost")

// settling is for how long a new session is left alone. The library looks once for
// watches of a session before, without a lock on what it would send with them; until
// then there must be none.
const settling = 20 * time.Millisecond

// follower follows the masters' nodes over one connection with ZooKeeper.
type follower struct {
	z      *zooKeeper
	dialer *dialer
	conn   *zk.Conn
	// wake gets a value after news.
	wake chan struct{}

	mu sync.Mutex
	// state is that of the session.
	state zk.State
	// lost is whether the session was there and is not sure to be any more.
	lost bool
	// watched are the paths whose next change will be told.
	watched map[string]bool

	// children are the names below the path, and read what is in the nodes of
	// masters, by name: both as last seen, right while the paths are watched.
	children []string
	read     map[string]reading
}

// reading is what the node of a master says.
type reading struct {
	master Candidate
	err    error
}

// connect follows the masters over a new connection until that breaks or the
// context ends. found tells whether ZooKeeper has told of the masters.
func (z *zooKeeper) connect(ctx context.Context) (found bool, err error) {
	auth, err := z.auth()
	if err != nil {
		return false, err
	}
	dialing, stop := context.WithCancel(ctx)
	defer stop()
	d := &dialer{ctx: dialing, dial: z.opts.Dial, limit: z.opts.SessionTimeout}
	f := &follower{z: z, dialer: d, wake: make(chan struct{}, 1), watched: map[string]bool{}, read: map[string]reading{}}
	conn, events, err := zk.Connect(z.ensemble.hosts, z.opts.SessionTimeout,
		zk.WithHostProvider(&hosts{exhausted: func() { z.away(d.why()) }}),
		zk.WithDialer(d.connect),
		zk.WithLogger(quiet{klog.FromContext(ctx)}),
		zk.WithEventCallback(f.event),
		zk.WithMaxBufferSize(maxFrame),
	)
	if err != nil {
		return false, err
	}
	f.conn = conn
	// Close says good-bye to ZooKeeper, as far as it listens; it ends requests too.
	closed := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(closed)
		conn.Close()
	})
	defer func() {
		if unhook() {
			conn.Close()
		} else {
			<-closed
		}
		stop()
		d.close()
		for range events { // closed when all goroutines of the connection are done
		}
	}()
	found, err = f.follow(ctx, auth)
	if errors.Is(err, errLost) {
		err = d.why()
	}
	return found, err
}

// event is called by the connection for all that happens on it; it must not block.
func (f *follower) event(e zk.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.Type == zk.EventSession {
		if f.state == zk.StateHasSession && e.State != zk.StateHasSession {
			f.lost = true
		}
		f.state = e.State
		if e.State == zk.StateHasSession {
			f.dialer.settle()
		}
	} else {
		delete(f.watched, e.Path)
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// session tells whether there is one; an error if it was lost.
func (f *follower) session() (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lost {
		return false, errLost
	}
	return f.state == zk.StateHasSession, nil
}

// watch notes that a path is about to be watched; false if it is already.
func (f *follower) watch(path string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watched[path] {
		return false
	}
	f.watched[path] = true
	return true
}

func (f *follower) unwatch(path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.watched, path)
}

func (f *follower) follow(ctx context.Context, auth string) (found bool, err error) {
	for {
		select {
		case <-f.wake:
		case <-ctx.Done():
			return found, ctx.Err()
		}
		switch has, err := f.session(); {
		case err != nil:
			return found, err
		case !has:
			continue
		}
		if !found {
			select {
			case <-time.After(settling):
			case <-ctx.Done():
				return found, ctx.Err()
			}
		}
		if auth != "" {
			if err := f.conn.AddAuth("digest", []byte(auth)); err != nil {
				return found, fmt.Errorf("it does not take the user and password: %w", f.failure(err))
			}
			auth = "" // the connection keeps it
		}
		if err := f.look(); err != nil {
			return found, f.failure(err)
		}
		found = true
	}
}

// failure is why a request failed: if the session is lost, that says more.
func (f *follower) failure(err error) error {
	if _, lost := f.session(); lost != nil || errors.Is(err, zk.ErrConnectionClosed) || errors.Is(err, zk.ErrNoServer) {
		return errLost
	}
	return err
}

// look reads what has changed and tells the detector.
func (f *follower) look() error {
	path := f.z.ensemble.path
	if f.watch(path) {
		children, err := f.list(path)
		if err != nil {
			return err
		}
		f.children = children
	}
	nodes, old := masterNodes(f.children)
	masters := make([]Candidate, 0, len(nodes))
	read := make(map[string]reading, len(nodes))
	var errs []error
	leading := false
	for i, name := range nodes {
		r, err := f.readMaster(path+"/"+name, f.read[name])
		if errors.Is(err, zk.ErrNoNode) {
			continue // gone meanwhile; that wakes us
		}
		if err != nil {
			return err
		}
		read[name] = r
		if r.err != nil {
			errs = append(errs, fmt.Errorf("%s: the node %s/%s says nowhere to go: %w", f.z.ensemble, path, name, r.err))
			continue
		}
		leading = leading || i == 0
		masters = append(masters, r.master)
	}
	f.read = read
	if old > 0 {
		errs = append(errs, fmt.Errorf("%s: %d nodes named %s... are of masters older than Mesos 0.24, which are not understood", f.z.ensemble, old, labelProtobuf))
	}
	if len(masters) == 0 && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("%s: no master has registered there", f.z.ensemble))
	}
	f.z.found(masters, leading, errors.Join(errs...))
	return nil
}

// list returns the children of a node, none if it is not there, and watches for
// others.
func (f *follower) list(path string) ([]string, error) {
	for {
		children, _, _, err := f.conn.ChildrenW(path)
		if !errors.Is(err, zk.ErrNoNode) {
			return children, notShown(path, err)
		}
		exists, _, _, err := f.conn.ExistsW(path)
		if err != nil || !exists {
			return nil, err
		}
	}
}

// readMaster reads a master's node and watches it; known is what it said last.
func (f *follower) readMaster(path string, known reading) (reading, error) {
	if !f.watch(path) {
		return known, nil
	}
	data, _, _, err := f.conn.GetW(path)
	if err != nil {
		f.unwatch(path)
		return reading{}, notShown(path, err)
	}
	master, err := parseMasterInfo(data, f.z.opts.HTTPS)
	return reading{master, err}, nil
}

// notShown explains an error that may be a lack of permission.
func notShown(path string, err error) error {
	if errors.Is(err, zk.ErrNoAuth) {
		return fmt.Errorf("it does not show %s to us, check user and password, and the node's access control list: %w", path, err)
	}
	return err
}
