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
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	mesosv1 "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"k8s.io/klog/v2/ktesting"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
)

// memNet is a network in memory: it works in a synctest bubble.
type memNet struct {
	mu        sync.Mutex
	listeners map[string]*memListener
}

type memListener struct {
	addr   string
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *memListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *memListener) Addr() net.Addr { return &net.UnixAddr{Name: l.addr, Net: "mem"} }

func (n *memNet) listen(addr string) *memListener {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners == nil {
		n.listeners = map[string]*memListener{}
	}
	l := &memListener{addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
	n.listeners[addr] = l
	return l
}

func (n *memNet) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[addr]
	n.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	if l == nil {
		return nil, refused
	}
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, refused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (n *memNet) transport() *http.Transport {
	t := newTransport(nil)
	t.DialContext = n.dial
	return t
}

// seenCall is one call as a fake master received it.
type seenCall struct {
	*scheduler.Call
	header http.Header
}

// fakeMaster is a master that the test plays itself.
type fakeMaster struct {
	t      testing.TB
	addr   string
	server *http.Server
	// onSubscribe answers SUBSCRIBE without a stream if it returns true.
	onSubscribe func(http.ResponseWriter, *http.Request) bool
	// onCall answers other calls; nil, or status 0, means as a master would.
	onCall func(seenCall) (int, string)
	// onGet answers reads.
	onGet   func(http.ResponseWriter, *http.Request)
	streams chan *fakeStream

	mu    sync.Mutex
	calls []seenCall
	count int
}

func newFakeMaster(t testing.TB, n *memNet, addr string) *fakeMaster {
	m := &fakeMaster{t: t, addr: addr, streams: make(chan *fakeStream, 16)}
	m.server = &http.Server{Handler: m}
	l := n.listen(addr)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = m.server.Serve(l)
	}()
	t.Cleanup(func() {
		_ = m.server.Close()
		<-served
	})
	return m
}

// ServeHTTP judges a request as a master does, as far as these tests need it.
func (m *fakeMaster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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
	number := m.count
	m.mu.Unlock()
	if call.Type == scheduler.Call_SUBSCRIBE {
		if m.onSubscribe == nil || !m.onSubscribe(w, r) {
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

func frame(record []byte) []byte {
	return append(fmt.Appendf(nil, "%d\n", len(record)), record...)
}

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

func subscribedEvent(id string) *scheduler.Event {
	interval := 15.0
	version := "1.12.0"
	port := uint32(5050)
	return &scheduler.Event{Type: scheduler.Event_SUBSCRIBED, Subscribed: &scheduler.Event_Subscribed{
		FrameworkID: &mesosv1.FrameworkID{Value: id}, HeartbeatIntervalSeconds: &interval,
		MasterInfo: &mesosv1.MasterInfo{ID: "m", Port: &port, Version: &version},
	}}
}

func heartbeatEvent() *scheduler.Event { return &scheduler.Event{Type: scheduler.Event_HEARTBEAT} }

func errorEvent(text string) *scheduler.Event {
	return &scheduler.Event{Type: scheduler.Event_ERROR, Error: &scheduler.Event_Error{Message: text}}
}

func rescindEvent(id string) *scheduler.Event {
	return &scheduler.Event{Type: scheduler.Event_RESCIND, Rescind: &scheduler.Event_Rescind{OfferID: mesosv1.OfferID{Value: id}}}
}

func updateEvent(task string, uuid []byte) *scheduler.Event {
	state, source := mesosv1.TASK_RUNNING, mesosv1.SOURCE_EXECUTOR
	return &scheduler.Event{Type: scheduler.Event_UPDATE, Update: &scheduler.Event_Update{Status: mesosv1.TaskStatus{
		TaskID: mesosv1.TaskID{Value: task}, State: &state, Source: &source,
		AgentID: &mesosv1.AgentID{Value: "S0"}, UUID: uuid,
	}}}
}

func offersEvent(list ...mesosv1.Offer) *scheduler.Event {
	return &scheduler.Event{Type: scheduler.Event_OFFERS, Offers: &scheduler.Event_Offers{Offers: list}}
}

// uuidV4 is a uuid that a master takes, made different by n.
func uuidV4(n int) []byte {
	u := make([]byte, 16)
	u[0], u[1], u[6], u[8] = byte(n), byte(n>>8), 0x40, 0x80
	return u
}

// recorder is a Handler that writes down what it is told.
type recorder struct {
	mu  sync.Mutex
	log []string
	// onUpdate and onSubscribed run inside the handler's methods.
	onUpdate     func(claims.TaskStatus)
	onSubscribed func(Subscription)
	subs         []Subscription
	statuses     []claims.TaskStatus
	offers       []offers.Offer
	reasons      []error
}

func (r *recorder) add(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, fmt.Sprintf(format, args...))
}

func (r *recorder) Subscribed(s Subscription) {
	r.add("subscribed %s at %s", s.FrameworkID, s.Master)
	r.subs = append(r.subs, s)
	if r.onSubscribed != nil {
		r.onSubscribed(s)
	}
}

func (r *recorder) Disconnected(err error) {
	r.add("disconnected")
	r.reasons = append(r.reasons, err)
}

func (r *recorder) Offers(list []offers.Offer) {
	for _, o := range list {
		r.add("offer %s", o.ID)
		r.offers = append(r.offers, o)
	}
}

func (r *recorder) Rescinded(id string) { r.add("rescinded %s", id) }

func (r *recorder) Updated(s claims.TaskStatus) {
	if r.onUpdate != nil {
		r.onUpdate(s)
	}
	r.add("updated %s %s", s.TaskID, s.State)
	r.statuses = append(r.statuses, s)
}

func (r *recorder) Failed(agent, executor string, status int32) {
	r.add("failed %s/%s %d", agent, executor, status)
}

func (r *recorder) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.log, "\n")
}

func (r *recorder) wants(t testing.TB, lines ...string) {
	t.Helper()
	if got, want := r.text(), strings.Join(lines, "\n"); got != want {
		t.Fatalf("the handler was told\n%s\nwant\n%s", got, want)
	}
}

// memIDs is an IDStore in memory.
type memIDs struct {
	mu               sync.Mutex
	id               string
	loads, saves     int
	loadErr, saveErr error
	onSave           func()
}

func (m *memIDs) Load(context.Context) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loads++
	return m.id, m.loadErr
}

func (m *memIDs) Save(_ context.Context, id string) error {
	if m.onSave != nil {
		m.onSave()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.saves++
	if m.saveErr != nil {
		return m.saveErr
	}
	m.id = id
	return nil
}

// rig is a session with its surroundings.
type rig struct {
	t        testing.TB
	net      *memNet
	handler  *recorder
	ids      *memIDs
	observer *countingObserver
	session  *Session
	cancel   context.CancelFunc
	result   chan error
}

func testConfig(masters ...string) Config {
	return Config{
		Masters: masters,
		Framework: FrameworkInfo{
			Name: "kubernetes", User: "root", Roles: []string{"k8s", "batch"}, FailoverTimeout: 7 * 24 * time.Hour,
			Principal: "kube", Hostname: "host-1", WebUIURL: "http://host-1",
		},
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
	s, err := NewSession(cfg, r.handler, WithTransport(n.transport()), WithJitter(func() float64 { return 1 }))
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
type countingObserver struct {
	mu     sync.Mutex
	calls  []string
	events []string
	states []State
}

func (o *countingObserver) CallDone(kind, result string, _ time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls = append(o.calls, kind+" "+result)
}

func (o *countingObserver) EventReceived(kind string, _ int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, kind)
}

func (o *countingObserver) StateChanged(state State, _ error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.states = append(o.states, state)
}

func (o *countingObserver) snapshot() (calls, events []string, states []State) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.calls), slices.Clone(o.events), slices.Clone(o.states)
}

// bubble runs a test on virtual time, with a network of its own.
func bubble(t *testing.T, f func(t *testing.T, n *memNet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, &memNet{}) })
}

// plainOffer is an offer of one agent with nothing special about it.
func plainOffer(id, agent string) mesosv1.Offer {
	role := "k8s"
	return mesosv1.Offer{
		ID: mesosv1.OfferID{Value: id}, FrameworkID: mesosv1.FrameworkID{Value: "fw"}, AgentID: mesosv1.AgentID{Value: agent},
		Hostname: "host-" + agent, AllocationInfo: &mesosv1.Resource_AllocationInfo{Role: &role},
		Resources: []mesosv1.Resource{scalarOf("cpus", 4), scalarOf("mem", 1024)},
	}
}

func scalarOf(name string, value float64) mesosv1.Resource {
	typ, role := mesosv1.SCALAR, "k8s"
	return mesosv1.Resource{
		Name: name, Type: &typ, Scalar: &mesosv1.Value_Scalar{Value: value},
		AllocationInfo: &mesosv1.Resource_AllocationInfo{Role: &role},
	}
}
