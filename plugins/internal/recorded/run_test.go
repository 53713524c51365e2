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
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"k8s.io/klog/v2/ktesting"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/detect"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/test/recordings/wire"
)

// books is a handler that writes down what a session tells it.
type books struct {
	mu sync.Mutex
	// held are the offers that are not void, by id.
	held map[string]offers.Offer
	// statuses are all updates, last those by task.
	statuses []claims.TaskStatus
	last     map[string]claims.TaskStatus
	// failures are "agent/executor status".
	failures []string
	// inverse are the inverse offers that are not void, by id.
	inverse map[string]mesos.InverseOffer
	// windows are all windows that were told, in words.
	windows []string
	// hold is the answer of Updated; nil holds nothing.
	hold func(claims.TaskStatus) bool
	// alive tells that a subscription is live; ids are those that were.
	alive bool
	ids   []string
	// reasons are why subscriptions ended.
	reasons []error
}

// window is a maintenance window of an offer or inverse offer in words.
func window(of, id, agent string, u offers.Unavailability) string {
	return fmt.Sprintf("%s %s of %s: %d for %s", of, id, agent, u.Start.UnixNano(), u.Duration)
}

func newBooks() *books {
	return &books{held: map[string]offers.Offer{}, last: map[string]claims.TaskStatus{}, inverse: map[string]mesos.InverseOffer{}}
}

func (b *books) Subscribed(s mesos.Subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.held)
	clear(b.inverse)
	b.alive = true
	b.ids = append(b.ids, s.FrameworkID)
}

func (b *books) Disconnected(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.held)
	clear(b.inverse)
	b.alive = false
	b.reasons = append(b.reasons, err)
}

func (b *books) Offers(list []offers.Offer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, o := range list {
		b.held[o.ID] = o
		if o.Unavailability != nil {
			b.windows = append(b.windows, window("offer", o.ID, o.AgentID, *o.Unavailability))
		}
	}
}

func (b *books) Rescinded(id string) { b.void(id) }

func (b *books) void(ids ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		delete(b.held, id)
	}
}

func (b *books) Updated(s claims.TaskStatus) (hold bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.statuses = append(b.statuses, s)
	b.last[s.TaskID] = s
	return b.hold != nil && b.hold(s)
}

func (b *books) InverseOffers(list []mesos.InverseOffer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, o := range list {
		b.inverse[o.ID] = o
		b.windows = append(b.windows, window("inverse offer", o.ID, o.AgentID, o.Unavailability))
	}
}

func (b *books) InverseRescinded(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.inverse, id)
}

func (b *books) Failed(agent, executor string, status int32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures = append(b.failures, fmt.Sprintf("%s/%s %d", agent, executor, status))
}

// memory keeps the FrameworkID.
type memory struct {
	mu sync.Mutex
	id string
}

func (m *memory) Load(context.Context) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.id, nil
}

func (m *memory) Save(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.id = id
	return nil
}

// run is one life, played to sessions of ours: to one until the recorded client
// went or the session gave up, then to the next, which begins with the same stored
// FrameworkID.
type run struct {
	t       *testing.T
	master  *master
	ids     *memory
	books   *books
	session *mesos.Session
	// newHandler makes each session's handler, nil means the books alone; attach is
	// given the session, leave is called before it is closed, and away when it has
	// ended. All may be nil.
	newHandler  func() mesos.Handler
	attach      func(*mesos.Session)
	leave, away func()
	// wantsOffers tells whether to subscribe unsuppressed; nil means yes.
	wantsOffers func() bool
	// outcomes are how each session ended: its State, or its text.
	outcomes []string
	// stats are the sums over all sessions.
	stats mesos.Stats
	// driven and skipped count recorded calls that our client made, and those that
	// it has no way to make.
	driven, skipped int
}

// rolesOfLife are the roles that the recorded framework asked for, if they are any.
func rolesOfLife(l *life) []string {
	info := wire.Sub(wire.Sub(l.streams[0].message, "subscribe"), "framework_info")
	roles := texts(info, "roles")
	if role := wire.Text(info, "role"); role != "" {
		roles = append(roles, role)
	}
	slices.Sort(roles)
	roles = slices.Compact(roles)
	if len(roles) == 0 || !slices.ContainsFunc(roles, goodRole) || slices.ContainsFunc(roles, func(r string) bool { return !goodRole(r) }) {
		return []string{"batch"}
	}
	return roles
}

func newRun(t *testing.T, l *life) *run {
	r := &run{t: t, master: newMaster(t, l), ids: &memory{}, books: newBooks()}
	r.ids.id = wire.Text(l.streams[0].message, "framework_id", "value")
	r.master.play = func(p *player) {
		p.drive, p.atEnd = r.drive, r.atEnd
		p.run()
	}
	return r
}

// static is a list of masters whose names need no resolving.
func static(addresses ...string) detect.Detector {
	d, err := detect.New(addresses, detect.Options{Resolve: func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }})
	if err != nil {
		panic(err)
	}
	return d
}

func (r *run) start(ctx context.Context) chan error {
	var handler mesos.Handler = r.books
	if r.newHandler != nil {
		handler = r.newHandler()
	}
	s, err := mesos.NewSession(mesos.Config{
		Masters: static("master:5050"),
		Framework: mesos.FrameworkInfo{
			Name: "kube-mesos", User: "root", FailoverTimeout: time.Hour,
		},
		Roles: mesos.StaticRoles(r.wantsOffers, rolesOfLife(r.master.life)...), IDs: r.ids,
	}, handler, mesos.WithTransport(r.master), mesos.WithJitter(func() float64 { return 0.5 }))
	if err != nil {
		r.t.Fatal(err)
	}
	r.session = s
	if r.attach != nil {
		r.attach(s)
	}
	result := make(chan error, 1)
	go func() { result <- s.Run(ctx) }()
	return result
}

// patience is how long a session may try in vain, in virtual time, before it
// counts as waiting for better days.
const patience = 5 * time.Minute

// play lives the life.
func (r *run) play() {
	_, ctx := ktesting.NewTestContext(r.t)
	for again := true; again; {
		result := r.start(ctx)
		again = r.follow(result)
		if r.away != nil {
			r.away()
		}
		r.count(r.session.Stats())
	}
	r.master.close()
	synctest.Wait()
}

func (r *run) count(s mesos.Stats) {
	r.stats.OffersMalformed += s.OffersMalformed
	r.stats.EventsUnknown += s.EventsUnknown
	r.stats.EventsUndecodable += s.EventsUndecodable
	r.stats.AcksSent += s.AcksSent
	r.stats.AcksFailed += s.AcksFailed
	r.stats.AcksDropped += s.AcksDropped
	r.stats.AcksImpossible += s.AcksImpossible
}

// follow waits for the end of one session; again tells whether another goes on
// from there.
func (r *run) follow(result chan error) (again bool) {
	left := func() bool {
		r.master.mu.Lock()
		defer r.master.mu.Unlock()
		return r.master.next < len(r.master.life.streams)
	}
	var tried time.Time
	for {
		select {
		case err := <-result:
			r.outcomes = append(r.outcomes, outcomeOf(r.session.Status().State, err))
			return left()
		case <-r.master.over:
			synctest.Wait()
			r.outcomes = append(r.outcomes, outcomeOf(r.session.Status().State, nil))
			r.stop(result)
			return left()
		case <-time.After(time.Minute):
			r.master.mu.Lock()
			idle := r.master.live == nil && r.master.next == len(r.master.life.streams)
			r.master.mu.Unlock()
			switch {
			case !idle:
				tried = time.Time{}
			case tried.IsZero():
				tried = time.Now()
			case time.Since(tried) >= patience:
				status := r.session.Status()
				r.outcomes = append(r.outcomes, outcomeOf(status.State, errors.New(status.LastError)))
				r.stop(result)
				return false
			}
		}
	}
}

// stop closes the session, as a process that ends does.
func (r *run) stop(result chan error) {
	if r.leave != nil {
		r.leave()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.session.Close(ctx); err != nil {
		r.t.Errorf("Close: %v", err)
	}
	if err := <-result; err != nil {
		r.t.Errorf("Run after Close: %v", err)
	}
}

// outcomeOf names the state, and the master's words if there are any.
func outcomeOf(state mesos.State, err error) string {
	switch {
	case errors.Is(err, mesos.ErrFailedOver), errors.Is(err, mesos.ErrFrameworkRemoved), err == nil:
		return string(state)
	}
	text := err.Error()
	if _, words, ok := strings.Cut(text, "the master reported an error: "); ok {
		return string(state) + ": " + words
	}
	if _, words, ok := strings.Cut(text, mesos.ErrRolesRefused.Error()+": "); ok {
		return string(state) + " for its roles: " + words
	}
	if _, words, ok := strings.Cut(text, mesos.ErrTermsRefused.Error()+": "); ok {
		return string(state) + " for its terms: " + words
	}
	if strings.Contains(text, "connection refused") {
		return string(state) + ": connection refused"
	}
	return string(state) + ": " + text
}

// drive makes a recorded call through the session, if that has a way to, and
// checks that the session understands the recorded answer.
func (r *run) drive(p *player, x exchange) {
	m := r.master
	m.mu.Lock()
	var ids []string
	kind := wire.Enum(x.message, "type")
	role := "batch"
	if member := wire.Sub(x.message, members[kind]); member != nil && (kind == "ACCEPT" || kind == "DECLINE") {
		ids = offerIDs(member)
		for _, id := range ids {
			if o, ok := p.offers[id]; ok && o.role != "" {
				role = o.role
			}
		}
	}
	inverse := inverseIDsOf(x.message)
	call := replay(x, role)
	if slices.ContainsFunc(inverse, func(id string) bool { return p.inverse[id] == "" }) {
		call = nil // one that never was: our owner does not know it
	}
	if call == nil || m.live != p {
		// Somebody else makes it, so that its offers are gone all the same.
		for _, id := range ids {
			delete(p.offers, id)
		}
		r.skipped++
		m.mu.Unlock()
		r.books.void(ids...)
		return
	}
	m.wanted = &x
	m.mu.Unlock()
	err := call(context.Background(), r.session)
	m.mu.Lock()
	made := m.wanted == nil
	m.wanted = nil
	m.mu.Unlock()
	if !made && r.local(x, err) {
		r.skipped++
		return
	}
	r.driven++
	r.books.void(ids...)
	for _, id := range inverse {
		r.books.InverseRescinded(id)
	}
	var refusal *mesos.CallError
	switch status := x.answer.Status; {
	case !made:
		r.t.Errorf("%s:%d: %s was not made: %v", p.stream.file, x.call.Number, kind, err)
	case status == 200 || status == 202:
		if err != nil {
			r.t.Errorf("%s:%d: %s was answered %d, the session says %v", p.stream.file, x.call.Number, kind, status, err)
		}
	case !errors.As(err, &refusal) || refusal.Status != status || refusal.Body != textOf(x.answer):
		r.t.Errorf("%s:%d: %s was answered %d %q, the session says %v", p.stream.file, x.call.Number, kind, status, textOf(x.answer), err)
	}
}

// inverseIDsOf are the inverse offers that a call answers.
func inverseIDsOf(call protoreflect.Message) []string {
	switch kind := wire.Enum(call, "type"); kind {
	case "ACCEPT_INVERSE_OFFERS", "DECLINE_INVERSE_OFFERS":
		return inverseIDs(wire.Sub(call, members[kind]))
	}
	return nil
}

// local tells whether our client was right not to make a call: one that names a
// role that is not ours would be ignored.
func (r *run) local(x exchange, err error) bool {
	ours := rolesOfLife(r.master.life)
	for _, role := range rolesOf(x.message, wire.Enum(x.message, "type")) {
		if !slices.Contains(ours, role) {
			return err != nil && strings.Contains(err.Error(), role)
		}
	}
	return false
}

// atEnd compares, with all frames read, what the session told with what was sent.
func (r *run) atEnd(p *player) {
	t, s := r.t, p.stream
	where := fmt.Sprintf("%s %s", s.file, s.conn)
	r.books.mu.Lock()
	defer r.books.mu.Unlock()
	r.master.mu.Lock()
	defer r.master.mu.Unlock()
	want := map[string]bool{}
	for id, o := range p.offers {
		if o.role != "" {
			want[id] = true
		}
	}
	if got := slices.Sorted(maps.Keys(r.books.held)); r.books.alive && !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
		t.Errorf("%s: holds offers %q, the master has outstanding %q", where, got, slices.Sorted(maps.Keys(want)))
	}
	if got, want := slices.Sorted(maps.Keys(r.books.inverse)), slices.Sorted(maps.Keys(p.inverse)); r.books.alive && !slices.Equal(got, want) {
		t.Errorf("%s: holds inverse offers %q, the master has outstanding %q", where, got, want)
	}
	for a, n := range p.due {
		if p.acked[a] != n {
			t.Errorf("%s: an update of %s was delivered %d times with this uuid and acknowledged %d times", where, a.task, n, p.acked[a])
		}
	}
}
