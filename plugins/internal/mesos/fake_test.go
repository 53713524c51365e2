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
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"k8s.io/klog/v2/ktesting"

	"github.com/kube-mesos/kube-mesos/plugins/internal/credentials"
	"github.com/kube-mesos/kube-mesos/plugins/internal/detect"
)

// memNet is a network in memory: it works in a synctest bubble.

// seenCall is one call as a fake master received it.

type seenCall struct {
	*scheduler.Call
	header http.Header
}

// fakeMaster is a master that the test plays itself.

type fakeMaster struct {
	t      testing.TB
	net    *memNet
	addr   string
	server *http.Server
	// onSubscribe answers SUBSCRIBE without a stream if it returns true.
	onSubscribe func(http.ResponseWriter, *http.Request) bool
	// onCall answers other calls; nil, or status 0, means as a master would.
	onCall func(seenCall) (int, string)
	// onGet answers reads.
	onGet func(http.ResponseWriter, *http.Request)
	// onOperator answers operator calls.
	onOperator func(http.ResponseWriter, *http.Request)
	streams    chan *fakeStream

	mu    sync.Mutex
	calls []seenCall
	count int
}

func newFakeMaster(t testing.TB, n *memNet, addr string) *fakeMaster {
	m := &fakeMaster{t: t, net: n, addr: addr, streams: make(chan *fakeStream, 16)}
	m.server = &http.Server{Handler: m}
	m.listenAlso(addr)
	return m
}

// listenAlso makes the master reachable at an address.
func (m *fakeMaster) listenAlso(addr string) {
	m.serve(m.net.listen(addr))
}

func (m *fakeMaster) serve(l net.Listener) {
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = m.server.Serve(l)
	}()
	m.t.Cleanup(func() {
		_ = m.server.Close()
		<-served
	})
}

// ServeHTTP judges a request as a master does, as far as these tests need it.

func (m *fakeMaster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == operatorPath && m.onOperator != nil {
		m.onOperator(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	call := &scheduler.Call{}
	switch {
	case r.Method == http.MethodGet && m.onGet != nil:
		m.onGet(w, r)
		return
	case r.Method != http.MethodPost || r.URL.Path != schedulerPath:
		http.Error(w, "404 Not Found.", http.StatusNotFound)
		return
	case r.Header.Get("Content-Type") != mediaTypeProtobuf || r.Header.Get("Accept") != mediaTypeProtobuf:
		http.Error(w, "Expecting 'Content-Type' of application/json or application/x-protobuf", http.StatusUnsupportedMediaType)
		return
	case call.Unmarshal(body) != nil:
		http.Error(w, "Failed to parse body into Call protobuf", http.StatusBadRequest)
		return
	}
	seen := seenCall{Call: call, header: r.Header.Clone()}
	m.mu.Lock()
	m.calls = append(m.calls, seen)
	m.count++
	number, onSubscribe := m.count, m.onSubscribe
	m.mu.Unlock()
	if call.Type == scheduler.Call_SUBSCRIBE {
		if onSubscribe == nil || !onSubscribe(w, r) {
			m.stream(w, r, seen, number)
		}
		return
	}
	status, text := 0, ""
	if m.onCall != nil {
		status, text = m.onCall(seen)
	}
	if status == 0 {
		status = http.StatusAccepted
		if call.Type == scheduler.Call_UPDATE_FRAMEWORK {
			status = http.StatusOK
		}
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// fakeStream is the sending side of one subscription.

type fakeStream struct {
	call seenCall
	id   string
	do   chan func(http.ResponseWriter) bool
	// gone is closed when the client has left or the stream was ended.
	gone chan struct{}
}

// answer sets onSubscribe while the master serves.
func (m *fakeMaster) answer(f func(http.ResponseWriter, *http.Request) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.onSubscribe = f
}

func (m *fakeMaster) stream(w http.ResponseWriter, r *http.Request, call seenCall, number int) {
	st := &fakeStream{
		call: call, id: fmt.Sprintf("stream-%s-%d", m.addr, number),
		do: make(chan func(http.ResponseWriter) bool), gone: make(chan struct{}),
	}
	defer close(st.gone)
	w.Header().Set("Content-Type", mediaTypeProtobuf)
	w.Header().Set(headerStreamID, st.id)
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	m.streams <- st
	for {
		select {
		case <-r.Context().Done():
			return
		case f := <-st.do:
			if !f(w) {
				return
			}
			w.(http.Flusher).Flush()
		}
	}
}

// run lets the stream's goroutine do something; false if the stream is gone.

func (st *fakeStream) run(f func(http.ResponseWriter) bool) bool {
	select {
	case st.do <- f:
		return true
	case <-st.gone:
		return false
	}
}

func (st *fakeStream) raw(b []byte) bool {
	return st.run(func(w http.ResponseWriter) bool { _, err := w.Write(b); return err == nil })
}

func (st *fakeStream) send(events ...*scheduler.Event) bool {
	ok := true
	for _, e := range events {
		b, err := e.Marshal()
		if err != nil {
			panic(err)
		}
		ok = st.raw(frame(b))
	}
	return ok
}

// end ends the stream properly, cut breaks the connection.

func (st *fakeStream) end() { st.run(func(http.ResponseWriter) bool { return false }) }

func (st *fakeStream) cut() { st.run(func(http.ResponseWriter) bool { panic(http.ErrAbortHandler) }) }

// seen returns the calls of the given types so far, all if none is given.

func (m *fakeMaster) seen(types ...scheduler.Call_Type) []seenCall {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []seenCall
	for _, c := range m.calls {
		if len(types) == 0 || slices.Contains(types, c.Type) {
			out = append(out, c)
		}
	}
	return out
}

// next waits for the next subscription and makes it live.

func (m *fakeMaster) next(id string) *fakeStream {
	st := <-m.streams
	st.send(subscribedEvent(id))
	synctest.Wait()
	return st
}

// uuidV4 is a uuid that a master takes, made different by n.

// recorder is a Handler that writes down what it is told.

// memIDs is an IDStore in memory.

// rig is a session with its surroundings.

type rig struct {
	t        testing.TB
	net      *memNet
	handler  *recorder
	ids      *memIDs
	observer *countingObserver
	session  *Session
	options  []Option
	cancel   context.CancelFunc
	result   chan error
}

// static is a list of masters whose names need no resolving.
func static(addresses ...string) detect.Detector {
	d, err := detect.New(addresses, detect.Options{Resolve: func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }})
	if err != nil {
		panic(err)
	}
	return d
}

// shows are credentials that show what a function says.
type shows struct {
	*credentials.Credentials
	header func() (string, error)
}

func (s shows) Authorization() (string, error) { return s.header() }

func showing(header func() (string, error)) Credentials {
	none, err := credentials.New(credentials.Files{})
	if err != nil {
		panic(err)
	}
	return shows{none, header}
}

func testConfig(masters ...string) Config {
	if len(masters) == 0 {
		masters = []string{"nobody"} // for who needs the rest only
	}
	return Config{
		Masters: static(masters...),
		Framework: FrameworkInfo{
			Name: "kubernetes", User: "root", FailoverTimeout: 7 * 24 * time.Hour,
			Principal: "kube", Hostname: "host-1", WebUIURL: "http://host-1",
		},
		Roles:       StaticRoles(func() bool { return false }, "k8s", "batch"),
		CallTimeout: 5 * time.Second, HeartbeatMisses: 3, MaxRecordBytes: 1 << 20,
		BackoffInitial: time.Second, BackoffMax: 8 * time.Second,
	}
}

// newRig makes a session, with a stored FrameworkID "fw"; change may alter it.

func newRig(t testing.TB, n *memNet, cfg Config, change func(*rig, *Config)) *rig {
	r := &rig{t: t, net: n, handler: &recorder{}, ids: &memIDs{id: "fw"}, observer: &countingObserver{}, result: make(chan error, 1)}
	cfg.IDs, cfg.Observer = r.ids, r.observer
	if change != nil {
		change(r, &cfg)
	}
	if r.options == nil {
		r.options = []Option{WithTransport(n.transport())}
	}
	s, err := NewSession(cfg, r.handler, append(r.options, WithJitter(func() float64 { return 1 }))...)
	if err != nil {
		t.Fatal(err)
	}
	r.session = s
	return r
}

// start runs the session until the test's end.

func (r *rig) start() *rig {
	_, ctx := ktesting.NewTestContext(r.t)
	ctx, cancel := context.WithCancel(ctx)
	r.cancel = cancel
	go func() { r.result <- r.session.Run(ctx) }()
	return r
}

// stop ends Run by its context and checks its result.

func (r *rig) stop() {
	r.t.Helper()
	r.cancel()
	if err := <-r.result; err != nil {
		r.t.Fatalf("Run returned %v, want nil after its context ended", err)
	}
	if got := r.session.Status().State; got != StateStopped {
		r.t.Fatalf("state after Run is %s, want %s", got, StateStopped)
	}
}

// countingObserver notes what it is told.

// bubble runs a test on virtual time, with a network of its own.

func bubble(t *testing.T, f func(t *testing.T, n *memNet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, &memNet{}) })
}

// plainOffer is an offer of one agent with nothing special about it.
