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

package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/wire"
	"github.com/kube-mesos/kube-mesos/test/recordings"
)

// rawSession plays the recordings of bytes: connections in memory that carry
// exactly what sockets would, compared byte for byte. Only uuids and dates are
// made equal first; they have the same length everywhere.
type rawSession struct {
	t     *testing.T
	m     *mesosmaster.Master
	conns map[string]*rawConn
	start time.Time
}

// rawConn is one connection with what it has sent so far.
type rawConn struct {
	net  *wire.PipeConn
	seen []byte
}

var (
	uuidText = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	dateText = regexp.MustCompile(`Date: [^\r]*`)
	// builtText is what a binary says of its build, and the length of that.
	builtText = regexp.MustCompile(`"(build_date|build_user|git_branch|git_sha)":"[^"]*"|"build_time":[0-9.e+]+|Content-Length: \d+`)
)

// sameNames replaces what differs from run to run: each uuid by its number in
// order of appearance in names.
func sameNames(b []byte, names map[string]string) string {
	b = dateText.ReplaceAll(b, []byte("Date: D"))
	return string(uuidText.ReplaceAllFunc(b, func(id []byte) []byte {
		n, ok := names[string(id)]
		if !ok {
			n = fmt.Sprintf("uuid-%031d", len(names))
			names[string(id)] = n
		}
		return []byte(n)
	}))
}

// translateNames turns the recorded uuids in a request into the emulator's.
func translateNames(request string, recorded, emulated map[string]string) string {
	return uuidText.ReplaceAllStringFunc(request, func(id string) string {
		for live, n := range emulated {
			if n == recorded[id] {
				return live
			}
		}
		return id
	})
}

// read takes what a connection sends until nothing more comes, and how that
// ended, in the words of the recordings.
func (c *rawConn) read() (b []byte, end string) {
	_ = c.net.SetReadDeadline(time.Now().Add(time.Millisecond))
	b, err := io.ReadAll(c.net)
	c.seen = append(c.seen, b...)
	switch {
	case err == nil:
		return b, "EOF (FIN)"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return b, "timeout (connection still open)"
	default:
		return b, err.Error()
	}
}

// open connects and sends.
func (s *rawSession) open(name, request string) {
	s.t.Helper()
	c, err := s.m.Dial("")
	if err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
	if old := s.conns[name]; old != nil {
		_ = old.net.Close()
	}
	s.conns[name] = &rawConn{net: c}
	s.write(name, request)
}

func (s *rawSession) write(name, text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.conns[name].net, text); err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
	synctest.Wait()
}

// teardown ends the framework of a stream from another connection, whose answer
// must be 202.
func (s *rawSession) teardown(name string) {
	s.t.Helper()
	head := string(s.conns[name].seen)
	_, stream, _ := strings.Cut(head, "Mesos-Stream-Id: ")
	stream, _, _ = strings.Cut(stream, "\r\n")
	id := regexp.MustCompile(`"framework_id":\{"value":"([^"]*)"`).FindStringSubmatch(head)
	body := fmt.Sprintf(`{"type":"TEARDOWN","framework_id":{"value":%q}}`, id[1])
	s.open("other", fmt.Sprintf("POST /api/v1/scheduler HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nMesos-Stream-Id: %s\r\nContent-Length: %d\r\n\r\n%s",
		stream, len(body), body))
	if b, _ := s.conns["other"].read(); !bytes.HasPrefix(b, []byte("HTTP/1.1 202 Accepted\r\n")) {
		s.t.Errorf("TEARDOWN: %q", b)
	}
}

// raw are the members of the lines about bytes that other lines lack.
type raw struct {
	Request string `json:"raw_request"`
	End     string `json:"end"`
}

func playRaw(t *testing.T, name string, only func(conn string) bool) {
	lines, err := recordings.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := &rawSession{t: t, conns: map[string]*rawConn{}, start: time.Now()}
		recorded, emulated := map[string]string{}, map[string]string{}
		for i := range lines {
			l := &lines[i]
			time.Sleep(time.Until(s.start.Add(l.At())))
			var x raw
			if err := json.Unmarshal(l.Raw, &x); err != nil {
				t.Fatalf("line %d: %v", l.Number, err)
			}
			switch l.Kind {
			case "admin":
				s.admin(l)
			case "note":
				s.note(l)
			case "call":
				if x.Request == "" || !only(l.Conn) {
					continue
				}
				s.open(l.Conn, translateNames(x.Request, recorded, emulated))
				if name == "08b-stream-end-raw" && l.Conn == "E" {
					s.write("E", "GET /version HTTP/1.1\r\nHost: 127.0.0.1:16550\r\n\r\n")
				}
			case "raw_stream":
				if only(l.Conn) {
					s.compare(l, &x, recorded, emulated)
				}
			}
		}
		for _, c := range s.conns {
			_ = c.net.Close()
		}
		s.m.Close()
	})
}

// compare reads what the connection of a line has sent since it was last read.
func (s *rawSession) compare(l *recordings.Line, x *raw, recorded, emulated map[string]string) {
	s.t.Helper()
	name, _, _ := strings.Cut(l.Conn, " ") // "A after failover" is A's
	b, end := s.conns[name].read()
	want := []byte(l.Text)
	if l.Bytes != nil {
		want = l.Bytes
	}
	equal := func(b []byte, names map[string]string) string {
		text := sameNames(b, names)
		if i := strings.LastIndex(text, "HTTP/1.1 200 OK"); i > 0 { // the answer to /version
			text = text[:i] + builtText.ReplaceAllString(text[i:], "built")
		}
		return text
	}
	if diff := cmp.Diff(equal(want, recorded), equal(b, emulated)); diff != "" {
		s.t.Errorf("line %d, %s: (-recorded +emulated)\n%s", l.Number, l.Conn, diff)
	}
	if x.End != "" && end != x.End {
		s.t.Errorf("line %d, %s: the connection ended with %q, recorded %q", l.Number, l.Conn, end, x.End)
	}
}

func (s *rawSession) admin(l *recordings.Line) {
	s.t.Helper()
	switch {
	case l.Action == "start cluster":
		c, err := parseCluster(l)
		if err != nil {
			s.t.Fatal(err)
		}
		c.cfg.AgentReregisterDelay = 3 * time.Second // longer than the recorder looked
		for i := range c.cfg.Agents {
			c.cfg.Agents[i].Attributes, c.cfg.Agents[i].AttributeText = nil, "rack:r1;zone:z1;node:node-1"
		}
		if s.m, err = mesosmaster.NewMaster(c.cfg); err != nil {
			s.t.Fatal(err)
		}
	case l.Action == "start process":
		if err := s.m.StartAgain(); err != nil {
			s.t.Fatal(err)
		}
	case l.Signal == "SIGKILL" || l.Signal == "SIGTERM":
		s.m.Stop()
	}
	synctest.Wait()
}

// note does what the recorder did without a line of its own.
func (s *rawSession) note(l *recordings.Line) {
	s.t.Helper()
	switch {
	case l.Text == "TEARDOWN":
		s.teardown("B")
	case l.Text == "tail of E":
		_ = s.conns["E"].net.Close() // never fails
		delete(s.conns, "E")
		synctest.Wait()
	case l.Text == "tail of G":
		if err := s.conns["G"].net.CloseWrite(); err != nil {
			s.t.Fatal(err)
		}
		synctest.Wait()
	}
}

// TestRaw compares bytes.
func TestRaw(t *testing.T) {
	// The ends of streams: failed over, torn down, refused, a request behind a
	// stream, a half-close, the death of the master.
	t.Run("08b-stream-end-raw", func(t *testing.T) {
		playRaw(t, "08b-stream-end-raw", func(string) bool { return true })
	})
	// A stream in protobuf: headers, chunks, records, messages.
	t.Run("01p-protobuf", func(t *testing.T) {
		playRaw(t, "01p-protobuf", func(conn string) bool { return conn == "RAW" })
	})
}
