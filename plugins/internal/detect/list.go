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
	"net"
	"net/netip"
	"net/url"
	"sync"
	"time"
)

// resolveTimeout bounds how long Candidates waits for the addresses of names.
const resolveTimeout = 5 * time.Second

// list is masters that are named.
type list struct {
	urls    []*url.URL
	resolve func(ctx context.Context, host string) ([]string, error)

	mu sync.Mutex
	// last are the addresses by name, as they were resolved last.
	last map[string][]string
}

// Run implements Detector.
func (l *list) Run(ctx context.Context) { <-ctx.Done() }

// Leader implements Detector.
func (l *list) Leader() (Candidate, bool) { return Candidate{}, false }

// Changed implements Detector.
func (l *list) Changed() <-chan struct{} { return nil }

// Candidates implements Detector.
func (l *list) Candidates(ctx context.Context) ([]Candidate, error) {
	within, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	found, errs := make([][]Candidate, len(l.urls)), make([]error, len(l.urls))
	var looking sync.WaitGroup
	for i, u := range l.urls {
		looking.Add(1)
		go func() {
			defer looking.Done()
			found[i], errs[i] = l.candidates(within, u)
		}()
	}
	looking.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var out []Candidate
	seen := map[url.URL]bool{}
	for _, some := range found {
		for _, c := range some {
			if !seen[*c.URL] {
				seen[*c.URL] = true
				out = append(out, c)
			}
		}
	}
	return out, errors.Join(errs...)
}

// candidates are what one entry stands for. A name with one address stays a name:
// a proxy may go by it.
func (l *list) candidates(ctx context.Context, u *url.URL) ([]Candidate, error) {
	host := u.Hostname()
	addresses, err := l.addresses(ctx, host)
	if len(addresses) <= 1 {
		if len(addresses) == 0 {
			return nil, err
		}
		return []Candidate{{URL: u, ServerName: host}}, err
	}
	out := make([]Candidate, 0, len(addresses))
	for _, a := range addresses {
		out = append(out, Candidate{URL: &url.URL{Scheme: u.Scheme, Host: net.JoinHostPort(a, u.Port())}, ServerName: host})
	}
	return out, err
}

// addresses of a host: itself if it is one, else those of the name. If it cannot be
// resolved, the ones of before come with an error.
func (l *list) addresses(ctx context.Context, host string) ([]string, error) {
	if _, err := netip.ParseAddr(host); err == nil {
		return []string{host}, nil
	}
	found, err := l.resolve(ctx, host)
	if err == nil && len(found) == 0 {
		err = errors.New("the name has no address")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.last[host] = found
		return found, nil
	}
	if last := l.last[host]; len(last) > 0 {
		return last, fmt.Errorf("Mesos master %s: its name cannot be resolved, the addresses of before are used: %w", host, err)
	}
	return nil, fmt.Errorf("Mesos master %s: its name cannot be resolved: %w", host, err)
}
