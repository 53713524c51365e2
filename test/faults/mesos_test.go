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

package faults

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// rig is a master, the faults before it, and a framework of few words.
type rig struct {
	t       *testing.T
	master  *mesosmaster.Master
	faults  *Mesos
	http    *http.Transport
	url, id string
	stream  string
	body    io.ReadCloser
	events  *bufio.Reader
}

func inMemory(m *mesosmaster.Master) Dialer {
	return func(_ context.Context, _, address string) (net.Conn, error) { return m.Dial(address) }
}

// play runs a test in virtual time.
func play(t *testing.T, name string, f func(r *rig), rules ...Rule) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			master := mesosmaster.New(mesosmaster.Config{Agents: []mesosmaster.AgentConfig{{Hostname: "a", Resources: "cpus:4;mem:8192"}}})
			defer master.Close()
			proxy, err := NewMesos(inMemory(master), rules...)
			if err != nil {
				t.Fatal(err)
			}
			defer proxy.Close()
			r := &rig{t: t, master: master, faults: proxy, url: "http://master.example:5050", http: &http.Transport{DialContext: proxy.Dial}}
			defer r.http.CloseIdleConnections()
			f(r)
			if r.body != nil {
				_ = r.body.Close()
			}
			if left := proxy.Unhit(); len(left) > 0 {
				t.Errorf("never hit: %q", left)
			}
		})
	})
}

// post makes a call and returns its answer, as long as patience lasts.
func (r *rig) post(c *scheduler.Call) (*http.Response, error) {
	if r.id != "" {
		c.FrameworkID = &mesos.FrameworkID{Value: r.id}
	}
	b, err := c.Marshal()
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	patience := time.AfterFunc(30*time.Second, cancel)
	defer patience.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+schedulerPath, bytes.NewReader(b))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", mediaProtobuf)
	req.Header.Set("Accept", mediaProtobuf)
	if r.stream != "" {
		req.Header.Set("Mesos-Stream-Id", r.stream)
	}
	return r.http.RoundTrip(req)
}

// call makes a call and returns its status: 0 if there was no answer.
func (r *rig) call(c *scheduler.Call) int {
	resp, err := r.post(c)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func (r *rig) revive() int {
	return r.call(&scheduler.Call{Type: scheduler.Call_REVIVE, Revive: &scheduler.Call_Revive{}})
}

func (r *rig) subscribe() error {
	timeout := 3600.0
	r.stream = ""
	if r.body != nil {
		_ = r.body.Close()
	}
	resp, err := r.post(&scheduler.Call{ //nolint:bodyclose // The stream is closed by play.
		Type: scheduler.Call_SUBSCRIBE, Subscribe: &scheduler.Call_Subscribe{FrameworkInfo: &mesos.FrameworkInfo{
			User: "root", Name: "test", Roles: []string{"role"}, FailoverTimeout: &timeout, ID: idOf(r.id),
			Capabilities: []mesos.FrameworkInfo_Capability{{Type: mesos.FrameworkInfo_Capability_MULTI_ROLE}},
		}}})
	if err != nil {
		return err
	}
	r.stream, r.body, r.events = resp.Header.Get("Mesos-Stream-Id"), resp.Body, bufio.NewReader(resp.Body)
	e, err := r.event()
	if err == nil {
		r.id = e.GetSubscribed().GetFrameworkID().GetValue()
	}
	return err
}

func idOf(id string) *mesos.FrameworkID {
	if id == "" {
		return nil
	}
	return &mesos.FrameworkID{Value: id}
}

func (r *rig) event() (*scheduler.Event, error) {
	_, payload, err := readRecord(r.events)
	if err != nil {
		return nil, err
	}
	e := &scheduler.Event{}
	return e, e.Unmarshal(payload)
}

func (r *rig) want(what string, got, want any) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// What each action does to a call, for the caller and for the master.
func TestCalls(t *testing.T) {
	tests := []struct {
		name   string
		do     []Action
		answer int
		took   time.Duration
		calls  int
	}{
		{"drop", []Action{{Kind: Drop}}, 0, 30 * time.Second, 0},
		{"drop and cut", []Action{{Kind: Drop}, {Kind: Cut}}, 0, 0, 0},
		{"swallow", []Action{{Kind: Swallow}}, 0, 30 * time.Second, 1},
		{"swallow, then cut", []Action{{Kind: Swallow}, {Kind: Cut}}, 0, 0, 1},
		{"swallow, cut later", []Action{{Kind: Swallow}, {Kind: Delay, For: 5 * time.Second}, {Kind: Cut}}, 0, 5 * time.Second, 1},
		{"answer", []Action{{Kind: Answer, Status: 503, Text: "not now"}}, 503, 0, 0},
		{"answer after all", []Action{{Kind: Swallow}, {Kind: Answer, Status: 500}}, 500, 0, 1},
		{"twice", []Action{{Kind: Twice}}, 202, 0, 2},
		{"delay", []Action{{Kind: Delay, For: 7 * time.Second}}, 202, 7 * time.Second, 1},
		{"delay the answer", []Action{{Kind: DelayAnswer, For: 7 * time.Second}}, 202, 7 * time.Second, 1},
		{"cut", []Action{{Kind: Cut}}, 0, 0, 0},
		{"freeze", []Action{{Kind: Freeze}}, 0, 30 * time.Second, 0},
		{"freeze the way back", []Action{{Kind: Freeze, Direction: Backward}}, 0, 30 * time.Second, 1},
		{"slow", []Action{{Kind: Slow, N: 10}}, 202, 8 * time.Second, 1},
		{"behind nobody", []Action{{Kind: Behind, N: 1, For: 9 * time.Second}}, 202, 9 * time.Second, 1},
		{"down", []Action{{Kind: Down, For: time.Minute}}, 0, 0, 0},
	}
	for _, tt := range tests {
		play(t, tt.name, func(r *rig) {
			if err := r.subscribe(); err != nil {
				r.t.Fatal(err)
			}
			r.want("the first, which no rule is about", r.revive(), 202)
			began := time.Now()
			r.want("answer", r.revive(), tt.answer)
			if took := time.Since(began); took < tt.took || took > tt.took+3*time.Second {
				r.t.Errorf("it took %v, want %v", took, tt.took)
			}
			synctest.Wait()
			r.want("calls at the master", r.master.CallCount("REVIVE"), 1+tt.calls)
			if tt.name == "down" {
				r.want("while down", r.revive(), 0)
				time.Sleep(time.Minute)
				if err := r.subscribe(); err != nil {
					r.t.Fatal(err)
				}
			}
			r.want("the third", r.revive(), 202)
		}, Rule{On: "REVIVE", Nth: 2, Do: tt.do})
	}
}

// Calls on different connections overtake each other.
func TestBehind(t *testing.T) {
	play(t, "behind", func(r *rig) {
		if err := r.subscribe(); err != nil {
			r.t.Fatal(err)
		}
		done := make(chan int)
		go func() { done <- r.revive() }()
		synctest.Wait()
		r.want("suppress", r.call(&scheduler.Call{Type: scheduler.Call_SUPPRESS, Suppress: &scheduler.Call_Suppress{}}), 202)
		r.want("revive", <-done, 202)
		var order []string
		for _, c := range r.master.Calls() {
			order = append(order, c.Type)
		}
		r.want("order", strings.Join(order, " "), "SUBSCRIBE SUPPRESS REVIVE")
	}, Rule{On: "REVIVE", Do: []Action{{Kind: Behind, N: 1}}})
}

func TestEvents(t *testing.T) {
	connected := func(r *rig) bool { return r.master.Frameworks()[0].Connected }
	for _, tt := range []struct {
		name string
		do   []Action
		want error
	}{
		{"cut inside", []Action{{Kind: CutInside}}, io.ErrUnexpectedEOF},
		{"cut", []Action{{Kind: Cut}}, io.ErrUnexpectedEOF},
	} {
		play(t, tt.name, func(r *rig) {
			if err := r.subscribe(); err != nil {
				r.t.Fatal(err)
			}
			_, err := r.event()
			r.want("error", err, tt.want)
			synctest.Wait()
			r.want("connected", connected(r), false)
			if err := r.subscribe(); err != nil {
				r.t.Error(err)
			}
		}, Rule{On: "event HEARTBEAT", Do: tt.do})
	}
	play(t, "twice", func(r *rig) {
		if err := r.subscribe(); err != nil {
			r.t.Fatal(err)
		}
		for _, want := range []scheduler.Event_Type{scheduler.Event_HEARTBEAT, scheduler.Event_HEARTBEAT, scheduler.Event_OFFERS} {
			if e, err := r.event(); err != nil || e.Type != want {
				r.t.Errorf("%v, %v, want %v", e, err, want)
			}
		}
	}, Rule{On: "event HEARTBEAT", Do: []Action{{Kind: Twice}}})
	play(t, "half-open: nobody is told", func(r *rig) {
		if err := r.subscribe(); err != nil {
			r.t.Fatal(err)
		}
		stop := time.AfterFunc(time.Hour, func() { _ = r.body.Close() })
		defer stop.Stop()
		began := time.Now()
		if _, err := r.event(); err == nil || time.Since(began) < time.Hour {
			r.t.Errorf("event after %v: %v", time.Since(began), err)
		}
		time.Sleep(time.Minute)
		r.want("connected", connected(r), true)
		time.Sleep(15 * time.Minute)
		r.want("connected after TCP's time-out", connected(r), false)
	}, Rule{On: "event HEARTBEAT", Do: []Action{{Kind: Freeze}}})
	play(t, "slow", func(r *rig) {
		if err := r.subscribe(); err != nil {
			r.t.Fatal(err)
		}
		began := time.Now()
		if _, err := r.event(); err != nil || time.Since(began) < 300*time.Millisecond {
			r.t.Errorf("after %v: %v", time.Since(began), err)
		}
	}, Rule{On: "event HEARTBEAT", Do: []Action{{Kind: Slow, N: 20}}})
	play(t, "what is no record passes as it is", func(r *rig) {
		if err := r.subscribe(); err != nil {
			r.t.Fatal(err)
		}
		if err := r.master.Faults().InjectBytes("", []byte("what?\nand more")); err != nil {
			r.t.Fatal(err)
		}
		var got strings.Builder
		stop := time.AfterFunc(20*time.Second, func() { _ = r.body.Close() })
		defer stop.Stop()
		_, _ = io.Copy(&got, r.events)
		if !strings.Contains(got.String(), "what?\nand more") {
			r.t.Errorf("%q", got.String())
		}
	})
}

// What was sent into a partition arrives when it heals, and a new connection waits.
func TestPartition(t *testing.T) {
	play(t, "both", func(r *rig) {
		if err := r.subscribe(); err != nil {
			r.t.Fatal(err)
		}
		r.want("before", r.revive(), 202)
		r.faults.Partition(Both)
		time.AfterFunc(20*time.Second, r.faults.Heal)
		began := time.Now()
		r.want("inside", r.revive(), 202)
		r.want("took", time.Since(began), 20*time.Second)
		r.faults.Partition(Both)
		r.want("longer than the caller waits", r.revive(), 0)
		r.faults.Heal()
		time.Sleep(2 * time.Second)
		r.want("calls at the master", r.master.CallCount("REVIVE"), 3)
		r.want("after it", r.revive(), 202)
		r.faults.Partition(Backward)
		r.want("answers get lost", r.revive(), 0)
		r.want("calls at the master", r.master.CallCount("REVIVE"), 5)
		r.faults.Heal()
	})
	play(t, "given up long ago", func(r *rig) {
		if err := r.subscribe(); err != nil {
			r.t.Fatal(err)
		}
		r.revive()
		r.faults.Partition(Both)
		r.want("inside", r.revive(), 0)
		time.Sleep(time.Hour)
		r.faults.Heal()
		synctest.Wait()
		r.want("calls at the master", r.master.CallCount("REVIVE"), 1)
	})
}

// The same over sockets.
func TestSockets(t *testing.T) {
	master := mesosmaster.New(mesosmaster.Config{Agents: []mesosmaster.AgentConfig{{Hostname: "a", Resources: "cpus:4;mem:8192"}}})
	defer master.Close()
	if err := master.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var d net.Dialer
	proxy, err := NewMesos(d.DialContext, Rule{On: "REVIVE", Do: []Action{{Kind: Swallow}, {Kind: Cut}}},
		Rule{On: "event HEARTBEAT", Do: []Action{{Kind: CutInside}}})
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	address, err := proxy.Listen("127.0.0.1:0", master.Addr())
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, master: master, faults: proxy, url: "http://" + address, http: &http.Transport{}}
	defer r.http.CloseIdleConnections()
	if err := r.subscribe(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.event(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if err := r.subscribe(); err != nil {
		t.Fatal(err)
	}
	r.want("swallowed", r.revive(), 0)
	r.want("after it", r.revive(), 202)
	r.want("calls at the master", master.CallCount("REVIVE"), 2)
	if left := proxy.Unhit(); len(left) > 0 {
		t.Errorf("never hit: %q", left)
	}
	_ = r.body.Close()
}

// Rules that could do nothing are refused, and those that did nothing told of.
func TestRules(t *testing.T) {
	for _, r := range []Rule{
		{On: "ACCEPT"},
		{On: "event UPDATE", Do: []Action{{Kind: Drop}}},
		{On: "ACCEPT", Do: []Action{{Kind: CutInside}}},
		{On: "ACCEPT", Do: []Action{{Kind: Delay}}},
		{On: "ACCEPT", Do: []Action{{Kind: Invoke}}},
		{On: "SUBSCRIBE", Do: []Action{{Kind: Twice}}},
	} {
		if _, err := NewMesos(nil, r); err == nil {
			t.Errorf("%v is taken", r)
		}
	}
	b := newBook()
	b.add(Rule{On: "ACCEPT", About: "task-1", Nth: 2, Times: 2, Do: []Action{{Kind: Drop}}})
	b.add(Rule{Name: "the rest", On: "", Nth: 1, Times: -1, Do: []Action{{Kind: Cut}}})
	b.add(Rule{On: "KILL", Do: []Action{{Kind: Drop}}})
	var got []Kind
	for _, about := range []string{"task-1", "task-2", "task-1", "task-1", "task-1"} {
		got = append(got, b.meet("ACCEPT", about)[0].Kind)
	}
	if want := []Kind{Cut, Cut, Drop, Drop, Cut}; !equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if do := b.meet("event UPDATE", ""); do != nil {
		t.Errorf("an event is taken for a call: %v", do)
	}
	if left := b.Unhit(); len(left) != 1 || !strings.Contains(left[0], "KILL") {
		t.Errorf("never hit: %q", left)
	}
	if log := b.Log(); len(log) != 6 || log[3].Nth != 4 || log[3].About != "task-1" {
		t.Errorf("log %+v", log)
	}
}

func equal(a, b []Kind) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
