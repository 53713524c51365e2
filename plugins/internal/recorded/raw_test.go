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

package recorded

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/klog/v2/ktesting"

	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/test/recordings"
	"github.com/kube-mesos/kube-mesos/test/recordings/wire"
)

// wireBytes is what a master wrote to one connection: at first, and later.
type wireBytes struct {
	first, later []byte
	// hangup tells that the master then closed the connection.
	hangup bool
}

// recordedBytes reads the raw streams of a recording by connection. JSON is made
// protobuf, record by record; the chunks around the records stay as they were.
func recordedBytes(t testing.TB, name string) map[string]*wireBytes {
	out := map[string]*wireBytes{}
	for _, l := range read(t, name) {
		if l.Kind != "raw_stream" {
			continue
		}
		b := l.Bytes
		if b == nil {
			b = transcoded(t, l)
		}
		conn, _, later := strings.Cut(l.Conn, " after ")
		if !later {
			out[conn] = &wireBytes{first: b}
			continue
		}
		out[conn].later = b
		out[conn].hangup = strings.Contains(string(l.Raw), "EOF (FIN)")
	}
	return out
}

// transcoded is a recorded response, or the rest of one, with protobuf records.
func transcoded(t testing.TB, l recordings.Line) []byte {
	head, body, whole := strings.Cut(l.Text, "\r\n\r\n")
	var out bytes.Buffer
	if whole && strings.HasPrefix(head, "HTTP/") {
		out.WriteString(strings.ReplaceAll(head, "application/json", protobufMedia) + "\r\n\r\n")
	} else {
		body = l.Text
	}
	for body != "" {
		size, rest, _ := strings.Cut(body, "\r\n")
		n, err := strconv.ParseInt(size, 16, 32)
		if err != nil {
			out.WriteString(body) // not chunked: an answer inside the stream
			break
		}
		if n == 0 {
			out.WriteString(body)
			break
		}
		_, text, _ := strings.Cut(rest[:n], "\n")
		event, err := wire.Event([]byte(text))
		if err != nil {
			t.Fatalf("08b:%d: %v", l.Number, err)
		}
		record, err := wire.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		chunk := fmt.Sprintf("%d\n%s", len(record), record)
		fmt.Fprintf(&out, "%x\r\n%s\r\n", len(chunk), chunk)
		body = rest[n+2:]
	}
	return out.Bytes()
}

// socket plays recorded bytes to each SUBSCRIBE, over real HTTP connections in
// memory, and takes all other calls.
type socket struct {
	t     *testing.T
	bytes *wireBytes

	mu         sync.Mutex
	subscribes int
	faults     []string
	// reused counts requests on a connection that had served a stream.
	reused  int
	running sync.WaitGroup
	conns   []net.Conn
}

func (s *socket) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	s.mu.Lock()
	s.conns = append(s.conns, theirs)
	s.mu.Unlock()
	s.running.Go(func() { s.serve(theirs) })
	return ours, nil
}

func (s *socket) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	streamed := false
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		call, err := wire.DecodeCall(body)
		if err != nil {
			s.fault(err.Error())
			return
		}
		if _, text := refusal(req.Method, req.Header, call); text != "" {
			s.fault(text)
		}
		if text := discipline(call); text != "" {
			s.fault(text)
		}
		s.mu.Lock()
		if streamed {
			s.reused++
		}
		s.mu.Unlock()
		switch kind := wire.Enum(call, "type"); kind {
		case "SUBSCRIBE":
			streamed = true
			if !s.stream(conn) {
				_ = conn.Close()
				return
			}
		case "UPDATE_FRAMEWORK":
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		default:
			_, _ = io.WriteString(conn, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
		}
	}
}

// stream writes the bytes; false if the connection is to be closed.
func (s *socket) stream(conn net.Conn) bool {
	s.mu.Lock()
	s.subscribes++
	first := s.subscribes == 1
	s.mu.Unlock()
	if !first {
		return false // the rest of the story is another test's
	}
	if _, err := conn.Write(s.bytes.first); err != nil {
		return false
	}
	time.Sleep(time.Second)
	if len(s.bytes.later) > 0 {
		if _, err := conn.Write(s.bytes.later); err != nil {
			return false
		}
	}
	return !s.bytes.hangup
}

func (s *socket) fault(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, text)
}

func (s *socket) close() {
	s.mu.Lock()
	for _, c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

// TestRecordedStreamEnds plays the recorded bytes of whole responses, chunks and
// all, and looks at what the session makes of their ends.
func TestRecordedStreamEnds(t *testing.T) {
	tests := []struct {
		file, conn string
		// reasons are parts of what the handler was told, one for each subscription and
		// each refusal of the roles.
		reasons []string
		// state is where the session stands a second later; events how many it had.
		state  mesos.State
		events int
	}{
		{"08b-stream-end-raw", "A", []string{"Framework failed over"}, mesos.StateFailedOver, 4},
		{"08b-stream-end-raw", "B", []string{"ended the event stream"}, mesos.StateBackoff, 3},
		{"08b-stream-end-raw", "D", []string{"refuses our roles"}, mesos.StateBackoff, 1},
		{"08b-stream-end-raw", "E", []string{"connection of the event stream broke"}, mesos.StateBackoff, 3},
		{"08b-stream-end-raw", "G", []string{"connection of the event stream broke"}, mesos.StateBackoff, 3},
		{"08b-stream-end-raw", "H", []string{"connection of the event stream broke"}, mesos.StateBackoff, 3},
		{"08b-stream-end-raw", "I", []string{"connection of the event stream broke"}, mesos.StateBackoff, 2},
		{"01p-protobuf", "RAW", nil, mesos.StateSubscribed, 3},
		{"01p-protobuf", "RAW2", nil, mesos.StateSubscribed, 2},
	}
	seen := map[string]bool{}
	for _, test := range tests {
		seen[test.file+test.conn] = true
		t.Run(test.file[:3]+test.conn, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				playBytes(t, recordedBytes(t, test.file)[test.conn], func(s *mesos.Session, b *books, o *eventCount, sock *socket) {
					var reasons []string
					for _, err := range b.reasons {
						reasons = append(reasons, err.Error())
					}
					if !slices.EqualFunc(reasons, test.reasons, strings.Contains) {
						t.Errorf("subscriptions ended because of %q, want %q", reasons, test.reasons)
					}
					if got := s.Status().State; got != test.state || o.n != test.events {
						t.Errorf("the session is %s after %d events, want %s after %d", got, o.n, test.state, test.events)
					}
					if len(sock.faults) > 0 {
						t.Errorf("sent what it should not: %q", sock.faults)
					}
				})
			})
		})
	}
	for _, file := range []string{"08b-stream-end-raw", "01p-protobuf"} {
		for conn := range recordedBytes(t, file) {
			if !seen[file+conn] {
				t.Errorf("the bytes of %s %s are not played", file, conn)
			}
		}
	}
}

// eventCount is an Observer that counts events.
type eventCount struct {
	mu sync.Mutex
	n  int
}

func (*eventCount) CallDone(string, string, time.Duration) {}

func (o *eventCount) EventReceived(string, int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.n++
}

func (*eventCount) StateChanged(mesos.State, error) {}

func playBytes(t *testing.T, recorded *wireBytes, look func(*mesos.Session, *books, *eventCount, *socket)) {
	sock := &socket{t: t, bytes: recorded}
	transport := &http.Transport{DialContext: sock.dial, DisableCompression: true}
	b, o := newBooks(), &eventCount{}
	_, ctx := ktesting.NewTestContext(t)
	s, err := mesos.NewSession(mesos.Config{
		Masters:   static("master:5050"),
		Framework: mesos.FrameworkInfo{Name: "k", User: "root", FailoverTimeout: time.Hour},
		Roles:     mesos.StaticRoles(nil, "batch"),
		IDs:       &memory{}, Observer: o, BackoffInitial: time.Minute, BackoffMax: time.Minute,
	}, b, mesos.WithTransport(transport), mesos.WithJitter(func() float64 { return 1 }))
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() { result <- s.Run(ctx) }()
	time.Sleep(2 * time.Second)
	synctest.Wait()
	look(s, b, o, sock)
	closing, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Close(closing); err != nil {
		t.Error(err)
	}
	<-result
	transport.CloseIdleConnections()
	sock.close()
}
