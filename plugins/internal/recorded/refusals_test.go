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
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/klog/v2/ktesting"

	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/test/recordings"
)

// recordedAnswers are the distinct answers other than a stream, a redirect or
// success that masters gave at the scheduler API, by whether SUBSCRIBE got them.
func recordedAnswers(t testing.TB) (toSubscribe, toCalls map[string]recordings.Line) {
	toSubscribe, toCalls = map[string]recordings.Line{}, map[string]recordings.Line{}
	for _, name := range recordings.Names() {
		calls := map[int]recordings.Line{}
		for _, l := range read(t, name) {
			if l.Kind == "call" && strings.TrimSuffix(l.Path, "/") == schedulerPath && l.Method == http.MethodPost {
				calls[l.N] = l
			}
			call, ok := calls[l.N]
			if l.Kind == "response" && l.Conn == "probe" {
				ok = true
			}
			if l.Kind != "response" || !ok || l.Status < 400 {
				continue
			}
			key := fmt.Sprintf("%d %.60s", l.Status, strings.ReplaceAll(textOf(l), "\n", " "))
			if strings.Contains(string(call.Body), `"SUBSCRIBE"`) {
				toSubscribe[key] = l
			} else {
				toCalls[key] = l
			}
		}
	}
	return toSubscribe, toCalls
}

// stub answers SUBSCRIBE with one answer a few times, then with a good stream, and
// everything else with another answer.
type stub struct {
	*master
	mu     sync.Mutex
	first  *recordings.Line
	times  int
	others *recordings.Line
	// calls counts those that were answered by others.
	calls int
}

func (s *stub) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	subscribe := req.Header.Get(streamIDHeader) == ""
	switch {
	case subscribe && s.times > 0:
		s.times--
		return answer(req, s.first.Status, s.first.Headers, textOf(*s.first)), nil
	case !subscribe && s.others != nil:
		s.calls++
		return answer(req, s.others.Status, s.others.Headers, textOf(*s.others)), nil
	}
	return s.master.RoundTrip(req)
}

// quiet is a life of one stream that stays open.
func quiet(t testing.TB) *life {
	for _, l := range lives(t, "26-half-open") {
		if l.conns() == "D" {
			return l
		}
	}
	t.Fatal("recording 26 has no stream D")
	return nil
}

func begin(t *testing.T, rt http.RoundTripper, h mesos.Handler, ids *memory) (*mesos.Session, chan error) {
	t.Helper()
	_, ctx := ktesting.NewTestContext(t)
	s, err := mesos.NewSession(mesos.Config{
		Masters:   static("master:5050"),
		Framework: mesos.FrameworkInfo{Name: "k", User: "root", FailoverTimeout: time.Hour},
		Roles:     mesos.StaticRoles(nil, "batch"),
		IDs:       ids,
	}, h, mesos.WithTransport(rt), mesos.WithJitter(func() float64 { return 0.5 }))
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() { result <- s.Run(ctx) }()
	return s, result
}

// TestRecordedAnswersToSubscribe: whatever a master was recorded answering instead
// of a stream, the session says so, waits, and comes back.
func TestRecordedAnswersToSubscribe(t *testing.T) {
	toSubscribe, _ := recordedAnswers(t)
	if len(toSubscribe) < 6 {
		t.Fatalf("only %d answers recorded", len(toSubscribe))
	}
	for key, line := range toSubscribe {
		t.Run(key, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRun(t, quiet(t))
				s := &stub{master: r.master, first: &line, times: 3}
				session, result := begin(t, s, r.books, r.ids)
				r.session = session
				time.Sleep(time.Millisecond)
				synctest.Wait()
				status := session.Status()
				if status.State != mesos.StateBackoff || !strings.Contains(status.LastError, fmt.Sprintf("%d %q", line.Status, strings.TrimSpace(textOf(line)))) {
					t.Errorf("the session is %s because of %q", status.State, status.LastError)
				}
				wait := 2 * time.Second
				if line.Status == http.StatusUnauthorized {
					wait = 40 * time.Second // somebody has to mend it: there is no hurry
				}
				time.Sleep(wait)
				synctest.Wait()
				if got := session.Status().State; got != mesos.StateSubscribed || len(r.books.reasons) != 0 {
					t.Errorf("the session is %s after the trouble, and told of ends %v", got, r.books.reasons)
				}
				r.stop(result)
				r.master.close()
			})
		})
	}
}

// hostStub answers at one address with a recorded answer, at others as recorded.
type hostStub struct {
	*master
	host string
	line recordings.Line
}

func (s hostStub) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host == s.host {
		return answer(req, s.line.Status, s.line.Headers, textOf(s.line)), nil
	}
	return s.master.RoundTrip(req)
}

// TestMasterThatIsNotReadyIsPassedOver: what a master answers while it starts
// (recording 18), or without a leader, is no reason to wait: the next is asked.
func TestMasterThatIsNotReadyIsPassedOver(t *testing.T) {
	_, toCalls := recordedAnswers(t)
	passed := 0
	for key, line := range toCalls {
		if line.Status != http.StatusNotFound && line.Status != http.StatusServiceUnavailable {
			continue
		}
		passed++
		synctest.Test(t, func(t *testing.T) {
			r := newRun(t, quiet(t))
			_, ctx := ktesting.NewTestContext(t)
			s, err := mesos.NewSession(mesos.Config{
				Masters:   static("starting:5050", "leader:5050"),
				Framework: mesos.FrameworkInfo{Name: "k", User: "root", FailoverTimeout: time.Hour},
				Roles:     mesos.StaticRoles(nil, "batch"),
				IDs:       r.ids,
			}, r.books, mesos.WithTransport(hostStub{r.master, "starting:5050", line}))
			if err != nil {
				t.Fatal(err)
			}
			r.session = s
			result := make(chan error, 1)
			go func() { result <- s.Run(ctx) }()
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
			if got := s.Status(); got.State != mesos.StateSubscribed || got.Master != "leader:5050" {
				t.Errorf("%s: the session is %+v", key, got)
			}
			r.stop(result)
			r.master.close()
		})
	}
	if passed < 2 {
		t.Errorf("%d such answers recorded", passed)
	}
}

// TestRecordedAnswersToCalls: an answer that depends on the state of the
// subscription ends it, with the answer as the reason; any other concerns the call
// alone.
func TestRecordedAnswersToCalls(t *testing.T) {
	_, toCalls := recordedAnswers(t)
	if len(toCalls) < 20 {
		t.Fatalf("only %d answers recorded", len(toCalls))
	}
	for key, line := range toCalls {
		t.Run(key, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRun(t, quiet(t))
				r.ids.id = r.master.life.framework
				s := &stub{master: r.master}
				session, result := begin(t, s, r.books, r.ids)
				r.session = session
				time.Sleep(10 * time.Millisecond)
				synctest.Wait()
				s.mu.Lock()
				s.others = &line
				s.mu.Unlock()
				err := session.Kill(context.Background(), mesos.TaskRef{TaskID: "t"})
				if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%d %q", line.Status, strings.TrimSpace(textOf(line)))) {
					t.Errorf("Kill returned %v", err)
				}
				synctest.Wait()
				text := textOf(line)
				ends := line.Status == http.StatusServiceUnavailable || line.Status == http.StatusNotFound || line.Status == http.StatusForbidden ||
					text == "Framework cannot be found" || strings.HasPrefix(text, "The stream ID '") || strings.HasPrefix(text, "All non-subscribe")
				if got := len(r.books.reasons) == 1; got != ends {
					t.Errorf("the subscription ended: %v, want %v", got, ends)
				}
				if strings.HasPrefix(text, "The stream ID '") {
					select {
					case <-result:
					case <-time.After(time.Minute):
						r.stop(result)
					}
					if got := session.Status().State; got != mesos.StateFailedOver {
						t.Errorf("the session is %s", got)
					}
				} else {
					r.stop(result)
				}
				r.master.close()
			})
		})
	}
}

// TestRefusedReadsLeaveTheSubscription: reads of the session go to the master that holds the
// stream, and their refusals say nothing about it.
func TestRefusedReadsLeaveTheSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRun(t, quiet(t))
		_, toCalls := recordedAnswers(t)
		line := toCalls["401 401 Unauthorized."]
		s := &stub{master: r.master}
		session, result := begin(t, readRefuser{s, &line}, r.books, r.ids)
		r.session = session
		time.Sleep(10 * time.Millisecond)
		if _, err := session.Agents(context.Background()); err == nil || !strings.Contains(err.Error(), "401") {
			t.Errorf("Agents returned %v", err)
		}
		synctest.Wait()
		if got := session.Status().State; got != mesos.StateSubscribed {
			t.Errorf("the session is %s", got)
		}
		r.stop(result)
		r.master.close()
	})
}

// readRefuser refuses reads.
type readRefuser struct {
	http.RoundTripper
	line *recordings.Line
}

func (r readRefuser) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodGet {
		return answer(req, r.line.Status, r.line.Headers, textOf(*r.line)), nil
	}
	return r.RoundTripper.RoundTrip(req)
}
