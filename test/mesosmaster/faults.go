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

package mesosmaster

import (
	"fmt"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/core"
)

// injections are the faults at the HTTP level.
type injections struct {
	unavailableUntil time.Time
	force            []forcedAnswer
}

type forcedAnswer struct {
	callType string
	resp     core.Response
}

// Faults injects disturbances into a Master.
type Faults struct{ m *Master }

// Faults returns the master's fault injector.
func (m *Master) Faults() *Faults { return &Faults{m} }

// unavailable is the answer of a master that has not finished recovery.
func (m *Master) unavailable() (core.Response, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Now().Before(m.inject.unavailableUntil) {
		return core.Response{Status: 503, Body: "Master has not finished recovery"}, true
	}
	return core.Response{}, false
}

// forced takes the first forced answer that fits a call.
func (m *Master) forced(req *core.Request) (core.Response, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, f := range m.inject.force {
		if f.callType == "" || f.callType == req.Call.Type.String() {
			m.inject.force = append(m.inject.force[:i:i], m.inject.force[i+1:]...)
			m.record(time.Now(), req, f.resp.Status)
			return f.resp, true
		}
	}
	return core.Response{}, false
}

// Unavailable answers every call with 503 for d from now on.
func (f *Faults) Unavailable(d time.Duration) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.m.inject.unavailableUntil = time.Now().Add(d)
}

// FailNext answers the next call of a type ("ACCEPT"; empty: any) with a status
// and a body instead of handling it. Several add up.
func (f *Faults) FailNext(callType string, status int, body string) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.m.inject.force = append(f.m.inject.force, forcedAnswer{callType, core.Response{Status: status, Body: body}})
}

// DropLaunches makes the next n ACCEPTs with a launch vanish behind their 202:
// offers consumed, no task, no event.
func (f *Faults) DropLaunches(n int) {
	f.m.do(func(c *core.Master, _ time.Time) { c.SwallowLaunches(n) })
}

// LoseLaunches makes the next n tasks get lost between master and agent: the
// master holds them as TASK_STAGING until the agent re-registers.
func (f *Faults) LoseLaunches(n int) {
	f.m.do(func(c *core.Master, _ time.Time) { c.LoseLaunches(n) })
}

// Rejection is how an injected launch failure looks.
type Rejection = core.Rejection

// RejectNextLaunch makes the next valid task fail with this state and reason.
// With SOURCE_MASTER it never exists and its status has no uuid; with
// SOURCE_AGENT or SOURCE_EXECUTOR the agent reports it, with uuid.
func (f *Faults) RejectNextLaunch(r Rejection) {
	f.m.do(func(c *core.Master, _ time.Time) { c.RejectLaunch(r) })
}

// RejectNextLaunchAs is RejectNextLaunch by the master.
func (f *Faults) RejectNextLaunchAs(state mesos.TaskState, reason mesos.TaskStatus_Reason, message string) {
	f.RejectNextLaunch(Rejection{State: state, Reason: reason, Source: mesos.SOURCE_MASTER, Message: message})
}

// DelayUpdates holds each UPDATE back for d from now on; 0 ends it.
func (f *Faults) DelayUpdates(d time.Duration) {
	f.m.do(func(c *core.Master, _ time.Time) { c.DelayUpdates(d) })
}

// DuplicateUpdates sends each of the next n UPDATEs twice.
func (f *Faults) DuplicateUpdates(n int) {
	f.m.do(func(c *core.Master, _ time.Time) { c.DuplicateUpdates(n) })
}

// HoldHeartbeats stops HEARTBEATs, or lets them go again.
func (f *Faults) HoldHeartbeats(hold bool) {
	f.m.do(func(c *core.Master, _ time.Time) { c.HoldHeartbeats(hold) })
}

// PadOffers adds an attribute of n bytes to every offer made from now on, for
// records of any size; 0 ends it.
func (f *Faults) PadOffers(n int) {
	f.m.do(func(c *core.Master, _ time.Time) { c.PadOffers(n) })
}

// streamOf finds the current stream of a framework; an empty id means the only
// one there is.
func (m *Master) streamOf(frameworkID string) (*stream, error) {
	for _, fw := range m.core.Frameworks() {
		if s := m.streams[fw.StreamID]; s != nil && (frameworkID == "" || fw.ID == frameworkID) {
			return s, nil
		}
	}
	return nil, fmt.Errorf("mesosmaster: framework %q has no stream", frameworkID)
}

// CutStream ends a framework's stream, as a lost connection does: properly, or
// with the connection broken. Both sides notice.
func (f *Faults) CutStream(frameworkID string, abort bool) (err error) {
	f.m.do(func(c *core.Master, now time.Time) {
		var s *stream
		if s, err = f.m.streamOf(frameworkID); err != nil {
			return
		}
		s.close(abort)
		delete(f.m.streams, s.id)
		c.Disconnect(now, s.id)
	})
	return err
}

// FreezeStream makes a framework's stream half-open: nothing is written any
// more, and the master does not notice if the client goes. ThawStream ends it.
func (f *Faults) FreezeStream(frameworkID string) error { return f.freeze(frameworkID, true) }

// ThawStream lets a frozen stream go on with all that has been queued.
func (f *Faults) ThawStream(frameworkID string) error { return f.freeze(frameworkID, false) }

func (f *Faults) freeze(frameworkID string, on bool) (err error) {
	f.m.do(func(*core.Master, time.Time) {
		var s *stream
		if s, err = f.m.streamOf(frameworkID); err == nil {
			s.freeze(on)
		}
	})
	return err
}

// InjectBytes writes raw bytes into a framework's stream, such as a record
// length of "99999999999\n".
func (f *Faults) InjectBytes(frameworkID string, raw []byte) (err error) {
	f.m.do(func(*core.Master, time.Time) {
		var s *stream
		if s, err = f.m.streamOf(frameworkID); err == nil {
			s.push(item{raw: raw})
		}
	})
	return err
}

// InjectRecord writes one well framed record with any payload.
func (f *Faults) InjectRecord(frameworkID string, payload []byte) error {
	return f.InjectBytes(frameworkID, codec.AppendRecord(nil, payload))
}

// InjectEvent writes an event the master has no reason to send.
func (f *Faults) InjectEvent(frameworkID string, e *scheduler.Event) (err error) {
	f.m.do(func(*core.Master, time.Time) {
		var s *stream
		if s, err = f.m.streamOf(frameworkID); err == nil {
			s.push(item{event: e})
		}
	})
	return err
}

// InjectUnknownEvent writes an event of a type from the future.
func (f *Faults) InjectUnknownEvent(frameworkID string) (err error) {
	f.m.do(func(*core.Master, time.Time) {
		var s *stream
		if s, err = f.m.streamOf(frameworkID); err != nil {
			return
		}
		payload := []byte{0x08, 0x63} // field 1 (type), varint 99
		if s.media == mediaJSON {
			payload = []byte(`{"type":"EVENT_FROM_THE_FUTURE"}`)
		}
		s.push(item{raw: codec.AppendRecord(nil, payload)})
	})
	return err
}

// AlignTicks moves the phase of the allocation interval: it ticks at at, and
// every interval from there. The phase of a real master drifts with its load.
func (m *Master) AlignTicks(at time.Time) {
	m.do(func(c *core.Master, now time.Time) { c.AlignTicks(now, at) })
}
