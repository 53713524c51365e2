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

package mesosmaster

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/gogo/protobuf/proto"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
)

// Media types of the scheduler API. A master's stream carries one of these, not
// application/recordio.
const (
	mediaJSON     = "application/json"
	mediaProtobuf = "application/x-protobuf"
)

// item is one thing to write to a stream: an event to encode and frame, or bytes
// a test put in.
type item struct {
	event proto.Message
	raw   []byte
}

// stream is the master's end of one subscription. Its queue is unbounded, as a
// real master's send queue is.
type stream struct {
	id    string
	media string

	mu     sync.Mutex
	queue  []item
	closed bool
	abort  bool
	frozen bool          // by a test: its client's going is not noticed either
	paused bool          // its process is stopped
	wake   chan struct{} // of capacity 1

	// beat is the last heartbeat put in, and beatAt when; the Master's lock guards
	// them.
	beat   proto.Message
	beatAt time.Time
}

func newStream(id, media string) *stream {
	return &stream{id: id, media: media, wake: make(chan struct{}, 1)}
}

func (s *stream) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *stream) push(it item) {
	s.mu.Lock()
	if !s.closed {
		s.queue = append(s.queue, it)
	}
	s.mu.Unlock()
	s.signal()
}

// close ends the stream after what is queued; an abort breaks the connection
// instead of ending the response, and leaves what is queued unwritten.
func (s *stream) close(abort bool) {
	s.mu.Lock()
	s.closed = true
	s.abort = s.abort || abort
	s.mu.Unlock()
	s.signal()
}

// freeze stops writing without anyone noticing; thaw goes on.
func (s *stream) freeze(on bool) {
	s.mu.Lock()
	s.frozen = on
	s.mu.Unlock()
	s.signal()
}

// pause stops writing while the process is stopped.
func (s *stream) pause(on bool) {
	s.mu.Lock()
	s.paused = on
	s.mu.Unlock()
	s.signal()
}

func (s *stream) isFrozen() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.frozen
}

// take returns what can be written now, and whether the stream then ends.
func (s *stream) take() (batch []item, end, abort bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed && s.abort {
		return nil, true, true
	}
	if s.frozen || s.paused {
		return nil, false, false
	}
	batch, s.queue = s.queue, nil
	return batch, s.closed, false
}

// serve writes the stream until it ends or the client goes. It reports whether
// the client went first, and panics with http.ErrAbortHandler to break the
// connection.
func (s *stream) serve(ctx context.Context, w http.ResponseWriter) (clientGone bool) {
	rc := http.NewResponseController(w)
	if err := rc.Flush(); err != nil {
		return true
	}
	var buf []byte
	for {
		batch, end, abort := s.take()
		if abort {
			panic(http.ErrAbortHandler)
		}
		for _, it := range batch {
			buf = s.encode(buf[:0], it)
			if _, err := w.Write(buf); err != nil {
				return true
			}
			if err := rc.Flush(); err != nil {
				return true
			}
		}
		if end {
			return false
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return true
		}
	}
}

func (s *stream) encode(dst []byte, it item) []byte {
	if it.event == nil {
		return append(dst, it.raw...)
	}
	var payload []byte
	var err error
	if s.media == mediaJSON {
		payload, err = codec.MarshalJSON(it.event)
	} else {
		payload, err = proto.Marshal(it.event)
	}
	if err != nil {
		// Events are built by the core and always complete; an incomplete one is a
		// bug that must show in the test that meets it.
		payload = []byte("mesosmaster: cannot encode event: " + err.Error())
	}
	return codec.AppendRecord(dst, payload)
}
