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
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/test/recordings/wire"
)

// recordedWindows are the windows of maintenance in a life's events, read from the
// recording alone: of usable offers and of inverse offers.
func recordedWindows(l *life) (out []string) {
	add := func(of string, m protoreflect.Message) {
		u := wire.Sub(m, "unavailability")
		if u == nil {
			return
		}
		w := offers.Unavailability{Start: time.Unix(0, nanoseconds(wire.Sub(u, "start")))}
		if d := wire.Sub(u, "duration"); d != nil {
			w.Duration = time.Duration(nanoseconds(d))
		}
		out = append(out, window(of, wire.Text(m, "id", "value"), wire.Text(m, "agent_id", "value"), w))
	}
	for _, s := range l.streams {
		for _, f := range s.frames {
			switch f.kind() {
			case "OFFERS":
				for _, o := range wire.List(wire.Sub(f.event, "offers"), "offers") {
					if wire.Text(o, "allocation_info", "role") != "" {
						add("offer", o)
					}
				}
			case "INVERSE_OFFERS":
				for _, o := range wire.List(wire.Sub(f.event, "inverse_offers"), "inverse_offers") {
					add("inverse offer", o)
				}
			}
		}
	}
	return out
}

// nanoseconds reads a TimeInfo or DurationInfo.
func nanoseconds(m protoreflect.Message) int64 {
	return m.Get(m.Descriptor().Fields().ByName("nanoseconds")).Int()
}

// TestHeldEndsOfRecordedDrains: with the ends of tasks held back, a session acknowledges
// all else and nothing of them, until they are released: then each of them once.
func TestHeldEndsOfRecordedDrains(t *testing.T) {
	for _, name := range []string{"07-reconcile", "14-drain", "14b-drain-executor", "24-executor-timeouts"} {
		for i, l := range lives(t, name) {
			t.Run(fmt.Sprintf("%s/%d-%s", name, i, l.conns()), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRun(t, l)
					r.books.hold = func(s claims.TaskStatus) bool { return s.State.Terminal() }
					held := 0
					r.master.play = func(p *player) {
						p.drive, p.atEnd = r.drive, func(p *player) { held += r.release(p) }
						p.run()
					}
					r.play()
					if held == 0 {
						t.Error("no end was held")
					}
					if !slices.Equal(r.outcomes, facts[name][i].outcomes) {
						t.Errorf("ended with %q", r.outcomes)
					}
				})
			})
		}
	}
}

// release checks what is acknowledged before and after the release of all ends, and
// returns how many were held.
func (r *run) release(p *player) (held int) {
	ends := map[ack]bool{}
	r.books.mu.Lock()
	for _, s := range r.books.statuses {
		if s.State.Terminal() && len(s.UUID) > 0 {
			ends[ack{task: s.TaskID, agent: s.AgentID, uuid: string(s.UUID)}] = true
		}
	}
	r.books.mu.Unlock()
	check := func(when string, want func(ack, int) int) {
		r.master.mu.Lock()
		defer r.master.mu.Unlock()
		for a, n := range p.due {
			if p.acked[a] != want(a, n) {
				r.t.Errorf("%s: an update of %s was delivered %d times and acknowledged %d times %s the release", p.stream.conn, a.task, n, p.acked[a], when)
			}
		}
	}
	check("before", func(a ack, n int) int {
		if ends[a] {
			return 0
		}
		return n
	})
	for a := range ends {
		r.session.ReleaseAck(a.task)
	}
	p.settle()
	check("after", func(a ack, n int) int {
		if ends[a] {
			return 1
		}
		return n
	})
	return len(ends)
}
