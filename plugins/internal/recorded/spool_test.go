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
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
)

// spool is the body of an event stream: what a master wrote and nobody has read
// yet. Like sockets and a master's memory, it takes whatever is written, and hands
// it out in pieces that have nothing to do with the records.
type spool struct {
	mu      sync.Mutex
	changed *sync.Cond
	pieces  *rand.Rand
	unread  []byte
	// end is what Read returns when all is read, nil while the stream goes on.
	end    error
	closed bool
	// most is the most that ever waited, in bytes.
	most int
	// onClose tells that the reader has gone.
	onClose func()
}

func newSpool(seed uint64, onClose func()) *spool {
	s := &spool{pieces: rand.New(rand.NewPCG(seed, 1)), onClose: onClose}
	s.changed = sync.NewCond(&s.mu)
	return s
}

// put writes one record.
func (s *spool) put(record []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unread = strconv.AppendInt(s.unread, int64(len(record)), 10)
	s.unread = append(append(s.unread, '\n'), record...)
	s.most = max(s.most, len(s.unread))
	s.changed.Broadcast()
}

// finish ends the stream: io.EOF for a proper end, io.ErrUnexpectedEOF for a cut,
// as the HTTP client tells them apart.
func (s *spool) finish(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end == nil {
		s.end = err
	}
	s.changed.Broadcast()
}

// Read implements io.Reader.
func (s *spool) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.unread) == 0 && s.end == nil && !s.closed {
		s.changed.Wait()
	}
	switch {
	case s.closed:
		return 0, io.ErrClosedPipe
	case len(s.unread) == 0:
		return 0, s.end
	}
	n := copy(p, s.unread[:min(len(s.unread), 1+s.pieces.IntN(8192))])
	s.unread = s.unread[n:]
	return n, nil
}

// Close implements io.Closer.
func (s *spool) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.changed.Broadcast()
	s.mu.Unlock()
	if first && s.onClose != nil {
		s.onClose()
	}
	return nil
}
