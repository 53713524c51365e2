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
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// response is the answer to one request: an http.ResponseWriter that can be
// flushed.
type response struct {
	conn   *conn
	req    *request
	header http.Header
	status int

	sent        bool // the head is out, and so this is a stream
	lengthFirst bool
	pending     []byte
	once        sync.Once
	settled     chan struct{} // closed when the next request's turn comes
}

// LengthFirst may be implemented by an http.ResponseWriter: it asks for
// Content-Length to be written before Content-Type, as libprocess does for the
// JSON of endpoints that are not part of an API.
type LengthFirst interface{ LengthFirst() }

// LengthFirst implements the interface of that name.
func (w *response) LengthFirst() { w.lengthFirst = true }

// Header implements http.ResponseWriter.
func (w *response) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write implements http.ResponseWriter. Nothing leaves before FlushError or the
// end of the handler.
func (w *response) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.pending = append(w.pending, b...)
	return len(b), nil
}

// FlushError makes the answer a stream and writes what is pending as one chunk;
// http.ResponseController finds it.
func (w *response) FlushError() error {
	w.WriteHeader(http.StatusOK)
	var out []byte
	if !w.sent {
		w.sent = true
		w.header.Set("Transfer-Encoding", "chunked")
		w.header.Del("Content-Length")
		out = w.head()
		defer w.settle()
	}
	out = w.appendPending(out)
	if len(out) == 0 {
		return nil
	}
	return w.conn.write(out)
}

func (w *response) appendPending(out []byte) []byte {
	if len(w.pending) == 0 || w.req.http.Method == http.MethodHead {
		return out
	}
	out = strconv.AppendInt(out, int64(len(w.pending)), 16)
	out = append(out, "\r\n"...)
	out = append(out, w.pending...)
	out = append(out, "\r\n"...)
	w.pending = w.pending[:0]
	return out
}

func (w *response) settle() { w.once.Do(func() { close(w.settled) }) }

// finish writes what is left of the answer. After a stream the connection stays
// open and can be used again.
func (w *response) finish() error {
	if w.sent {
		return w.conn.write(append(w.appendPending(nil), "0\r\n\r\n"...))
	}
	w.WriteHeader(http.StatusOK)
	if w.header.Get("Content-Length") == "" {
		w.header.Set("Content-Length", strconv.Itoa(len(w.pending)))
	}
	out := w.head()
	if w.req.http.Method != http.MethodHead {
		out = append(out, w.pending...)
	}
	return w.conn.write(out)
}

// order is the order of headers in recorded responses, those not named here
// before those named.
var order = []string{"Allow", "Www-Authenticate", "Location", "Transfer-Encoding", "Mesos-Stream-Id", "Content-Type", "Content-Length"}

// head is the status line and the headers. libprocess takes the order from the
// insides of a hash map; what comes out is always the same all the same.
func (w *response) head() []byte {
	names := make([]string, 0, len(w.header))
	for name, values := range w.header {
		if len(values) > 0 && name != "Date" {
			names = append(names, name)
		}
	}
	rank := func(name string) int {
		if w.lengthFirst && name == "Content-Type" {
			return len(order)
		}
		return slices.Index(order, name)
	}
	slices.Sort(names)
	slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	out := append([]byte("HTTP/1.1 "), strconv.Itoa(w.status)...)
	out = append(out, ' ')
	out = append(out, http.StatusText(w.status)...)
	out = append(out, "\r\nDate: "...)
	out = time.Now().UTC().AppendFormat(out, http.TimeFormat)
	for _, name := range names {
		spelt := name
		if name == "Www-Authenticate" {
			spelt = "WWW-Authenticate"
		}
		for _, value := range w.header[name] {
			out = append(out, "\r\n"...)
			out = append(out, spelt...)
			out = append(out, ": "...)
			out = append(out, value...)
		}
	}
	return append(out, "\r\n\r\n"...)
}
