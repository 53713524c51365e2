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

package wire

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
)

// conn is one connection: a reader that takes requests ahead of their turn, and
// so sees at once when the client goes, and a worker that answers them in order.
type conn struct {
	net     net.Conn
	handler http.Handler
	ctx     context.Context // ends with the connection
	cancel  context.CancelFunc

	writing  sync.Mutex // one piece of output at a time
	handlers sync.WaitGroup

	mu     sync.Mutex
	ahead  []*request
	busy   int // requests taken and not yet answered to their end
	ending bool
	queued chan struct{} // of capacity 1
}

func (c *conn) close() {
	c.cancel()
	_ = c.net.Close() // a connection that is closed already is what is wanted
}

// finishUp closes the connection as soon as nothing is in hand.
func (c *conn) finishUp() {
	c.mu.Lock()
	c.ending = true
	idle := c.busy == 0 && len(c.ahead) == 0
	c.mu.Unlock()
	if idle {
		c.close()
	}
}

func (c *conn) serve() {
	defer c.handlers.Wait()
	defer c.close()
	c.handlers.Add(1)
	go c.read()
	for {
		r := c.next()
		if r == nil {
			return
		}
		w := &response{conn: c, req: r, header: http.Header{}, settled: make(chan struct{})}
		c.handlers.Add(1)
		go w.run(c.handler)
		// The next request waits for the end of this answer, unless this answer
		// turns into a stream: then it is answered inside it.
		select {
		case <-w.settled:
		case <-c.ctx.Done():
			return
		}
	}
}

// read queues requests until the client goes.
func (c *conn) read() {
	defer c.handlers.Done()
	defer c.cancel()
	r := bufio.NewReader(c.net)
	for {
		req, err := readRequest(r)
		if err != nil {
			// The end of input, a request that makes no sense: libprocess closes the
			// connection without a word in both cases.
			return
		}
		req.http = req.http.WithContext(c.ctx)
		req.http.RemoteAddr = c.net.RemoteAddr().String()
		c.mu.Lock()
		c.ahead = append(c.ahead, req)
		c.mu.Unlock()
		select {
		case c.queued <- struct{}{}:
		default:
		}
	}
}

// next takes the next request, or returns nil at the end of the connection.
func (c *conn) next() *request {
	for {
		c.mu.Lock()
		if len(c.ahead) > 0 {
			r := c.ahead[0]
			c.ahead = c.ahead[1:]
			c.busy++
			c.mu.Unlock()
			return r
		}
		c.mu.Unlock()
		select {
		case <-c.queued:
		case <-c.ctx.Done():
			return nil
		}
	}
}

// answered is called at the end of each answer.
func (c *conn) answered(r *request) {
	c.mu.Lock()
	c.busy--
	idle := c.ending && c.busy == 0 && len(c.ahead) == 0
	c.mu.Unlock()
	if idle || r.close {
		c.close()
	}
}

func (c *conn) write(b []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if _, err := c.net.Write(b); err != nil {
		c.close()
		return err
	}
	return nil
}

// run answers one request.
func (w *response) run(h http.Handler) {
	defer w.conn.handlers.Done()
	defer w.settle()
	defer func() {
		switch p := recover(); {
		case p == nil:
		case isAbort(p):
			w.conn.close()
		default:
			panic(p)
		}
	}()
	h.ServeHTTP(w, w.req.http)
	if w.finish() == nil {
		w.conn.answered(w.req)
	}
}

func isAbort(p any) bool {
	err, ok := p.(error)
	return ok && errors.Is(err, http.ErrAbortHandler)
}
