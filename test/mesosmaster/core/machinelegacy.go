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
	"net/url"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/maintenance"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
)

// SetSchedule is POST /maintenance/schedule.
func (m *Master) SetSchedule(now time.Time, body []byte) Response {
	m.enter(now)
	s := &maintenance.Schedule{}
	if err := parseBody(body, s); err != nil {
		return badRequest(err.Error())
	}
	return m.updateSchedule(s)
}

// MachinesDown is POST /machine/down, a list of machines.
func (m *Master) MachinesDown(now time.Time, body []byte) Response {
	m.enter(now)
	ids, err := parseMachines(body)
	if err != nil {
		return badRequest(err.Error())
	}
	return m.startMaintenance(ids)
}

// MachinesUp is POST /machine/up, a list of machines.
func (m *Master) MachinesUp(now time.Time, body []byte) Response {
	m.enter(now)
	ids, err := parseMachines(body)
	if err != nil {
		return badRequest(err.Error())
	}
	return m.stopMaintenance(ids)
}

// Teardown is POST /teardown with the form field frameworkId.
func (m *Master) Teardown(now time.Time, body []byte) Response {
	m.enter(now)
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return badRequest("Unable to decode query string: " + err.Error())
	}
	id := values.Get("frameworkId")
	if id == "" {
		return badRequest("Missing 'frameworkId' query parameter in the request body")
	}
	return m.operatorTeardown(id)
}

func parseBody(body []byte, into any) error {
	tree, err := codec.ParseJSON(body)
	if err != nil {
		return err
	}
	return codec.UnmarshalTree(tree, into)
}

func parseMachines(body []byte) ([]mesos.MachineID, error) {
	tree, err := codec.ParseJSON(body)
	if err != nil {
		return nil, err
	}
	list, ok := tree.([]any)
	if !ok {
		return nil, errors.New("expected an array of machines")
	}
	ids := make([]mesos.MachineID, len(list))
	for i := range list {
		if err := codec.UnmarshalTree(list[i], &ids[i]); err != nil {
			return nil, fmt.Errorf("machine %d: %w", i, err)
		}
	}
	return ids, nil
}
