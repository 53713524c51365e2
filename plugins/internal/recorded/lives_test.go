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
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/test/recordings"
)

// life is all that one framework went through in a recording.
type life struct {
	file, framework string
	streams         []*stream
	// downs tells for each stream what the master answered after its end.
	downs []downtime
}

// downtime is the time between the death of a master and the next subscription.
type downtime struct {
	// lasts is how long after the end of the stream the master took subscriptions
	// again; forever if it never did.
	lasts time.Duration
	// phases are what it answered meanwhile; before the first it could not be
	// connected to.
	phases []phase
}

type phase struct {
	after  time.Duration
	status int
	text   string
}

const forever = time.Duration(1<<63 - 1)

// lives groups the streams of a recording by framework, in order of time. A stream
// that was refused is a life of its own if the framework had no id yet, or lived on
// in another stream.
func lives(t testing.TB, name string) []*life {
	t.Helper()
	all := streams(t, name)
	var out []*life
	known := map[string]*life{}
	for _, s := range all {
		l := known[s.framework]
		if l == nil || s.refused() && slices.ContainsFunc(l.streams, func(o *stream) bool { return o.endAt > s.endAt }) {
			l = &life{file: name, framework: s.framework}
			out = append(out, l)
			if s.framework != "" && !s.refused() {
				known[s.framework] = l
			}
		}
		l.streams = append(l.streams, s)
	}
	lines := read(t, name)
	for _, l := range out {
		slices.SortStableFunc(l.streams, func(a, b *stream) int { return cmp.Compare(a.opened(), b.opened()) })
		for i, s := range l.streams {
			var next *stream
			if i+1 < len(l.streams) {
				next = l.streams[i+1]
			}
			l.downs = append(l.downs, downOf(lines, s, next))
		}
	}
	return out
}

// downOf reads what was answered between a death and the next subscription.
func downOf(lines []recordings.Line, s, next *stream) downtime {
	switch {
	case s.end != byDeath:
		return downtime{}
	case next == nil:
		return downtime{lasts: forever}
	}
	d := downtime{lasts: max(next.call.At()-s.endAt, 0)}
	for _, l := range lines {
		mine := l.Conn == "probe" || l.Conn == next.conn
		if l.Kind != "response" || !mine || l.At() < s.endAt || l.At() > next.call.At() || l.Status < 404 {
			continue
		}
		d.phases = append(d.phases, phase{after: l.At() - s.endAt, status: l.Status, text: textOf(l)})
	}
	return d
}

// at is the answer so long after the end of the stream; ready if the master takes
// subscriptions, status 0 if it cannot be connected to.
func (d downtime) at(after time.Duration) (status int, text string, ready bool) {
	if after >= d.lasts {
		return 0, "", true
	}
	for _, p := range d.phases {
		if after >= p.after {
			status, text = p.status, p.text
		}
	}
	return status, text, false
}

// conns are the names of the connections, in order.
func (l *life) conns() string {
	var names []string
	for _, s := range l.streams {
		names = append(names, s.conn)
	}
	return strings.Join(names, ",")
}
