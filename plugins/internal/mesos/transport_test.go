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
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/plugins/internal/credentials"
)

// waiter is a recorder whose test waits for real time's sake.
type waiter struct {
	recorder
	events chan string
}

func newWaiter() *waiter { return &waiter{events: make(chan string, 64)} }

func (w *waiter) Subscribed(s Subscription) {
	w.recorder.Subscribed(s)
	w.events <- "subscribed"
}

func (w *waiter) Disconnected(err error) {
	w.recorder.Disconnected(err)
	w.events <- "disconnected"
}

func (w *waiter) await(t *testing.T, want string) {
	t.Helper()
	if got := <-w.events; got != want {
		t.Fatalf("the handler was told %q, want %q", got, want)
	}
}

// runReal runs a session on real time and real sockets, with its own transport.
func runReal(t *testing.T, cfg Config, h Handler) *Session {
	t.Helper()
	cfg.IDs = &memIDs{id: "fw"}
	s, err := NewSession(cfg, h)
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() { result <- s.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-result; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
	return s
}

// TestRecordedBytes serves the very bytes that a real master wrote, chunk by chunk
// as it did, over a socket.
func TestRecordedBytes(t *testing.T) {
	text, err := os.ReadFile("testdata/recorded_stream.b64")
	if err != nil {
		t.Fatal(err)
	}
	stream, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(text), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		// The request's end is not looked for: the answer does not depend on it.
		_, _ = conn.Read(make([]byte, 64<<10))
		_, _ = conn.Write(stream)
	}()
	t.Cleanup(func() { _ = l.Close(); <-served })
	h := newWaiter()
	cfg := testConfig(l.Addr().String())
	cfg.IDs = &memIDs{id: "d958639b-bded-4e64-9711-a15cf0c8f378-0000"}
	s, err := NewSession(cfg, h)
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() { result <- s.Run(t.Context()) }()
	h.await(t, "subscribed")
	// The recording ends without an end of the chunked body, as a killed master does.
	h.await(t, "disconnected")
	want := Subscription{FrameworkID: "d958639b-bded-4e64-9711-a15cf0c8f378-0000", Master: l.Addr().String(), Version: "1.12.0",
		HeartbeatInterval: defaultHeartbeat, Roles: AskRoles([]string{"k8s", "batch"}, []string{"k8s", "batch"}), Constraints: true}
	if diff := cmp.Diff([]Subscription{want}, h.subs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(h.offers) != 1 || h.offers[0].ID != "d958639b-bded-4e64-9711-a15cf0c8f378-O0" || h.offers[0].Role != "batch" {
		t.Errorf("offers are %+v", h.offers)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
}

// tcpMaster serves a fake master on a real listener.
func tcpMaster(t *testing.T, network, addr string, secure bool) (*fakeMaster, *httptest.Server) {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatalf("cannot listen on %s: %v", addr, err)
	}
	m := &fakeMaster{t: t, addr: l.Addr().String(), streams: make(chan *fakeStream, 16)}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: m}}
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return m, server
}

// writePEM writes a certificate into a file.
func writePEM(t *testing.T, name string, cert *x509.Certificate) {
	t.Helper()
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func fromFiles(t *testing.T, files credentials.Files) *credentials.Credentials {
	t.Helper()
	c, err := credentials.New(files)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRealSockets(t *testing.T) {
	tests := []struct {
		name, addr string
		secure     bool
	}{
		{name: "IPv4", addr: "127.0.0.1:0"},
		{name: "IPv6", addr: "[::1]:0"},
		{name: "TLS", addr: "127.0.0.1:0", secure: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m, server := tcpMaster(t, "tcp", test.addr, test.secure)
			u, err := url.Parse(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			cfg := testConfig(server.URL)
			if test.secure {
				ca := filepath.Join(t.TempDir(), "ca.pem")
				writePEM(t, ca, server.Certificate())
				cfg.Credentials = fromFiles(t, credentials.Files{CAFile: ca})
			}
			// A proxy of the environment must not be used.
			t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
			t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
			h := newWaiter()
			s := runReal(t, cfg, h)
			st := <-m.streams
			st.send(subscribedEvent("fw"))
			h.await(t, "subscribed")
			if h.subs[0].Master != u.Host {
				t.Errorf("master is %s, want %s", h.subs[0].Master, u.Host)
			}
			for range 20 {
				if err := s.Revive(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Close(t.Context()); err != nil {
				t.Error(err)
			}
			h.await(t, "disconnected")
			<-st.gone
		})
	}
}

func TestUntrustedTLSIsRefused(t *testing.T) {
	m, server := tcpMaster(t, "tcp", "127.0.0.1:0", true)
	server.Config.ErrorLog = nil
	s := runReal(t, testConfig(server.URL), newWaiter())
	// The state is not told to handlers; a call shows that nothing is subscribed,
	// and the server that nothing was sent.
	if err := s.Revive(t.Context()); err == nil {
		t.Error("a call succeeded over an untrusted connection")
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if got := m.seen(); len(got) != 0 {
		t.Errorf("%d calls were sent to an untrusted master", len(got))
	}
}

// TestTransportOptions pins what a long-lived stream needs.
func TestTransportOptions(t *testing.T) {
	tr := newTransport(nil, nil)
	if tr.Proxy != nil || tr.ResponseHeaderTimeout != 0 || !tr.DisableCompression || tr.ForceAttemptHTTP2 || tr.TLSNextProto == nil || tr.DisableKeepAlives {
		t.Errorf("transport is %+v", tr)
	}
}
