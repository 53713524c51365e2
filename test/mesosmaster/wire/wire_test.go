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

package wire_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// handler answers by path: /echo tells what came in, /stream writes a chunk per
// second until the client goes, /three three chunks, /abort half an answer.
func handler(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	switch r.URL.Path {
	case "/echo":
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintf(w, "%s %s %q %q", r.Method, r.RequestURI, r.Header.Get("Content-Type"), body)
	case "/json":
		if l, ok := w.(wire.LengthFirst); ok {
			l.LengthFirst()
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, "{}")
	case "/401":
		w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusUnauthorized)
	case "/stream":
		for i := 0; ; i++ {
			fmt.Fprintf(w, "record %d", i)
			if rc.Flush() != nil {
				return
			}
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
				return
			}
		}
	case "/three":
		w.Header().Set("Mesos-Stream-Id", "s")
		w.Header().Set("Content-Type", "application/json")
		_ = rc.Flush()
		for range 3 {
			fmt.Fprint(w, "0123456789abcdef")
			_ = rc.Flush()
		}
	case "/abort":
		fmt.Fprint(w, "half")
		_ = rc.Flush()
		panic(http.ErrAbortHandler)
	}
}

// talk sends bytes, in the pieces given, and returns all that comes back within
// d, with how it ended; Date headers are left out.
func talk(t *testing.T, d time.Duration, pieces ...string) (text, end string) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		client, server := wire.Pipe()
		s := &wire.Server{Handler: http.HandlerFunc(handler)}
		go s.ServeConn(server)
		defer s.Wait()
		defer client.Close()
		for _, p := range pieces {
			if p == "FIN" {
				_ = client.CloseWrite()
			} else if _, err := io.WriteString(client, p); err != nil {
				end = err.Error()
			}
			synctest.Wait()
		}
		_ = client.SetReadDeadline(time.Now().Add(d))
		b, err := io.ReadAll(client)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			end = "open"
		case err == nil:
			end = "FIN"
		default:
			end = err.Error()
		}
		text = strings.ReplaceAll(string(b), "Date: Sat, 01 Jan 2000 00:00:00 GMT\r\n", "")
	})
	return text, end
}

func TestBytes(t *testing.T) {
	const three = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nMesos-Stream-Id: s\r\nContent-Type: application/json\r\n\r\n" +
		"10\r\n0123456789abcdef\r\n10\r\n0123456789abcdef\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"
	echo := func(what string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(what), what)
	}
	for name, tc := range map[string]struct {
		pieces    []string
		text, end string
	}{
		"a stream ends and the connection stays usable": {
			[]string{"GET /three HTTP/1.1\r\nHost: x\r\n\r\n", "GET /echo HTTP/1.1\r\n\r\n"},
			three + echo(`GET /echo "" ""`), "open",
		},
		"blanks behind a value are kept, those before it dropped": {
			[]string{"POST /echo HTTP/1.1\r\ncontent-TYPE:  a/b \r\nContent-Length: 3\r\n\r\nabc"},
			echo(`POST /echo "a/b " "abc"`), "open",
		},
		"a body in chunks, in pieces": {
			[]string{"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na", "bc\r\n0\r\n", "\r\n"},
			echo(`POST /echo "" "abc"`), "open",
		},
		"pipelined requests are answered in order": {
			[]string{"GET /echo?1 HTTP/1.1\r\n\r\nGET /echo?2 HTTP/1.1\r\n\r\n"},
			echo(`GET /echo?1 "" ""`) + echo(`GET /echo?2 "" ""`), "open",
		},
		"a request behind a stream is answered inside it": {
			[]string{"GET /stream HTTP/1.1\r\n\r\n", "GET /json HTTP/1.1\r\n\r\n"},
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nrecord 0\r\n" +
				"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}8\r\nrecord 1\r\n", "open",
		},
		"a half-close is the end": {
			[]string{"GET /stream HTTP/1.1\r\n\r\n", "FIN"},
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nrecord 0\r\n", "FIN",
		},
		"HEAD has the length and no body": {
			[]string{"HEAD /echo HTTP/1.1\r\n\r\n"},
			"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 16\r\n\r\n", "open",
		},
		"Connection: close": {
			[]string{"GET /echo HTTP/1.1\r\nConnection: close\r\n\r\n"}, echo(`GET /echo "" ""`), "FIN",
		},
		"HTTP/1.0": {
			[]string{"GET /echo HTTP/1.0\r\n\r\n"}, echo(`GET /echo "" ""`), "FIN",
		},
		"spelling of a header": {
			[]string{"GET /401 HTTP/1.1\r\n\r\n"},
			"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"r\"\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n", "open",
		},
		"an abort breaks the connection without the closing chunk": {
			[]string{"GET /abort HTTP/1.1\r\n\r\n"},
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "FIN",
		},
		"not HTTP":         {[]string{"HELO x\r\n\r\n"}, "", "FIN"},
		"a bad header":     {[]string{"GET / HTTP/1.1\r\nno colon\r\n\r\n"}, "", "FIN"},
		"a bad length":     {[]string{"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"}, "", "FIN"},
		"a bad target":     {[]string{"GET \x01 HTTP/1.1\r\n\r\n"}, "", "FIN"},
		"a bad chunk":      {[]string{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"}, "", "FIN"},
		"a truncated body": {[]string{"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc", "FIN"}, "", "FIN"},
		"a huge head":      {[]string{"GET / HTTP/1.1\r\nA: " + strings.Repeat("a", 100<<10) + "\r\n\r\n"}, "", "FIN"},
	} {
		t.Run(name, func(t *testing.T) {
			text, end := talk(t, 1500*time.Millisecond, tc.pieces...)
			if diff := cmp.Diff(tc.text, text); diff != "" {
				t.Error(diff)
			}
			if end != tc.end {
				t.Errorf("the connection ended with %q, want %q", end, tc.end)
			}
		})
	}
}

// The clients of net/http work against the server on a real socket; Shutdown
// lets what is in hand finish.
func TestShutdown(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	s := &wire.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(started)
		<-release
		fmt.Fprint(w, "done")
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	type answer struct {
		body string
		err  error
	}
	answers := make(chan answer, 1)
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	go func() {
		resp, err := (&http.Client{Transport: tr}).Get("http://" + l.Addr().String())
		if err != nil {
			answers <- answer{err: err}
			return
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		answers <- answer{string(b), err}
	}()
	<-started
	stopped := make(chan error, 1)
	go func() { stopped <- s.Shutdown(t.Context()) }()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	close(release)
	if a := <-answers; a.body != "done" || a.err != nil {
		t.Errorf("got %q, %v", a.body, a.err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve after Shutdown: %v", err)
	}
}

func TestShutdownGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := wire.Pipe()
		defer client.Close()
		s := &wire.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })}
		go s.ServeConn(server)
		if _, err := io.WriteString(client, "GET / HTTP/1.1\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
	})
}
