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

package mesos

import (
	"context"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	mesosv1 "github.com/mesos/mesos-go/api/v1/lib"

	"k8s.io/klog/v2"

	"github.com/kube-mesos/kube-mesos/plugins/internal/detect"
)

// turns remembers, by address, which master's turn it is: lists change.
type turns struct{ now, next string }

// take notes that the i-th of a list is being tried.
func (t *turns) take(list []detect.Candidate, i int) {
	t.now, t.next = list[i].URL.Host, list[(i+1)%len(list)].URL.Host
}

// pass makes it the turn of the one after.
func (t *turns) pass() { t.now = t.next }

// order returns the list from the one on whose turn it is; from its beginning if that is
// not in it.
func (t *turns) order(list []detect.Candidate) []detect.Candidate {
	i := slices.IndexFunc(list, func(c detect.Candidate) bool { return c.URL.Host == t.now })
	if i <= 0 {
		return list
	}
	return slices.Concat(list[i:], list[:i])
}

// candidates are the masters to try, in order. An error may come beside them.
func (s *Session) candidates(ctx context.Context) ([]detect.Candidate, error) {
	select {
	case <-s.hurry: // what has changed up to now is heeded by this try
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	list, err := s.cfg.Masters.Candidates(ctx)
	s.names.set(list)
	if _, known := s.cfg.Masters.Leader(); !known {
		list = s.turns.order(list)
	}
	return list, err
}

// serverNames are what certificates must be for, by address (host:port).
type serverNames struct {
	mu    sync.Mutex
	names map[string]string
}

func (n *serverNames) set(list []detect.Candidate) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.names = make(map[string]string, len(list))
	for _, c := range list {
		n.names[c.URL.Host] = c.ServerName
	}
}

// of returns "" for an address that the list does not have: a master that another one
// named is known by its host.
func (n *serverNames) of(address string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.names[address]
}

// attach makes a subscription the one that news of another leader ends.
func (s *Session) attach(sub *subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attached = sub
}

func (s *Session) detach() { s.attach(nil) }

// watchChanges heeds news of the leader and of our credentials, until ctx ends.
func (s *Session) watchChanges(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.cfg.Masters.Changed():
			s.leaderChanged(ctx)
		case <-s.cfg.Credentials.Changed():
			// New connections go by the new ones; the stream stays.
			s.closeIdle()
		}
		select {
		case s.hurry <- struct{}{}:
		default:
		}
	}
}

// newsLast is for how long after a change of the leader we know better than a master that
// redirects elsewhere: the masters hear of it at their own time, and the one that they name
// may be stopped. Later they may be right, should our detector be cut off.
const newsLast = 15 * time.Second

// contrary tells whether a redirect leads elsewhere than fresh news of the leader do.
func (s *Session) contrary(target *url.URL) bool {
	leader, known := s.cfg.Masters.Leader()
	return known && time.Since(time.Unix(0, s.lastNews.Load())) < newsLast &&
		!isOneOf(leader, target.Host)
}

// leaderChanged ends the subscription if another master than its own leads: that one may
// be stopped or cut off, and nobody would hear of its end. It is asked once for each
// change: should we be led back there all the same, we stay until its end or the next
// change.
func (s *Session) leaderChanged(ctx context.Context) {
	s.lastNews.Store(time.Now().UnixNano())
	leader, known := s.cfg.Masters.Leader()
	if !known {
		return
	}
	s.mu.Lock()
	sub := s.attached
	s.mu.Unlock()
	if sub == nil || sub.isAt(leader) {
		return
	}
	klog.FromContext(ctx).Info("Another Mesos master leads; subscribing there", "master", sub.master, "leader", leader.URL.Host)
	sub.end(errLeaderChanged)
}

// known notes by which addresses the master knows itself.
func (sub *subscription) known(info *mesosv1.MasterInfo) {
	if info == nil {
		return
	}
	port := strconv.FormatUint(uint64(info.GetPort()), 10)
	sub.mu.Lock()
	defer sub.mu.Unlock()
	for _, host := range []string{info.GetHostname(), info.GetAddress().GetHostname(), info.GetAddress().GetIP()} {
		if host != "" {
			sub.names = append(sub.names, net.JoinHostPort(host, port))
		}
	}
}

// isAt tells whether a candidate is the master of this subscription, as far as its
// addresses tell.
func (sub *subscription) isAt(c detect.Candidate) bool {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	return isOneOf(c, sub.names...)
}

// isOneOf tells whether a candidate is known by one of these addresses (host:port).
func isOneOf(c detect.Candidate, addresses ...string) bool {
	byName := net.JoinHostPort(c.ServerName, c.URL.Port())
	return slices.ContainsFunc(addresses, func(a string) bool {
		return strings.EqualFold(a, c.URL.Host) || strings.EqualFold(a, byName)
	})
}
