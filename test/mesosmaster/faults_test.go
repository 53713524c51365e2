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

package mesosmaster_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// disturbed runs a test against a master with one subscribed client.
func disturbed(t *testing.T, f func(t *testing.T, m *mesosmaster.Master, c *client)) {
	t.Helper()
	for _, asJSON := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			m := mesosmaster.New(mesosmaster.Config{Agents: agents("node-1", "node-2")})
			defer m.Close()
			c := newClient(t, m, asJSON).subscribe(framework("n", "a"))
			defer c.close()
			synctest.Wait()
			f(t, m, c)
			if err := m.CheckInvariants(); err != nil {
				t.Error(err)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ended(t *testing.T, c *client, want error) {
	t.Helper()
	synctest.Wait()
	select {
	case <-c.done:
	default:
		t.Fatal("the stream has not ended")
	}
	if !errors.Is(c.err, want) {
		t.Fatalf("the stream ended with %v, want %v", c.err, want)
	}
}

func TestCutStream(t *testing.T) {
	for _, abort := range []bool{false, true} {
		disturbed(t, func(t *testing.T, m *mesosmaster.Master, c *client) {
			must(t, m.Faults().CutStream(c.id, abort))
			want := io.EOF
			if abort {
				want = io.ErrUnexpectedEOF
			}
			ended(t, c, want)
			if f := m.Frameworks()[0]; f.Connected || f.Offers != 0 {
				t.Fatalf("got %+v", f)
			}
			if err := m.Faults().CutStream(c.id, abort); err == nil {
				t.Fatal("nothing to cut: want an error")
			}
		})
	}
}

// Half-open: the client hears nothing, and its going is not noticed.
func TestFreezeStream(t *testing.T) {
	disturbed(t, func(t *testing.T, m *mesosmaster.Master, c *client) {
		c.take()
		must(t, m.Faults().FreezeStream(c.id))
		m.RescindAll()
		pass(time.Minute)
		if got := c.take(); len(got) != 0 {
			t.Fatalf("frozen, but heard %v", got)
		}
		must(t, m.Faults().ThawStream(c.id))
		synctest.Wait()
		got := c.take()
		if len(got) != 7 || got[0].Type != scheduler.Event_RESCIND { // 2 RESCIND, OFFERS, 4 HEARTBEAT
			t.Fatalf("after the thaw: %v", got)
		}
		must(t, m.Faults().FreezeStream(c.id))
		c.close()
		pass(time.Minute)
		if f := m.Frameworks()[0]; !f.Connected || f.Offers != 2 {
			t.Fatalf("the master must not notice: %+v", f)
		}
		info := framework("n", "a")
		info.ID = &mesos.FrameworkID{Value: c.id}
		d := newClient(t, m, c.json).subscribe(info)
		defer d.close()
		synctest.Wait()
		if got := d.types(); d.id != c.id || got[0] != "SUBSCRIBED" {
			t.Fatalf("resubscription: %v", got)
		}
	})
}

func TestStreamGarbage(t *testing.T) {
	disturbed(t, func(t *testing.T, m *mesosmaster.Master, c *client) {
		c.take()
		if c.json { // the test client is stricter in JSON only in what it ignores
			must(t, m.Faults().InjectUnknownEvent(c.id))
			synctest.Wait()
			if got := c.take(); len(got) != 1 || got[0].Type != scheduler.Event_UNKNOWN {
				t.Fatalf("got %v", got)
			}
		}
		must(t, m.Faults().InjectEvent("", &scheduler.Event{Type: scheduler.Event_FAILURE, Failure: &scheduler.Event_Failure{}}))
		must(t, m.Faults().InjectBytes(c.id, []byte("99999999999\n")))
		synctest.Wait()
		if got := c.types(); len(got) != 1 || got[0] != "FAILURE" {
			t.Fatalf("got %v", got)
		}
		<-c.done // the reader gives up on the length
	})
}

func TestHugeOffers(t *testing.T) {
	disturbed(t, func(t *testing.T, m *mesosmaster.Master, c *client) {
		c.take()
		m.Faults().PadOffers(8 << 20)
		m.RescindAll()
		pass(time.Second)
		synctest.Wait()
		offers := c.offers()
		if len(offers) != 2 || len(offers[0].Attributes[1].GetText().GetValue()) != 8<<20 {
			t.Fatalf("%d offers", len(offers))
		}
		m.Faults().PadOffers(0)
	})
}

func TestForcedAnswers(t *testing.T) {
	disturbed(t, func(t *testing.T, m *mesosmaster.Master, c *client) {
		m.Faults().FailNext("ACCEPT", 500, "boom")
		m.Faults().FailNext("", 429, "slow down")
		c.call(429, &scheduler.Call{Type: scheduler.Call_REVIVE})
		c.call(202, &scheduler.Call{Type: scheduler.Call_REVIVE})
		if body := c.call(500, accept(0, []string{"x"})); body != "boom" {
			t.Fatalf("body %q", body)
		}
		m.Faults().Unavailable(time.Minute)
		if body := c.call(503, &scheduler.Call{Type: scheduler.Call_REVIVE}); body != "Master has not finished recovery" {
			t.Fatalf("body %q", body)
		}
		pass(time.Minute)
		c.call(202, &scheduler.Call{Type: scheduler.Call_REVIVE})
		calls := m.Calls()
		if len(calls) != 5 || calls[1].Status != 429 || calls[3].Status != 500 || m.CallCount("REVIVE") != 3 || m.CallCount("") != 5 {
			t.Fatalf("calls: %+v", calls)
		}
	})
}

func TestDroppedAndRejectedLaunches(t *testing.T) {
	disturbed(t, func(t *testing.T, m *mesosmaster.Master, c *client) {
		o := c.offers()
		m.Faults().DropLaunches(1)
		c.call(202, accept(0, []string{o[0].ID.Value}, command("t0", o[0].AgentID.Value, "a", "cpus:1")))
		m.Faults().RejectNextLaunchAs(mesos.TASK_ERROR, mesos.REASON_TASK_UNAUTHORIZED, "no")
		m.Faults().RejectNextLaunch(mesosmaster.Rejection{State: mesos.TASK_DROPPED, Reason: mesos.REASON_EXECUTOR_TERMINATED, Source: mesos.SOURCE_AGENT})
		id := o[1].AgentID.Value
		c.call(202, accept(0, []string{o[1].ID.Value}, command("t1", id, "a", "cpus:1"), command("t2", id, "a", "cpus:1")))
		synctest.Wait()
		up := c.updates()
		if len(up) != 2 || up[0].GetReason() != mesos.REASON_TASK_UNAUTHORIZED || up[0].UUID != nil ||
			up[1].GetState() != mesos.TASK_DROPPED || len(up[1].UUID) != 16 {
			t.Fatalf("got %v", up)
		}
		c.ack(up[1])
		pass(time.Second)
		synctest.Wait()
		o = c.offers()
		m.Faults().LoseLaunches(1)
		c.call(202, accept(0, []string{o[0].ID.Value}, command("t3", o[0].AgentID.Value, "a", "cpus:1")))
		pass(time.Hour)
		if tasks := m.Tasks(); len(tasks) != 1 || tasks[0].TaskID != "t3" || tasks[0].State != "TASK_STAGING" {
			t.Fatalf("tasks %v", tasks)
		}
	})
}

func TestUpdateFaults(t *testing.T) {
	disturbed(t, func(t *testing.T, m *mesosmaster.Master, c *client) {
		o := c.offers()
		m.Faults().DelayUpdates(3 * time.Second)
		m.Faults().DuplicateUpdates(1)
		c.call(202, accept(3600, []string{o[0].ID.Value}, command("t0", o[0].AgentID.Value, "a", "cpus:1")))
		pass(2 * time.Second)
		if got := c.updates(); len(got) != 0 {
			t.Fatalf("early: %v", got)
		}
		pass(2 * time.Second)
		if got := c.updates(); len(got) != 2 || string(got[0].UUID) != string(got[1].UUID) {
			t.Fatalf("got %v", got)
		}
		m.Faults().HoldHeartbeats(true)
		c.take()
		pass(time.Minute)
		for _, e := range c.take() {
			if e.Type == scheduler.Event_HEARTBEAT {
				t.Fatal("heartbeats are held")
			}
		}
		must(t, m.FinishTask("t0"))
		must(t, m.DeactivateAgent("node-1"))
		pass(5 * time.Second)
		if n := m.RescindOffers("node-1"); n != 0 {
			t.Fatalf("%d offers of a deactivated agent", n)
		}
		must(t, m.ReactivateAgent("node-1"))
	})
}

// A master that stops and starts, in memory.
func TestStopAndStart(t *testing.T) {
	disturbed(t, func(t *testing.T, m *mesosmaster.Master, c *client) {
		o := c.offers()
		c.call(202, accept(0, []string{o[0].ID.Value}, command("t0", o[0].AgentID.Value, "a", "cpus:1")))
		if err := m.StartAgain(); err == nil {
			t.Fatal("StartAgain without Stop must fail")
		}
		m.Stop()
		m.Stop()
		ended(t, c, io.ErrUnexpectedEOF)
		if err := c.fails(&scheduler.Call{Type: scheduler.Call_REVIVE}); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("got %v", err)
		}
		pass(time.Minute)
		must(t, m.StartAgain())
		if body := c.call(400, &scheduler.Call{Type: scheduler.Call_REVIVE}); body != "Framework cannot be found" {
			t.Fatalf("body %q", body)
		}
		info := framework("n", "a")
		info.ID = &mesos.FrameworkID{Value: c.id}
		d := newClient(t, m, c.json).subscribe(info)
		defer d.close()
		pass(3 * time.Second)
		if got := d.types(); d.id != c.id || !strings.Contains(strings.Join(got, " "), "UPDATE") || len(m.Tasks()) != 1 {
			t.Fatalf("events %v, tasks %v", got, m.Tasks())
		}
		must(t, m.Restart())
		ended(t, d, io.ErrUnexpectedEOF)
	})
}

// A call without type kills the master, as it kills a real one.
func TestCrash(t *testing.T) {
	disturbed(t, func(t *testing.T, m *mesosmaster.Master, c *client) {
		if m.Crashed() != "" {
			t.Fatal("not yet")
		}
		body := `{"type":"UNKNOWN","framework_id":{"value":"` + c.id + `"}}`
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, m.URL()+"/api/v1/scheduler", strings.NewReader(body))
		must(t, err)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Mesos-Stream-Id", c.stream)
		if resp, err := m.Transport().RoundTrip(req); err == nil {
			resp.Body.Close()
			t.Fatal("want a broken connection")
		}
		ended(t, c, io.ErrUnexpectedEOF)
		if m.Crashed() == "" {
			t.Fatal("the crash must be seen")
		}
		if err := c.fails(&scheduler.Call{Type: scheduler.Call_REVIVE}); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("got %v", err)
		}
	})
}

// The same over sockets: the listener goes away too.
func TestCrashOnSocket(t *testing.T) {
	m := mesosmaster.New(mesosmaster.Config{Agents: agents("node-1")})
	must(t, m.Start("127.0.0.1:0"))
	defer m.Close()
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	c := &client{t: t, http: &http.Client{Transport: tr}, base: m.URL()}
	c.subscribe(framework("n", "a"))
	defer c.close()
	for len(m.OutstandingOffers()) == 0 || c.types() == nil { // offers follow the subscription without further cause
	}
	_ = c.fails(&scheduler.Call{Type: scheduler.Call_UNKNOWN, FrameworkID: &mesos.FrameworkID{Value: m.Frameworks()[0].ID}})
	<-c.done
	for !errors.Is(c.fails(&scheduler.Call{Type: scheduler.Call_REVIVE}), syscall.ECONNREFUSED) { // the listener is closed just after
	}
}

func TestAgentsOverTheAPI(t *testing.T) {
	disturbed(t, func(t *testing.T, m *mesosmaster.Master, c *client) {
		if id := m.AddAgent(mesosmaster.AgentConfig{Hostname: "node-3", Resources: small}); id == "" {
			t.Fatal("no id")
		}
		if _, err := m.RegisterAgent(mesosmaster.AgentConfig{Hostname: "node-3", Resources: small}); err == nil {
			t.Fatal("a second agent of that name must be refused")
		}
		synctest.Wait()
		offers := c.offers()
		if len(offers) != 3 {
			t.Fatalf("%d offers", len(offers))
		}
		for _, o := range offers {
			c.call(202, accept(0, []string{o.ID.Value}, command("t-"+o.Hostname, o.AgentID.Value, "a", "cpus:1")))
		}
		synctest.Wait()
		for _, f := range []func() error{
			func() error { return m.KillAgent("node-1") }, func() error { return m.ReturnAgent("node-1") },
			func() error { return m.PartitionAgent("node-2") }, func() error { return m.MarkUnreachable("node-2") },
			func() error { return m.ReturnAgent("node-2") }, func() error { return m.RestartAgent("node-2") },
			func() error { return m.CrashHost("node-3") }, func() error { return m.MarkGone("node-3") },
		} {
			must(t, f())
			pass(100 * time.Millisecond)
			must(t, m.CheckInvariants())
		}
		pass(5 * time.Second)
		var states []string
		for _, a := range m.Agents() {
			states = append(states, a.State)
		}
		if strings.Join(states, " ") != strings.Join([]string{"registered", "registered", "gone"}, " ") {
			t.Fatalf("states %v", states)
		}
		must(t, m.FailTask("t-node-1"))
		must(t, m.LoseTask("t-node-2"))
		for _, err := range []error{m.KillAgent("nope"), m.FinishTask("nope"), m.MarkGone("nope"), m.ExitExecutor("node-1", "nope", 1), m.DeactivateAgent("node-3")} {
			if err == nil {
				t.Error("want an error")
			}
		}
	})
}
