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
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing/synctest"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
	"github.com/kube-mesos/kube-mesos/test/recordings"
)

// The recording 01p has requests and responses as bytes. Here their content is
// compared, as part of the session; raw_test.go compares the bytes themselves,
// and those of 08b.

// rawRequest is the bytes of a recorded request, nil if the line has none or its
// answer is left to the tests of bytes.
func (r *replay) rawRequest(l *line) []byte {
	request := l.Bytes
	if request == nil {
		request = []byte(memberText(parseBody(l.Raw), "raw_request"))
	}
	for _, x := range r.lines[l.pos+1:] {
		if x.Kind == "raw_stream" && x.Conn == l.Conn {
			if x.Bytes == nil {
				return nil
			}
			return request
		}
	}
	return nil
}

// raw does or compares a line of bytes.
func (r *replay) raw(l *line) error {
	switch {
	case l.Kind == "raw_stream" && l.Bytes != nil:
		return r.rawStream(l)
	case l.Kind != "raw_stream":
		if request := r.rawRequest(l); request != nil {
			return r.rawCall(l, request)
		}
	}
	r.report.LeftOut["lines of bytes, see raw_test.go"]++
	return nil
}

// rawCall sends a recorded request.
func (r *replay) rawCall(l *line, request []byte) error {
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
	if err != nil {
		return err
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return err
	}
	header := map[string]string{}
	for k, v := range req.Header {
		header[k] = strings.Join(v, ", ")
	}
	r.report.Driven["calls"]++
	r.answers[l] = r.send(r.transport(l), l.Conn, req.Method, r.baseOf(l)+req.URL.Path, header, body)
	synctest.Wait()
	return nil
}

// rawStream compares what was read of a response up to here, and closes the
// connection, as the recorder did.
func (r *replay) rawStream(l *line) error {
	call := r.rawCallOf(l)
	c := r.conns[l.Conn]
	if call == nil || c == nil {
		r.report.add(l.Number, l.Kind, "the connection %s has no stream", l.Conn)
		return nil
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(l.Bytes)), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	r.report.Compared["responses"]++
	head := &line{Line: &recordings.Line{Number: l.Number, Headers: map[string]string{"Transfer-Encoding": "chunked"}}}
	for k, v := range resp.Header {
		if k != "Date" {
			head.Headers[k] = strings.Join(v, ", ")
		}
	}
	a := r.answers[call]
	if a.status != resp.StatusCode {
		r.report.add(l.Number, l.Kind, "status: recorded %d, emulated %d", resp.StatusCode, a.status)
	}
	r.compareHeaders(head, a, func(format string, args ...any) { r.report.add(l.Number, l.Kind, format, args...) })
	records := codec.NewRecordReader(resp.Body, len(l.Bytes))
	for record, err := records.Next(); err == nil; record, err = records.Next() {
		r.report.Compared["events"]++
		e := &line{Line: &recordings.Line{Number: l.Number, Kind: "event", Conn: l.Conn}, event: parseEvent(record), pos: l.pos, done: l.done}
		r.pending = append(r.pending, &expected{
			l: e, conn: c, kind: e.eventType(), due: r.driven, tolerance: l.At() - call.At(), cause: call.Number,
		})
	}
	r.until(r.moment(l))
	r.await()
	c.cut()
	synctest.Wait()
	return nil
}

// rawCallOf is the request that a recorded response answers.
func (r *replay) rawCallOf(l *line) *line {
	for i := l.pos - 1; i >= 0; i-- {
		if x := r.lines[i]; x.Conn == l.Conn && (x.Kind == "raw_call" || x.Kind == "call") {
			return x
		}
	}
	return nil
}
