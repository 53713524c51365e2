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
	"errors"
	"fmt"
	"math"
	"time"

	mesosv1 "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

const (
	// maxIDsPerCall bounds the offers of one DECLINE and the tasks of one RECONCILE:
	// the master does nothing else while it works through a call.
	maxIDsPerCall = 1000
	// firstFailoverTimeout is the failover_timeout of the very first subscription,
	// until the FrameworkID is stored: a framework whose id was lost goes soon.
	firstFailoverTimeout = 60 * time.Second
)

// marshalCall encodes a call. It refuses a call without a type: the type is no
// pointer, so a forgotten one goes out as UNKNOWN (0), which aborts a real master
// (metrics.cpp "Check failed: call_types.contains(callType)").
func marshalCall(call *scheduler.Call) ([]byte, error) {
	if call.Type == scheduler.Call_UNKNOWN {
		return nil, errors.New("refusing to encode a call of type UNKNOWN: it would abort the master")
	}
	if _, known := scheduler.Call_Type_name[int32(call.Type)]; !known {
		return nil, fmt.Errorf("refusing to encode a call of the unknown type %d", int32(call.Type))
	}
	return call.Marshal()
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func frameworkID(id string) *mesosv1.FrameworkID {
	if id == "" {
		return nil
	}
	return &mesosv1.FrameworkID{Value: id}
}

func agentID(id string) *mesosv1.AgentID {
	if id == "" {
		return nil
	}
	return &mesosv1.AgentID{Value: id}
}

// filters always sets refuse_seconds: absent means 5 s, negative too (Mesos
// hierarchical.cpp recoverResources).
func filters(refuse time.Duration) *mesosv1.Filters {
	seconds := max(refuse, 0).Seconds()
	return &mesosv1.Filters{RefuseSeconds: &seconds}
}

func offerIDs(ids []string) []mesosv1.OfferID {
	out := make([]mesosv1.OfferID, len(ids))
	for i, id := range ids {
		out[i].Value = id
	}
	return out
}

// encodeAccept builds ACCEPT: the reservations, then one LAUNCH of the tasks, in
// their order: the master serves them in that order from the shrinking rest of the
// offers. principal is the framework's.
func encodeAccept(framework, principal string, l Launch) ([]byte, error) {
	if err := validateLaunch(l); err != nil {
		return nil, err
	}
	operations := make([]mesosv1.Offer_Operation, 0, len(l.Reserve)+1)
	for _, p := range l.Reserve {
		entries, err := reserveEntries(p, l.Role, principal)
		if err != nil {
			return nil, err
		}
		operations = append(operations, mesosv1.Offer_Operation{
			Type:    mesosv1.Offer_Operation_RESERVE,
			Reserve: &mesosv1.Offer_Operation_Reserve{Resources: entries},
		})
	}
	infos := make([]mesosv1.TaskInfo, len(l.Tasks))
	for i, task := range l.Tasks {
		info, err := taskInfo(task, l.AgentID, l.Role, principal)
		if err != nil {
			return nil, err
		}
		infos[i] = info
	}
	operations = append(operations, mesosv1.Offer_Operation{
		Type:   mesosv1.Offer_Operation_LAUNCH,
		Launch: &mesosv1.Offer_Operation_Launch{TaskInfos: infos},
	})
	return marshalCall(&scheduler.Call{
		Type:        scheduler.Call_ACCEPT,
		FrameworkID: frameworkID(framework),
		Accept: &scheduler.Call_Accept{
			OfferIDs:   offerIDs(l.OfferIDs),
			Operations: operations,
			Filters:    filters(l.Refuse),
		},
	})
}

// validateLaunch catches what would make the master drop the whole ACCEPT and
// consume its offers (Mesos offer::validate).
func validateLaunch(l Launch) error {
	switch {
	case len(l.OfferIDs) == 0:
		return errors.New("a launch without offers")
	case l.AgentID == "":
		return errors.New("a launch without an agent")
	case l.Role == "":
		return errors.New("a launch without a role")
	case len(l.Tasks) == 0:
		return errors.New("a launch without tasks; decline the offers instead")
	}
	return validateOfferIDs(l.OfferIDs)
}

func validateOfferIDs(ids []string) error {
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if id == "" || seen[id] {
			return fmt.Errorf("offer %q is empty or named twice", id)
		}
		seen[id] = true
	}
	return nil
}

// encodeUnreserve builds ACCEPT with an UNRESERVE for each portion.
func encodeUnreserve(framework string, c UnreserveCall) ([]byte, error) {
	if len(c.OfferIDs) == 0 || c.Role == "" || len(c.Portions) == 0 {
		return nil, errors.New("an UNRESERVE needs offers, a role and what to unreserve")
	}
	if err := validateOfferIDs(c.OfferIDs); err != nil {
		return nil, err
	}
	operations := make([]mesosv1.Offer_Operation, len(c.Portions))
	for i, p := range c.Portions {
		entries, err := unreserveEntries(p, c.Role)
		if err != nil {
			return nil, err
		}
		operations[i] = mesosv1.Offer_Operation{
			Type:      mesosv1.Offer_Operation_UNRESERVE,
			Unreserve: &mesosv1.Offer_Operation_Unreserve{Resources: entries},
		}
	}
	return marshalCall(&scheduler.Call{
		Type:        scheduler.Call_ACCEPT,
		FrameworkID: frameworkID(framework),
		Accept:      &scheduler.Call_Accept{OfferIDs: offerIDs(c.OfferIDs), Operations: operations, Filters: filters(c.Refuse)},
	})
}

// taskInfo builds a command task in the post-refinement format: no role on the
// resources, the allocation role in allocation_info.
func taskInfo(t Task, agent, role, principal string) (mesosv1.TaskInfo, error) {
	if t.ID == "" || len(t.Command) == 0 {
		return mesosv1.TaskInfo{}, fmt.Errorf("task %q needs an id and a command", t.ID)
	}
	needs, err := taskEntries(t, role, principal)
	if err != nil {
		return mesosv1.TaskInfo{}, err
	}
	shell := false
	program := t.Command[0]
	info := mesosv1.TaskInfo{
		Name:      t.Name,
		TaskID:    mesosv1.TaskID{Value: t.ID},
		AgentID:   mesosv1.AgentID{Value: agent},
		Resources: needs,
		Command:   &mesosv1.CommandInfo{Shell: &shell, Value: &program, Arguments: t.Command},
	}
	if len(t.Labels) > 0 {
		info.Labels = &mesosv1.Labels{Labels: make([]mesosv1.Label, len(t.Labels))}
		for i, l := range t.Labels {
			value := l.Value
			info.Labels.Labels[i] = mesosv1.Label{Key: l.Key, Value: &value}
		}
	}
	return info, nil
}

func encodeDecline(framework string, ids []string, refuse time.Duration) ([]byte, error) {
	return marshalCall(&scheduler.Call{
		Type:        scheduler.Call_DECLINE,
		FrameworkID: frameworkID(framework),
		Decline:     &scheduler.Call_Decline{OfferIDs: offerIDs(ids), Filters: filters(refuse)},
	})
}

func encodeKill(framework string, t TaskRef) ([]byte, error) {
	if t.TaskID == "" {
		return nil, errors.New("a kill without a task id")
	}
	return marshalCall(&scheduler.Call{
		Type:        scheduler.Call_KILL,
		FrameworkID: frameworkID(framework),
		Kill:        &scheduler.Call_Kill{TaskID: mesosv1.TaskID{Value: t.TaskID}, AgentID: agentID(t.AgentID)},
	})
}

func encodeRevive(framework string, roles []string) ([]byte, error) {
	return marshalCall(&scheduler.Call{
		Type:        scheduler.Call_REVIVE,
		FrameworkID: frameworkID(framework),
		Revive:      &scheduler.Call_Revive{Roles: roles},
	})
}

func encodeSuppress(framework string, roles []string) ([]byte, error) {
	return marshalCall(&scheduler.Call{
		Type:        scheduler.Call_SUPPRESS,
		FrameworkID: frameworkID(framework),
		Suppress:    &scheduler.Call_Suppress{Roles: roles},
	})
}

// encodeReconcile builds RECONCILE; no tasks means implicit reconciliation.
func encodeReconcile(framework string, tasks []TaskRef) ([]byte, error) {
	out := make([]scheduler.Call_Reconcile_Task, len(tasks))
	for i, t := range tasks {
		if t.TaskID == "" {
			return nil, errors.New("a reconciliation of a task without an id")
		}
		out[i] = scheduler.Call_Reconcile_Task{TaskID: mesosv1.TaskID{Value: t.TaskID}, AgentID: agentID(t.AgentID)}
	}
	return marshalCall(&scheduler.Call{
		Type:        scheduler.Call_RECONCILE,
		FrameworkID: frameworkID(framework),
		Reconcile:   &scheduler.Call_Reconcile{Tasks: out},
	})
}

func encodeAcknowledge(framework string, a ack) ([]byte, error) {
	return marshalCall(&scheduler.Call{
		Type:        scheduler.Call_ACKNOWLEDGE,
		FrameworkID: frameworkID(framework),
		Acknowledge: &scheduler.Call_Acknowledge{
			AgentID: mesosv1.AgentID{Value: a.agentID},
			TaskID:  mesosv1.TaskID{Value: a.taskID},
			UUID:    a.uuid[:],
		},
	})
}

// ackOf makes the acknowledgement of an update, and tells whether the master
// takes it: only updates with an agent and with a uuid of 16 bytes and version
// 1-5. A recorded master answers 400 "Not a valid UUID" to others.
func ackOf(taskID, agentID string, uuid []byte) (ack, bool) {
	a := ack{taskID: taskID, agentID: agentID}
	if taskID == "" || agentID == "" || len(uuid) != len(a.uuid) {
		return a, false
	}
	if version := uuid[6] >> 4; version < 1 || version > 5 {
		return a, false
	}
	copy(a.uuid[:], uuid)
	return a, true
}

// secondsToTime reads a protobuf timestamp in seconds since 1970, microseconds
// kept; what makes no sense becomes the zero time.
func secondsToTime(seconds float64) time.Time {
	if !(seconds > 0) || seconds > math.MaxInt32*4.0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(math.Round(seconds * 1e6)))
}
