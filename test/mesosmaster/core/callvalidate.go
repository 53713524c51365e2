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

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// member is the union member a call type needs, and whether it is there.
type member struct {
	name string
	has  func(*scheduler.Call) bool
}

var members = map[scheduler.Call_Type]member{
	scheduler.Call_SUBSCRIBE:                    {"subscribe", func(c *scheduler.Call) bool { return c.Subscribe != nil }},
	scheduler.Call_ACCEPT:                       {"accept", func(c *scheduler.Call) bool { return c.Accept != nil }},
	scheduler.Call_DECLINE:                      {"decline", func(c *scheduler.Call) bool { return c.Decline != nil }},
	scheduler.Call_ACCEPT_INVERSE_OFFERS:        {"accept_inverse_offers", func(c *scheduler.Call) bool { return c.AcceptInverseOffers != nil }},
	scheduler.Call_DECLINE_INVERSE_OFFERS:       {"decline_inverse_offers", func(c *scheduler.Call) bool { return c.DeclineInverseOffers != nil }},
	scheduler.Call_KILL:                         {"kill", func(c *scheduler.Call) bool { return c.Kill != nil }},
	scheduler.Call_SHUTDOWN:                     {"shutdown", func(c *scheduler.Call) bool { return c.Shutdown != nil }},
	scheduler.Call_ACKNOWLEDGE:                  {"acknowledge", func(c *scheduler.Call) bool { return c.Acknowledge != nil }},
	scheduler.Call_ACKNOWLEDGE_OPERATION_STATUS: {"acknowledge_operation_status", func(c *scheduler.Call) bool { return c.AcknowledgeOperationStatus != nil }},
	scheduler.Call_RECONCILE:                    {"reconcile", func(c *scheduler.Call) bool { return c.Reconcile != nil }},
	scheduler.Call_RECONCILE_OPERATIONS:         {"reconcile_operations", func(c *scheduler.Call) bool { return c.ReconcileOperations != nil }},
	scheduler.Call_MESSAGE:                      {"message", func(c *scheduler.Call) bool { return c.Message != nil }},
	scheduler.Call_REQUEST:                      {"request", func(c *scheduler.Call) bool { return c.Request != nil }},
	scheduler.Call_UPDATE_FRAMEWORK:             {"update_framework", func(c *scheduler.Call) bool { return c.UpdateFramework != nil }},
}

// validCall is the check of a call's shape (Mesos master/validation.cpp
// scheduler::call::validate).
func validCall(r *Request) error {
	c := r.Call
	if !r.HasType {
		return expecting("type")
	}
	need, ok := members[c.Type]
	if c.Type == scheduler.Call_SUBSCRIBE {
		if !need.has(c) {
			return expecting(need.name)
		}
		if c.GetFrameworkID().GetValue() != c.Subscribe.GetFrameworkInfo().GetID().GetValue() {
			return errors.New("'framework_id' differs from 'subscribe.framework_info.id'")
		}
		return nil
	}
	if c.FrameworkID == nil {
		return expecting("framework_id")
	}
	if ok && !need.has(c) {
		return expecting(need.name)
	}
	switch c.Type {
	case scheduler.Call_ACKNOWLEDGE:
		return validUUID(c.Acknowledge.UUID)
	case scheduler.Call_ACKNOWLEDGE_OPERATION_STATUS:
		if err := validUUID(c.AcknowledgeOperationStatus.UUID); err != nil {
			return err
		}
		if c.AcknowledgeOperationStatus.AgentID == nil {
			return expecting("agent_id")
		}
	case scheduler.Call_UPDATE_FRAMEWORK:
		if c.UpdateFramework.FrameworkInfo.GetID().GetValue() != c.FrameworkID.Value {
			return errors.New("'framework_id' differs from 'update_framework.framework_info.id'")
		}
	}
	return nil
}

// validUUID accepts 16 bytes with a version nibble of 1 to 5, as recorded; other
// bytes are refused.
func validUUID(b []byte) error {
	if len(b) != 16 || b[6]>>4 < 1 || b[6]>>4 > 5 {
		return errors.New("Not a valid UUID")
	}
	return nil
}

func expecting(what string) error {
	return fmt.Errorf("Expecting '%s' to be present", what)
}
