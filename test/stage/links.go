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

package stage

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
)

// errKilled is what a killed scheduler sees of its own connections.
var errKilled = errors.New("stage: this process was killed")

// links are all connections of one scheduler, so that they can be cut at once.
type links struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

func newLinks() *links {
	l := &links{conns: map[net.Conn]struct{}{}}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// cut breaks all connections for good.
func (l *links) cut() {
	l.cancel()
	l.mu.Lock()
	conns := slices.Collect(maps.Keys(l.conns))
	l.mu.Unlock()
	for _, c := range conns {
		_ = c.Close() // never fails for connections in memory
	}
}

// dialer returns a dial whose connections can be cut.
func (l *links) dialer(dial func(ctx context.Context, network, address string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if l.ctx.Err() != nil {
			return nil, errKilled
		}
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.ctx.Err() != nil {
			return nil, errors.Join(errKilled, conn.Close())
		}
		c := &linkConn{Conn: conn, links: l}
		l.conns[c] = struct{}{}
		return c, nil
	}
}

// linkConn is a connection that can be cut.
type linkConn struct {
	net.Conn
	links *links
}

// Close implements net.Conn.
func (c *linkConn) Close() error {
	c.links.mu.Lock()
	delete(c.links.conns, c)
	c.links.mu.Unlock()
	return c.Conn.Close()
}

// transport returns the way to the API server, with a wrapper in the middle of it: what
// comes out of that after the cut goes nowhere.
func (l *links) transport(api http.RoundTripper, wrap func(http.RoundTripper) http.RoundTripper) http.RoundTripper {
	var way http.RoundTripper = roundTripper(func(r *http.Request) (*http.Response, error) {
		if l.ctx.Err() != nil {
			return nil, errKilled
		}
		return api.RoundTrip(r)
	})
	if wrap != nil {
		way = wrap(way)
	}
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		ctx, cancel := context.WithCancel(r.Context())
		stop := context.AfterFunc(l.ctx, cancel)
		resp, err := way.RoundTrip(r.WithContext(ctx))
		if err == nil && l.ctx.Err() != nil {
			err = errors.Join(errKilled, resp.Body.Close())
		}
		if err != nil {
			stop()
			cancel()
			return nil, err
		}
		resp.Body = &linkBody{resp.Body, func() { stop(); cancel() }}
		return resp, nil
	})
}

type roundTripper func(r *http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// linkBody is the body of an answer, whose context ends with it.
type linkBody struct {
	io.ReadCloser
	end func()
}

// Close implements io.Closer.
func (b *linkBody) Close() error {
	b.end()
	return b.ReadCloser.Close()
}
