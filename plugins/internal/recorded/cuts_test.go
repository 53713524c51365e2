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
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/test/recordings"
	"github.com/kube-mesos/kube-mesos/test/recordings/wire"
)

// lossy loses acknowledgements of the first subscription: some on their way, some
// of the answers to them.
type lossy struct {
	*master
	mu  sync.Mutex
	rng *rand.Rand
	// lost counts acknowledgements that never came, unanswered those that did.
	lost, unanswered int
}

func (l *lossy) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	call, err := wire.DecodeCall(body)
	if err != nil {
		return nil, err
	}
	req.Body = bodyOf(body)
	l.master.mu.Lock()
	first := len(l.master.players) == 1
	l.master.mu.Unlock()
	if wire.Enum(call, "type") != "ACKNOWLEDGE" || !first {
		return l.master.RoundTrip(req)
	}
	l.mu.Lock()
	fate := l.rng.IntN(12)
	switch {
	case fate < 4:
		l.lost++
	case fate == 4:
		l.unanswered++
	}
	l.mu.Unlock()
	switch {
	case fate < 4: // under way when the connection breaks
		<-req.Context().Done()
		return nil, req.Context().Err()
	case fate == 4:
		if resp, err := l.master.RoundTrip(req); err == nil {
			_ = resp.Body.Close()
		}
		return nil, io.ErrUnexpectedEOF
	}
	return l.master.RoundTrip(req)
}

// unacknowledged are the updates, by what would acknowledge them, that were
// delivered and never acknowledged, in order of their first delivery.
func (m *master) unacknowledged() []frame {
	m.mu.Lock()
	defer m.mu.Unlock()
	acked, listed := map[ack]bool{}, map[ack]bool{}
	for _, p := range m.players {
		for a := range p.acked {
			acked[a] = true
		}
	}
	var out []frame
	for _, f := range m.life.streams[0].frames {
		a, due := ack{}, false
		if f.kind() == "UPDATE" {
			a, due = ackOf(f.event)
		}
		delivered := m.players[0].due[a] > 0
		if due && delivered && !acked[a] && !listed[a] {
			listed[a] = true
			out = append(out, f)
		}
	}
	return out
}

// TestNoAcknowledgementIsLostToACut: whatever part of a recorded stream came before
// it was cut, with acknowledgements under way, after the next subscription every
// update that agents repeat is acknowledged.
func TestNoAcknowledgementIsLostToACut(t *testing.T) {
	prefixes, lost, unanswered := 0, 0, 0
	for _, name := range recordings.Names() {
		for _, s := range streams(t, name) {
			if s.refused() || len(s.frames) == 0 {
				continue
			}
			for k := 1; k <= len(s.frames); k++ {
				// Of prefixes that differ in no update one is enough; ERROR is no cut.
				kind := s.frames[k-1].kind()
				if kind == "ERROR" || k < len(s.frames) && kind != "UPDATE" {
					continue
				}
				prefixes++
				synctest.Test(t, func(t *testing.T) {
					l := cutAfter(t, s, k, uint64(prefixes))
					lost, unanswered = lost+l.lost, unanswered+l.unanswered
				})
			}
		}
	}
	if prefixes < 800 || lost < 1000 || unanswered < 100 {
		t.Errorf("%d prefixes played, %d acknowledgements and %d answers lost: the recordings have more", prefixes, lost, unanswered)
	}
}

// cutAfter plays the first k frames, cuts, and lets agents repeat on the next
// stream what was not acknowledged.
func cutAfter(t *testing.T, s *stream, k int, seed uint64) *lossy {
	begun := *s
	begun.frames, begun.calls, begun.end = s.frames[:k], nil, byDeath
	again := *s
	again.frames, again.calls, again.end = s.frames[:1], nil, stillOpen
	r := newRun(t, &life{file: s.file, framework: s.framework, streams: []*stream{&begun, &again}, downs: make([]downtime, 2)})
	r.ids.id = wire.Text(s.message, "framework_id", "value")
	r.master.play = func(p *player) {
		if p.stream == &begun {
			for _, f := range p.stream.frames {
				p.send(f)
			}
			p.settle()
			p.finish()
			return
		}
		p.send(p.stream.frames[0])
		for range 3 {
			for _, f := range r.master.unacknowledged() {
				p.send(f)
			}
			p.settle()
		}
		r.master.over <- struct{}{}
	}
	l := &lossy{master: r.master, rng: rand.New(rand.NewPCG(seed, 7))}
	session, result := begin(t, l, r.books, r.ids)
	r.session = session
	select {
	case <-r.master.over:
	case <-time.After(time.Minute):
		t.Errorf("%s %s cut after %d: not subscribed again; the session is %+v", s.file, s.conn, k, session.Status())
	}
	for _, f := range r.master.unacknowledged() {
		t.Errorf("%s %s cut after %d: the update of line %d was never acknowledged", s.file, s.conn, k, f.line)
	}
	if got := session.Status(); got.State != mesos.StateSubscribed || got.FrameworkID != s.framework {
		t.Errorf("%s %s cut after %d: the session is %s as %q", s.file, s.conn, k, got.State, got.FrameworkID)
	}
	r.stop(result)
	r.master.close()
	for _, fault := range r.master.faults {
		t.Error(fmt.Sprintf("%s %s cut after %d: ", s.file, s.conn, k), fault)
	}
	return l
}
