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
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/test/recordings/wire"
)

func bodyOf(b []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(b)) }

// flooder answers every RECONCILE as the recorded master answered the flood of
// recording 26: one UPDATE for each task, before the 202.
type flooder struct {
	*master
	template *dynamicpb.Message
	calls    int
}

func (f *flooder) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	call, err := wire.DecodeCall(body)
	if err != nil {
		return nil, err
	}
	if wire.Enum(call, "type") == "RECONCILE" {
		f.master.mu.Lock()
		f.calls++
		p := f.master.live
		f.master.mu.Unlock()
		for _, task := range wire.List(wire.Sub(call, "reconcile"), "tasks") {
			record, err := f.answerFor(wire.Text(task, "task_id", "value"))
			if err != nil {
				return nil, err
			}
			p.body.put(record)
		}
	}
	req.Body = bodyOf(body)
	return f.master.RoundTrip(req)
}

func (f *flooder) answerFor(task string) ([]byte, error) {
	event := proto.Clone(f.template).(*dynamicpb.Message)
	id := wire.Sub(wire.Sub(wire.Sub(event, "update"), "status"), "task_id")
	id.Set(id.Descriptor().Fields().ByName("value"), protoreflect.ValueOfString(task))
	return wire.Marshal(event)
}

// frozen is a handler that stands still at the first update until it is let go, as
// a process that was stopped.
type frozen struct {
	*books
	thaw chan struct{}
}

func (f *frozen) Updated(s claims.TaskStatus) (hold bool) {
	<-f.thaw
	return f.books.Updated(s)
}

// TestFloodToAFrozenReader: 40,000 answers wait while nobody reads the stream for a
// minute. Calls go on, nothing is lost or reordered, and the subscription lives.
func TestFloodToAFrozenReader(t *testing.T) {
	var template *dynamicpb.Message
	for _, s := range streams(t, "26-half-open") {
		for _, f := range s.frames {
			if f.kind() == "UPDATE" && strings.HasPrefix(statusIn(f.event).TaskID, "flood-") {
				template = f.event
			}
		}
	}
	if template == nil {
		t.Fatal("recording 26 has no flood")
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRun(t, quiet(t))
		r.master.play = func(p *player) {
			for _, f := range p.stream.frames {
				p.send(f)
			}
		}
		f := &flooder{master: r.master, template: template}
		h := &frozen{books: r.books, thaw: make(chan struct{})}
		session, result := begin(t, f, h, r.ids)
		r.session = session
		time.Sleep(time.Millisecond)
		var tasks []mesos.TaskRef
		var want []string
		for i := range 40 {
			for j := range 1000 {
				id := fmt.Sprintf("flood-%d-%d", i, j)
				tasks, want = append(tasks, mesos.TaskRef{TaskID: id}), append(want, id)
			}
		}
		if err := session.Reconcile(context.Background(), tasks...); err != nil || f.calls != 40 {
			t.Errorf("RECONCILE in %d calls: %v", f.calls, err)
		}
		// Frozen beyond the watchdog's patience: a slow reader is no silent master.
		time.Sleep(time.Minute)
		if err := session.Kill(context.Background(), mesos.TaskRef{TaskID: "t"}); err != nil {
			t.Errorf("KILL while the reader stands still: %v", err)
		}
		body := r.master.players[0].body
		body.mu.Lock()
		written, waiting := body.most, len(body.unread)
		body.mu.Unlock()
		if buffers := 256 << 10; waiting < 40_000*len("flood-0-0") || waiting < written-buffers {
			t.Errorf("of %d bytes only %d wait: somebody reads them into memory", written, waiting)
		}
		close(h.thaw)
		synctest.Wait()
		var got []string
		for _, s := range r.books.statuses {
			got = append(got, s.TaskID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d of %d answers were told, or not in order", len(got), len(want))
		}
		if status := session.Status(); status.State != mesos.StateSubscribed || len(r.books.reasons) != 0 || session.Stats().Subscriptions != 1 {
			t.Errorf("the session is %+v, subscriptions ended because of %v", status, r.books.reasons)
		}
		r.stop(result)
		r.master.close()
		for _, fault := range r.master.faults {
			t.Error(fault)
		}
	})
}
