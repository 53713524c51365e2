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
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/klog/v2/ktesting"

	"github.com/kube-mesos/kube-mesos/plugins/internal/credentials"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
)

// The three masters of recording 22 by the addresses they had.
const (
	firstLeader  = "127.0.0.1:17040" // master2, killed
	secondLeader = "127.0.0.1:17050" // master, stopped until it lost its place
	thirdLeader  = "127.0.0.1:17030" // master3
)

// reply is what a master answered at a time to whatever was asked at the scheduler
// API. Status 0 is a connection refused.
type reply struct {
	at       time.Duration
	status   int
	location string
	text     string
}

// masters are the recorded answers of the masters that do not lead, by address, and
// the life of a framework at those that do.
type masters struct {
	*master
	begun   time.Time
	zero    time.Duration
	replies map[string][]reply
	// leads tells which master leads from when on.
	leads []reply

	mu    sync.Mutex
	asked map[string]int
	// auth are the Authorization headers seen.
	auth map[string]bool
}

// recordedReplies reads what masters that do not lead were recorded answering.
func recordedReplies(t testing.TB, from, till time.Duration) map[string][]reply {
	out := map[string][]reply{}
	addresses := map[string]string{"master": secondLeader, "master2": firstLeader, "master3": thirdLeader}
	add := func(process string, r reply) {
		if address, ok := addresses[process]; ok && r.at >= from && r.at < till && (r.status == http.StatusTemporaryRedirect || r.status == http.StatusServiceUnavailable || r.status == 0) {
			out[address] = append(out[address], r)
		}
	}
	asked := map[int]string{}
	for _, l := range read(t, "22-zookeeper") {
		switch {
		case l.Kind == "call" && strings.HasSuffix(l.Path, schedulerPath):
			asked[l.N] = l.Conn
		case l.Kind == "response" && asked[l.N] == l.Conn:
			add(l.Conn, reply{at: l.At(), status: l.Status, location: l.Headers["Location"], text: textOf(l)})
		case l.Kind == "admin" && l.Action == "signal" && l.Signal == "SIGKILL":
			add(l.Process, reply{at: l.At()})
		case l.Kind == "note":
			var note struct {
				HTTP    int               `json:"http"`
				Headers map[string]string `json:"headers"`
				Body    string            `json:"body"`
			}
			process, _, probe := strings.Cut(l.Text, ": REVIVE")
			if json.Unmarshal(l.Raw, &note) == nil && probe {
				add(process, reply{at: l.At(), status: note.HTTP, location: note.Headers["Location"], text: note.Body})
			}
		}
	}
	return out
}

func (m *masters) now() time.Duration { return m.zero + time.Since(m.begun) }

// latest is the last of a list that began by now.
func latest(list []reply, now time.Duration) (reply, bool) {
	i, exact := slices.BinarySearchFunc(list, now, func(r reply, now time.Duration) int { return int(r.at - now) })
	if exact {
		i++
	}
	if i == 0 {
		return reply{}, false
	}
	return list[i-1], true
}

// RoundTrip implements http.RoundTripper.
func (m *masters) RoundTrip(req *http.Request) (*http.Response, error) {
	host := req.URL.Host
	m.mu.Lock()
	m.asked[host]++
	m.auth[req.Header.Get("Authorization")] = true
	m.mu.Unlock()
	if leader, _ := latest(m.leads, m.now()); leader.location == host {
		return m.master.RoundTrip(req)
	}
	r, ok := latest(m.replies[host], m.now())
	if !ok || r.status == 0 {
		return nil, errRefused()
	}
	headers := map[string]string{}
	if r.location != "" {
		headers["Location"] = r.location
	}
	return answer(req, r.status, headers, r.text), nil
}

// masterNames is a handler that also notes at which master it was subscribed.
type masterNames struct {
	*books
	names []string
	at    []time.Duration
	now   func() time.Duration
}

func (h *masterNames) Subscribed(s mesos.Subscription) {
	h.names, h.at = append(h.names, s.Master), append(h.at, h.now())
	h.books.Subscribed(s)
}

// TestSessionFollowsRecordedLeaders: a session that knows all three masters finds
// the leader through the recorded redirects, through the time when they point to a
// dead one, and keeps its framework.
func TestSessionFollowsRecordedLeaders(t *testing.T) {
	var l *life
	for _, candidate := range lives(t, "22-zookeeper") {
		if candidate.conns() == "A,B,C" {
			l = candidate
		}
	}
	zero := l.streams[0].call.At()
	synctest.Test(t, func(t *testing.T) {
		r := newRun(t, l)
		m := &masters{
			master: r.master, begun: time.Now(), zero: zero, replies: recordedReplies(t, 0, 60*time.Second),
			leads: []reply{
				{at: 0, location: firstLeader}, {at: l.streams[0].endAt, location: ""},
				// From the answers of the new leaders (notes "new leader answers as a leader").
				{at: l.streams[1].call.At(), location: secondLeader}, {at: l.streams[1].endAt, location: thirdLeader},
			},
			asked: map[string]int{}, auth: map[string]bool{},
		}
		h := &masterNames{books: r.books, now: m.now}
		_, ctx := ktesting.NewTestContext(t)
		s, err := mesos.NewSession(mesos.Config{
			Masters:   static(thirdLeader, firstLeader, secondLeader),
			Framework: mesos.FrameworkInfo{Name: "k", User: "root", FailoverTimeout: time.Hour},
			Roles:     mesos.StaticRoles(nil, rolesOfLife(l)...),
			IDs:       r.ids,
		}, h, mesos.WithTransport(m), mesos.WithJitter(func() float64 { return 0.5 }))
		if err != nil {
			t.Fatal(err)
		}
		r.session = s
		result := make(chan error, 1)
		go func() { result <- s.Run(ctx) }()
		r.follow(result)
		r.count(s.Stats())
		r.master.close()
		r.check(facts["22-zookeeper"][1])
		if want := []string{firstLeader, secondLeader, thirdLeader}; !slices.Equal(h.names[:min(3, len(h.names))], want) {
			t.Errorf("subscribed at %q, want %q", h.names, want)
		}
		// The dead leader is named by the others for 9.5 s; we come once that is over.
		if late := h.at[1] - l.streams[1].call.At(); late > 15*time.Second {
			t.Errorf("subscribed %v after the new leader was ready", late)
		}
		if n := m.asked[firstLeader]; n < 3 {
			t.Errorf("the dead leader was asked %d times: the redirects to it were not followed", n)
		}
	})
}

// TestCredentialsOnRecordedMasters: 401 comes before the redirect, and where the
// redirect leads our credentials go along.
func TestCredentialsOnRecordedMasters(t *testing.T) {
	for _, test := range []struct {
		secret  string
		outcome string
	}{
		{"framework-secret", string(mesos.StateConnecting)},
		{"wrong", `Backoff: http://127.0.0.1:17050: the master refused the subscription: 401 "401 Unauthorized.": our credentials are wrong or missing; check the principal and its secret, or the token`},
	} {
		synctest.Test(t, func(t *testing.T) {
			var l *life
			for _, candidate := range lives(t, "22-zookeeper") {
				if candidate.conns() == "master3" {
					l = candidate // the leader's answer to good credentials
				}
			}
			replies := map[string][]reply{}
			asked := map[int]string{}
			for _, line := range read(t, "22-zookeeper") {
				sent := strings.Contains(line.Headers["Authorization"], "framework:"+test.secret)
				if line.Kind == "call" && strings.HasSuffix(line.Path, schedulerPath) && sent {
					asked[line.N] = line.Conn
				}
				if line.Kind == "response" && asked[line.N] == "master" {
					replies[secondLeader] = []reply{{status: line.Status, location: line.Headers["Location"], text: textOf(line)}}
				}
			}
			r := newRun(t, l)
			m := &masters{master: r.master, begun: time.Now(), replies: replies, leads: []reply{{location: thirdLeader}}, asked: map[string]int{}, auth: map[string]bool{}}
			file := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(file, []byte(test.secret), 0o600); err != nil {
				t.Fatal(err)
			}
			secret, err := credentials.New(credentials.Files{Principal: "framework", SecretFile: file})
			if err != nil {
				t.Fatal(err)
			}
			want, _ := secret.Authorization()
			_, ctx := ktesting.NewTestContext(t)
			s, err := mesos.NewSession(mesos.Config{
				Masters:   static(secondLeader),
				Framework: mesos.FrameworkInfo{Name: "k", User: "root", FailoverTimeout: time.Hour, Principal: "framework"},
				Roles:     mesos.StaticRoles(nil, "batch"),
				IDs:       r.ids, Credentials: secret,
			}, r.books, mesos.WithTransport(m), mesos.WithJitter(func() float64 { return 0.5 }))
			if err != nil {
				t.Fatal(err)
			}
			r.session = s
			result := make(chan error, 1)
			go func() { result <- s.Run(ctx) }()
			time.Sleep(time.Second)
			synctest.Wait()
			status := s.Status()
			got := string(status.State)
			if status.LastError != "" {
				got += ": " + status.LastError
			}
			if got != test.outcome || len(m.auth) != 1 || !m.auth[want] {
				t.Errorf("with the secret %q the session is %s, it sent %v", test.secret, got, m.auth)
			}
			r.stop(result)
			r.master.close()
			for _, fault := range r.master.faults {
				t.Error(fault)
			}
		})
	}
}
