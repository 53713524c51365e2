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

package core

import (
	"errors"
	"fmt"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// Subscribe handles a SUBSCRIBE call whose HTTP checks have passed; stream is
// the new Mesos-Stream-Id. Refusals come as an ERROR event and the end of that
// stream, as from a real master.
func (m *Master) Subscribe(now time.Time, stream string, call *scheduler.Call, constraints OfferConstraints) {
	constraints = m.cfg.known(constraints)
	m.enter(now)
	info := call.GetSubscribe().GetFrameworkInfo()
	suppressed := call.GetSubscribe().GetSuppressedRoles()
	id := info.GetID().GetValue()
	if err := m.refusal(info, suppressed, constraints); err != nil {
		m.end(stream, err.Error())
		return
	}
	f := m.frameworks[id]
	if f != nil && f.info.GetPrincipal() != info.GetPrincipal() {
		m.end(stream, "Changing framework's principal is not allowed.")
		return
	}
	switch {
	case f == nil:
		if id == "" {
			id = m.newFrameworkID()
		}
		f = m.newFramework(id, info)
		f.constraints = constraints
		m.setRoles(f, rolesOf(info), suppressed)
		f.stats.calls["SUBSCRIBE"]++
		m.connect(f, stream)
		m.activate(f)
		m.tellFrameworkAdded(f)
	default:
		f.stats.calls["SUBSCRIBE"]++
		m.failover(f, stream, keepImmutable(f.info, info), suppressed, constraints)
	}
}

// refusal is the list of reasons to refuse a subscription, in the master's order
// (Mesos master.cpp subscribe, validateFramework).
func (m *Master) refusal(info *mesos.FrameworkInfo, suppressed []string, constraints OfferConstraints) error {
	if err := m.validFramework(info); err != nil {
		return err
	}
	if id := info.GetID().GetValue(); id != "" {
		for _, c := range m.completed {
			if c.id == id {
				return errors.New("Framework has been removed")
			}
		}
	}
	if err := validSuppressed(info, suppressed); err != nil {
		return err
	}
	return constraints.Validate(rolesOf(info))
}

// validFramework says why a FrameworkInfo is refused, by its form and by the
// master's flags (Mesos master.cpp validateFramework).
func (m *Master) validFramework(info *mesos.FrameworkInfo) error {
	if err := validFrameworkInfo(info); err != nil {
		return err
	}
	bad := map[string]bool{}
	for _, r := range rolesOf(info) {
		if !m.roleAllowed(r) {
			bad[r] = true
		}
	}
	if len(bad) > 0 {
		return fmt.Errorf("Roles %s are not present in the master's --roles", braces(sortedKeys(bad)))
	}
	if info.User == "root" && m.cfg.NoRootSubmissions {
		return errors.New("User 'root' is not allowed to run frameworks without --root_submissions set")
	}
	return nil
}

// roleAllowed tells whether --roles, if there is such a list, has the role.
func (m *Master) roleAllowed(role string) bool {
	return m.cfg.Roles == nil || slices.Contains(m.cfg.Roles, role)
}

// keepImmutable gives a resubscription the user and checkpoint of the first one
// (Mesos master/validation.cpp preserveImmutableFields).
func keepImmutable(old, info *mesos.FrameworkInfo) *mesos.FrameworkInfo {
	copied := *info
	copied.User = old.User
	copied.Checkpoint = old.Checkpoint
	return &copied
}

// connect starts a subscription: SUBSCRIBED, HEARTBEAT, and a heartbeat each
// interval from then on.
func (m *Master) connect(f *framework, stream string) {
	f.stream, f.connected, f.recovered = stream, true, false
	f.subscriptions++
	f.reregistered = m.now
	if f.registered.IsZero() {
		f.registered = m.now
	}
	m.byStream[stream] = f
	seconds := m.cfg.HeartbeatInterval.Seconds()
	m.emit(f, &scheduler.Event{Type: scheduler.Event_SUBSCRIBED, Subscribed: &scheduler.Event_Subscribed{
		FrameworkID: &mesos.FrameworkID{Value: f.id}, HeartbeatIntervalSeconds: &seconds, MasterInfo: m.info,
	}})
	m.heartbeat(f, stream)
}

func (m *Master) heartbeat(f *framework, stream string) {
	if f.stream != stream {
		return
	}
	if !m.fault.holdHeartbeats {
		m.emit(f, &scheduler.Event{Type: scheduler.Event_HEARTBEAT})
	}
	m.after(m.cfg.HeartbeatInterval, func() { m.heartbeat(f, stream) })
}

// failover replaces the subscription of a known framework, in the order of
// Mesos master.cpp _subscribe: new info and RESCINDs of vanished roles on the
// old stream, ERROR and end there, offers void without a word, then the new
// stream, then the agents repeat what was never acknowledged.
func (m *Master) failover(f *framework, stream string, info *mesos.FrameworkInfo, suppressed []string, constraints OfferConstraints) {
	m.applyInfo(f, info, suppressed, constraints)
	if f.stream != "" {
		delete(m.byStream, f.stream)
		old := f.stream
		m.end(old, "Framework failed over")
		f.stream = ""
	}
	for _, id := range sortedKeys(f.offers) {
		m.discardOffer(f.offers[id], false)
	}
	m.dropInverse(f)
	wasActive := f.active
	m.connect(f, stream)
	if !wasActive {
		m.activate(f)
	}
	m.tellFrameworkUpdated(f)
	m.broadcastFramework(f)
}

// applyInfo takes over a new FrameworkInfo of a known framework; offers of roles
// it no longer has are rescinded.
func (m *Master) applyInfo(f *framework, info *mesos.FrameworkInfo, suppressed []string, constraints OfferConstraints) {
	f.setInfo(info)
	f.constraints = constraints
	m.setRoles(f, rolesOf(info), suppressed)
	for _, id := range sortedKeys(f.offers) {
		if o := f.offers[id]; !f.roles[o.role] {
			m.discardOffer(o, true)
		}
	}
}

// broadcastFramework tells all agents of a changed framework; each repeats all
// its unacknowledged updates at once (Mesos slave.cpp updateFramework).
func (m *Master) broadcastFramework(f *framework) {
	for _, h := range m.hostOrder {
		h.UpdateFramework(f.info)
	}
}

// Disconnect tells the master that the client's side of a stream has gone.
func (m *Master) Disconnect(now time.Time, stream string) {
	m.enter(now)
	m.unwatch(stream)
	if f := m.byStream[stream]; f != nil {
		m.disconnected(f)
	}
}

// updateFramework is the UPDATE_FRAMEWORK call (Mesos master.cpp
// updateFramework).
func (m *Master) updateFramework(f *framework, call *scheduler.Call_UpdateFramework, constraints OfferConstraints) Response {
	constraints = m.cfg.known(constraints)
	info := &call.FrameworkInfo
	if err := m.validFramework(info); err != nil {
		return badRequest("Supplied FrameworkInfo is not valid: " + err.Error())
	}
	if err := immutableChanged(f.info, info); err != nil {
		return badRequest("FrameworkInfo update is not valid: " + err.Error())
	}
	if err := validSuppressed(info, call.SuppressedRoles); err != nil {
		return badRequest("'UpdateFramework' call is not valid: " + err.Error())
	}
	if err := constraints.Validate(rolesOf(info)); err != nil {
		return badRequest("'UpdateFramework' call is not valid: " + err.Error())
	}
	changed := !f.info.Equal(withID(info, f.id))
	m.applyInfo(f, info, call.SuppressedRoles, constraints)
	if changed {
		m.tellFrameworkUpdated(f)
		m.broadcastFramework(f)
	}
	return Response{Status: 200}
}

func withID(info *mesos.FrameworkInfo, id string) *mesos.FrameworkInfo {
	copied := *info
	copied.ID = &mesos.FrameworkID{Value: id}
	return &copied
}

func immutableChanged(old, info *mesos.FrameworkInfo) error {
	switch {
	case old.GetPrincipal() != info.GetPrincipal():
		return errors.New("Changing framework's principal is not allowed.") //nolint:revive // the master's words
	case old.User != info.User:
		return fmt.Errorf("Updating 'FrameworkInfo.user' is unsupported; attempted to update from '%s' to '%s'", old.User, info.User)
	case old.GetCheckpoint() != info.GetCheckpoint():
		return fmt.Errorf("Updating 'FrameworkInfo.checkpoint' is unsupported; attempted to update from '%t' to '%t'", old.GetCheckpoint(), info.GetCheckpoint())
	}
	return nil
}
