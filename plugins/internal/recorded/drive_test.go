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
	"net/http"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
	"github.com/kube-mesos/kube-mesos/test/recordings/wire"
)

// replay is a recorded call as a call of our own client; nil if that cannot make
// such a call.
func replay(x exchange, role string) func(context.Context, mesos.Client) error {
	message := x.message
	if status, _ := refusal(http.MethodPost, http.Header{"Content-Type": {protobufMedia}}, message); status != 0 {
		return nil // we never send what is refused in whatever state
	}
	switch wire.Enum(message, "type") {
	case "DECLINE":
		decline := wire.Sub(message, "decline")
		ids, refuse := offerIDs(decline), refuseOf(decline)
		if len(ids) == 0 {
			return nil
		}
		return func(ctx context.Context, c mesos.Client) error { return c.Decline(ctx, ids, refuse) }
	case "REVIVE":
		return rolesCall(message, "revive", mesos.Client.Revive)
	case "SUPPRESS":
		return rolesCall(message, "suppress", mesos.Client.Suppress)
	case "ACCEPT_INVERSE_OFFERS", "DECLINE_INVERSE_OFFERS":
		kind := wire.Enum(message, "type")
		answer := wire.Sub(message, members[kind])
		ids, refuse := inverseIDs(answer), refuseOf(answer)
		return func(ctx context.Context, c mesos.Client) error {
			return c.AnswerInverse(ctx, kind == "ACCEPT_INVERSE_OFFERS", ids, refuse)
		}
	case "KILL":
		if wire.Sub(wire.Sub(message, "kill"), "kill_policy") != nil {
			return nil
		}
		task := mesos.TaskRef{TaskID: wire.Text(message, "kill", "task_id", "value"), AgentID: wire.Text(message, "kill", "agent_id", "value")}
		return func(ctx context.Context, c mesos.Client) error { return c.Kill(ctx, task) }
	case "RECONCILE":
		var tasks []mesos.TaskRef
		for _, t := range wire.List(wire.Sub(message, "reconcile"), "tasks") {
			tasks = append(tasks, mesos.TaskRef{TaskID: wire.Text(t, "task_id", "value"), AgentID: wire.Text(t, "agent_id", "value")})
		}
		return func(ctx context.Context, c mesos.Client) error { return c.Reconcile(ctx, tasks...) }
	case "ACCEPT":
		launch, ok := launchOf(wire.Sub(message, "accept"), role)
		if !ok {
			return nil
		}
		return func(ctx context.Context, c mesos.Client) error { return c.Accept(ctx, launch) }
	}
	return nil
}

func rolesCall(message protoreflect.Message, member protoreflect.Name, call func(mesos.Client, context.Context, ...string) error) func(context.Context, mesos.Client) error {
	var roles []string
	if m := wire.Sub(message, member); m != nil {
		roles = texts(m, "roles")
	}
	return func(ctx context.Context, c mesos.Client) error { return call(c, ctx, roles...) }
}

// refuseOf is the wait of the filters, 5 s where a master would take that.
func refuseOf(m protoreflect.Message) time.Duration {
	if filters := wire.Sub(m, "filters"); filters != nil {
		if v, ok := number(filters, "refuse_seconds"); ok && v >= 0 && v <= 365*24*3600 {
			return time.Duration(v * float64(time.Second))
		}
	}
	return 5 * time.Second
}

// launchOf reads an ACCEPT that is one LAUNCH of command tasks which use cpus, mem
// and disk that are anybody's.
func launchOf(accept protoreflect.Message, role string) (mesos.Launch, bool) {
	operations := wire.List(accept, "operations")
	if len(operations) != 1 || wire.Enum(operations[0], "type") != "LAUNCH" || wire.Sub(operations[0], "launch") == nil || wire.Sub(operations[0], "id") != nil {
		return mesos.Launch{}, false
	}
	l := mesos.Launch{OfferIDs: offerIDs(accept), Role: role, Refuse: refuseOf(accept)}
	for _, info := range wire.List(wire.Sub(operations[0], "launch"), "task_infos") {
		task := mesos.Task{ID: wire.Text(info, "task_id", "value"), Name: wire.Text(info, "name"), Command: []string{wire.Text(info, "command", "value")}}
		if wire.Sub(info, "command") == nil || wire.Sub(info, "executor") != nil || task.ID == "" || task.Command[0] == "" {
			return l, false
		}
		agent := wire.Text(info, "agent_id", "value")
		if l.AgentID != "" && l.AgentID != agent {
			return l, false
		}
		l.AgentID = agent
		var needs resources.Vector
		for _, r := range wire.List(info, "resources") {
			kind, known := resources.KindOfMesos(wire.Text(r, "name"))
			scalar := wire.Sub(r, "scalar")
			if !known || scalar == nil {
				return l, false
			}
			amount, _ := number(scalar, "value")
			need, ok := resources.FromMesosScalar(amount)
			if !ok || need <= 0 || wire.Sub(r, "revocable") != nil || len(wire.List(r, "reservations")) > 0 || wire.Sub(r, "disk") != nil {
				return l, false
			}
			needs[kind] += need
		}
		if needs.IsZero() {
			return l, false
		}
		task.Parts = []resources.Portion{{Bundle: resources.Bundle{Vector: needs}}}
		l.Tasks = append(l.Tasks, task)
	}
	unique := slices.Compact(slices.Sorted(slices.Values(l.OfferIDs)))
	return l, len(l.Tasks) > 0 && len(l.OfferIDs) > 0 && len(unique) == len(l.OfferIDs) && l.AgentID != ""
}

// same tells whether a call asks for what a recorded one does.
func same(recorded, sent protoreflect.Message) bool {
	kind := wire.Enum(sent, "type")
	if wire.Enum(recorded, "type") != kind {
		return false
	}
	a, b := wire.Sub(recorded, members[kind]), wire.Sub(sent, members[kind])
	switch kind {
	case "DECLINE":
		return slices.Equal(offerIDs(a), offerIDs(b)) && refuseOf(a) == refuseOf(b)
	case "ACCEPT_INVERSE_OFFERS", "DECLINE_INVERSE_OFFERS":
		return slices.Equal(inverseIDs(a), inverseIDs(b)) && refuseOf(a) == refuseOf(b)
	case "ACCEPT":
		return slices.Equal(offerIDs(a), offerIDs(b)) && refuseOf(a) == refuseOf(b) && slices.Equal(taskTexts(a), taskTexts(b))
	case "KILL":
		return taskRef(a) == taskRef(b)
	case "RECONCILE":
		return slices.EqualFunc(wire.List(a, "tasks"), wire.List(b, "tasks"), func(a, b protoreflect.Message) bool { return taskRef(a) == taskRef(b) })
	case "REVIVE", "SUPPRESS":
		return slices.Equal(rolesOf(recorded, kind), rolesOf(sent, kind))
	}
	return false
}

func taskRef(m protoreflect.Message) [2]string {
	return [2]string{wire.Text(m, "task_id", "value"), wire.Text(m, "agent_id", "value")}
}

func rolesOf(call protoreflect.Message, kind string) []string {
	name := protoreflect.Name("revive")
	if kind == "SUPPRESS" {
		name = "suppress"
	}
	if m := wire.Sub(call, name); m != nil {
		return texts(m, "roles")
	}
	return nil
}

// tasksOf are the tasks of a LAUNCH, none of other operations.
func tasksOf(operation protoreflect.Message) []protoreflect.Message {
	if launch := wire.Sub(operation, "launch"); launch != nil {
		return wire.List(launch, "task_infos")
	}
	return nil
}

// taskTexts are the tasks of an ACCEPT: ids, agents and amounts.
func taskTexts(accept protoreflect.Message) []string {
	var out []string
	for _, operation := range wire.List(accept, "operations") {
		for _, info := range tasksOf(operation) {
			sums := map[string]float64{}
			for _, r := range wire.List(info, "resources") {
				if scalar := wire.Sub(r, "scalar"); scalar != nil {
					v, _ := number(scalar, "value")
					sums[wire.Text(r, "name")] += v
				}
			}
			text := wire.Text(info, "task_id", "value") + "@" + wire.Text(info, "agent_id", "value") + " " + wire.Text(info, "name")
			for _, name := range []string{"cpus", "mem", "disk", "gpus"} {
				text += " " + name + ":" + strconv.FormatFloat(sums[name], 'f', 3, 64)
			}
			out = append(out, text)
		}
	}
	return out
}
