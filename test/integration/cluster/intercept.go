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

package cluster

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// proxy stands between a scheduler and the master and shows every request to the
// cluster's MesosAPI. It returns the address to connect to.
func (c *Cluster) proxy() string {
	c.T.Helper()
	hook := c.MesosAPI
	target, err := url.Parse(c.Mesos.URL())
	if err != nil {
		c.T.Fatal(err)
	}
	next := &http.Transport{}
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		FlushInterval: -1,
		Transport: tripper(func(req *http.Request) (*http.Response, error) {
			call, err := readCall(req)
			if err != nil {
				return nil, err
			}
			return hook(call, req, next)
		}),
		// A lost connection, not an answer of a proxy.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	})
	c.T.Cleanup(func() {
		next.CloseIdleConnections()
		server.CloseClientConnections()
		server.Close()
	})
	return server.Listener.Addr().String()
}

// readCall decodes the call in a request and leaves its body as it was. It is nil
// for requests that are no calls.
func readCall(req *http.Request) (*scheduler.Call, error) {
	if req.Method != http.MethodPost || req.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	call := &scheduler.Call{}
	if err := call.Unmarshal(body); err != nil {
		return nil, err
	}
	return call, nil
}

// Hold stops requests until it is opened.
type Hold struct {
	arrived, opened chan struct{}
	first, last     sync.Once
}

// NewHold returns a closed hold.
func NewHold() *Hold { return &Hold{arrived: make(chan struct{}), opened: make(chan struct{})} }

// Pass waits until the hold is opened or the request given up; it is called by
// hooks.
func (h *Hold) Pass(ctx context.Context) {
	h.first.Do(func() { close(h.arrived) })
	select {
	case <-h.opened:
	case <-ctx.Done():
	}
}

// Arrived tells whether a request has reached the hold.
func (h *Hold) Arrived() bool {
	select {
	case <-h.arrived:
		return true
	default:
		return false
	}
}

// Open lets through what waits and all that comes.
func (h *Hold) Open() { h.last.Do(func() { close(h.opened) }) }

// WaitHeld waits until a request has reached the hold.
func (c *Cluster) WaitHeld(what string, h *Hold) {
	c.T.Helper()
	c.Eventually(what+" is held", func() string {
		if h.Arrived() {
			return ""
		}
		return "nothing arrived"
	})
}
