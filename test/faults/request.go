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
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

const (
	schedulerPath = "/api/v1/scheduler"
	mediaProtobuf = "application/x-protobuf"
)

// recorder keeps the bytes read through it, so that they can be passed on as they came.
type recorder struct {
	r    io.Reader
	kept bytes.Buffer
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.kept.Write(p[:n])
	return n, err
}

// taken returns what was read through the buffered reader since the last time.
func (r *recorder) taken(b *bufio.Reader) []byte {
	n := r.kept.Len() - b.Buffered()
	return bytes.Clone(r.kept.Next(n))
}

// request is one request read whole.
type request struct {
	raw       []byte
	http      *http.Request
	on, about string
}

// readRequests reads requests until the client is gone.
func readRequests(client net.Conn, to chan<- *request, done <-chan struct{}) {
	rec := &recorder{r: client}
	buf := bufio.NewReader(rec)
	for {
		req, err := http.ReadRequest(buf)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		r := &request{raw: rec.taken(buf), http: req}
		r.on, r.about = describe(req, body)
		select {
		case to <- r:
		case <-done:
			return
		}
	}
}

// describe names a request as rules do.
func describe(req *http.Request, body []byte) (on, about string) {
	on = req.Method + " " + req.URL.Path
	switch {
	case req.Method != http.MethodPost:
		return on, req.URL.RawQuery
	case req.URL.Path == schedulerPath:
		call := &scheduler.Call{}
		var err error
		if strings.HasPrefix(req.Header.Get("Content-Type"), mediaProtobuf) {
			err = call.Unmarshal(body)
		} else {
			err = json.Unmarshal(body, call)
		}
		if err != nil {
			return on, err.Error()
		}
		return call.Type.String(), aboutCall(call)
	}
	var typed struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(body, &typed) == nil && typed.Type != "" {
		on += " " + typed.Type
	}
	return on, string(body)
}

// aboutCall names the tasks, agents and offers of a call.
func aboutCall(c *scheduler.Call) string {
	var words []string
	switch c.Type {
	case scheduler.Call_ACCEPT:
		for _, op := range c.GetAccept().GetOperations() {
			words = append(words, op.Type.String())
			for _, task := range op.GetLaunch().GetTaskInfos() {
				words = append(words, task.TaskID.Value)
			}
		}
	case scheduler.Call_KILL:
		words = append(words, c.GetKill().GetTaskID().Value)
	case scheduler.Call_ACKNOWLEDGE:
		words = append(words, c.GetAcknowledge().GetTaskID().Value)
	case scheduler.Call_RECONCILE:
		words = append(words, fmt.Sprintf("%d tasks", len(c.GetReconcile().GetTasks())))
		for _, task := range c.GetReconcile().GetTasks() {
			words = append(words, task.TaskID.Value)
		}
	case scheduler.Call_REVIVE:
		words = append(words, c.GetRevive().GetRoles()...)
	case scheduler.Call_SUPPRESS:
		words = append(words, c.GetSuppress().GetRoles()...)
	default:
	}
	return strings.Join(words, " ")
}

// aboutEvent names the task of an event, with its state.
func aboutEvent(e *scheduler.Event) string {
	if status := e.GetUpdate().GetStatus(); e.Type == scheduler.Event_UPDATE {
		return fmt.Sprintf("%s %s", status.TaskID.Value, status.GetState())
	}
	return ""
}
