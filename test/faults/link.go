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

package faults

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// orphanLife is how long a kernel tries to deliver what was written to a connection
// that its owner has closed.
const orphanLife = 100 * time.Second

// halfOpenLife is how long a kernel sends into the void before it tells that the other
// end is gone: Linux' tcp_retries2 makes that 15 minutes.
const halfOpenLife = 15 * time.Minute

// link is one connection through the proxy.
type link struct {
	proxy    *Mesos
	near     net.Conn // to the scheduler
	upstream net.Conn // to the master
	redial   func() (net.Conn, error)

	requests chan *request
	gone     chan struct{} // closed when the scheduler has closed its end
	done     context.Context
	cancel   context.CancelFunc

	rec     *recorder
	buf     *bufio.Reader // of upstream; whoever took from begun reads it
	begun   chan error    // an answer begins, or the master has closed its end
	peeking bool          // somebody waits for that, or has told of it
	frozen  sync.Map      // Direction -> struct{}
	sending chan struct{} // of capacity 1: filled while something is to leave for the master
	perByte atomic.Int64  // nanoseconds
}

func newLink(m *Mesos, near, upstream net.Conn) *link {
	l := &link{
		proxy: m, near: near, upstream: upstream, requests: make(chan *request), gone: make(chan struct{}),
		rec: &recorder{r: upstream}, begun: make(chan error, 1), sending: make(chan struct{}, 1),
	}
	l.buf = bufio.NewReader(l.rec)
	l.done, l.cancel = context.WithCancel(m.ctx)
	return l
}

// serve passes requests and answers on, one after the other, until the connection ends.
func (l *link) serve() {
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer closeAll(l.ends())
	defer l.cancel()
	helpers.Go(func() {
		defer close(l.gone)
		readRequests(l.near, l.requests, l.done.Done())
	})
	helpers.Go(l.passEnd)
	for {
		if !l.peeking {
			l.peeking = true
			helpers.Go(func() {
				_, err := l.buf.Peek(1)
				l.begun <- err
			})
		}
		select {
		case r := <-l.requests:
			if !l.handle(r) {
				return
			}
		case <-l.begun: //nolint:errcheck // However it ends.
			// The master has ended an idle connection.
			l.proxy.gate.wait(Backward, l.done.Done(), 0)
			return
		case <-l.gone:
			l.await()
			return
		}
	}
}

// passEnd tells the master that the scheduler has gone, if that can get through.
func (l *link) passEnd() {
	select {
	case <-l.gone:
	case <-l.done.Done():
		return
	}
	if !l.proxy.gate.wait(Forward, l.done.Done(), 0) {
		return
	}
	select {
	case l.sending <- struct{}{}:
	case <-l.done.Done():
	}
	if !l.passes(Forward) {
		pause(halfOpenLife, l.done.Done())
	}
	_ = l.upstream.Close() // ends what reads from it
	l.cancel()
}

func (l *link) freeze(d Direction) {
	for _, one := range []Direction{Forward, Backward} {
		if d == Both || d == one {
			l.frozen.Store(one, struct{}{})
		}
	}
}

func (l *link) passes(d Direction) bool {
	_, frozen := l.frozen.Load(d)
	return !frozen
}

// await waits for the end of the connection, or of the proxy if it is half-open.
func (l *link) await() { <-l.done.Done() }

// keepEnd waits until the master may learn that the scheduler has gone.
func (l *link) keepEnd() {
	if !l.passes(Forward) {
		l.await()
	}
	l.proxy.gate.wait(Forward, l.done.Done(), 0)
}

// handle does with a request what its rule says; false when the connection is over.
func (l *link) handle(r *request) bool {
	c := &call{link: l, request: r}
	for _, a := range l.proxy.meet(r.on, r.about) {
		if !c.do(a) {
			return false
		}
	}
	if !c.settled && !c.forward() {
		return false
	}
	if c.answer != nil && !c.delivered {
		return c.deliver()
	}
	if !c.delivered {
		// The sender waits in vain.
		l.await()
	}
	return c.delivered
}

// write sends bytes to the scheduler, as slowly as a rule says.
func (l *link) write(b []byte) bool {
	for len(b) > 0 {
		if !l.passes(Backward) {
			l.await()
			return false
		}
		if !l.proxy.gate.wait(Backward, l.done.Done(), 0) {
			return false
		}
		n := len(b)
		if perByte := l.perByte.Load(); perByte > 0 {
			n = min(n, max(1, int(int64(time.Second/10)/perByte)))
			pause(time.Duration(int64(n)*perByte), l.done.Done())
		}
		if _, err := l.near.Write(b[:n]); err != nil {
			l.keepEnd()
			return false
		}
		b = b[n:]
	}
	return true
}

// send sends a request to the master.
func (l *link) send(raw []byte) bool {
	if !l.passes(Forward) {
		return false
	}
	select {
	case l.sending <- struct{}{}:
	case <-l.done.Done():
		return false
	}
	if !l.proxy.gate.wait(Forward, l.gone, 0) && !l.proxy.gate.wait(Forward, l.done.Done(), orphanLife) {
		<-l.sending
		l.keepEnd()
		return false
	}
	_, err := l.upstream.Write(raw)
	select {
	case <-l.gone:
		// The master reads the request before it sees the end behind it.
		time.AfterFunc(time.Second, func() { <-l.sending })
	default:
		<-l.sending
	}
	return err == nil
}

// again sends a request once more, on a connection of its own, and waits for the end of
// its answer.
func (l *link) again(r *request) error {
	conn, err := l.redial()
	if err != nil {
		return err
	}
	l.proxy.hold(conn)
	defer l.proxy.release(conn)
	if _, err := conn.Write(r.raw); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), r.http)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// errCutShort is an answer that did not come whole.
var errCutShort = errors.New("the master's answer ends early")

// receive reads the head of the answer to the request that was sent last, and all of it
// unless it is a stream.
func (l *link) receive(r *request) (*answer, error) {
	select {
	case err := <-l.begun:
		if err != nil {
			return nil, errCutShort
		}
		l.peeking = false
	case <-l.done.Done():
		return nil, l.done.Err()
	}
	resp, err := http.ReadResponse(l.buf, r.http) //nolint:bodyclose // It has nothing that could be closed: the connection has.
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCutShort, err)
	}
	a := &answer{raw: l.rec.taken(l.buf), close: resp.Close}
	if resp.StatusCode == http.StatusOK && r.on == "SUBSCRIBE" {
		a.stream, a.protobuf = resp.Body, strings.HasPrefix(resp.Header.Get("Content-Type"), mediaProtobuf)
		return a, nil
	}
	_, err = io.Copy(io.Discard, resp.Body)
	a.raw = append(a.raw, l.rec.taken(l.buf)...)
	if err != nil {
		a.close = true
	}
	return a, nil
}
