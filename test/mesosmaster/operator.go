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
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/gogo/protobuf/proto"
	"github.com/mesos/mesos-go/api/v1/lib/master"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/core"
)

// serveOperator is POST /api/v1, checks in the master's order (Mesos
// master/http.cpp Master::Http::api).
func (m *Master) serveOperator(w http.ResponseWriter, r *http.Request, _ string) {
	if !posted(w, r) {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away in the middle of its request
	}
	call, resp := decodeOperator(r.Header, body)
	switch {
	case resp.Status != 0:
		answer(w, resp)
	case call.Type == master.Call_UNKNOWN:
		answer(w, core.Response{Status: 400, Body: "Failed to validate master::Call: Expecting 'type' to be present"})
	case !accepts(r.Header, mediaJSON) && !accepts(r.Header, mediaProtobuf):
		answer(w, core.Response{Status: 406, Body: "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'"})
	case call.Type == master.Call_SUBSCRIBE:
		m.watch(w, r)
	default:
		m.do(func(c *core.Master, now time.Time) { resp = c.Operate(now, call) })
		if resp.Reply != nil {
			respond(w, r, resp.Reply)
			return
		}
		answer(w, resp)
	}
}

// watch opens an operator's event stream. It has no id a client could name (Mesos
// master/http.cpp Master::Http::subscribe).
func (m *Master) watch(w http.ResponseWriter, r *http.Request) {
	m.stream(w, r, nil, func(c *core.Master, now time.Time, id string) { c.SubscribeOperator(now, id) })
}

func decodeOperator(h http.Header, body []byte) (*master.Call, core.Response) {
	call := &master.Call{}
	types, ok := h["Content-Type"]
	if !ok || len(types) == 0 {
		return nil, core.Response{Status: 400, Body: "Expecting 'Content-Type' to be present"}
	}
	switch types[0] {
	case mediaJSON:
		tree, err := codec.ParseJSON(body)
		if err != nil {
			return nil, core.Response{Status: 400, Body: "Failed to parse body into JSON: " + err.Error()}
		}
		if err := codec.UnmarshalTree(tree, call); err != nil {
			return nil, core.Response{Status: 400, Body: "Failed to convert JSON into Call protobuf: " + err.Error()}
		}
	case mediaProtobuf:
		if err := call.Unmarshal(body); err != nil {
			return nil, core.Response{Status: 400, Body: "Failed to parse body into Call protobuf"}
		}
	default:
		return nil, core.Response{Status: 415, Body: "Expecting 'Content-Type' of application/json or application/x-protobuf"}
	}
	return call, core.Response{}
}

// respond writes a message in JSON wherever the client allows it, as the master
// does.
func respond(w http.ResponseWriter, r *http.Request, msg proto.Message) {
	media := mediaJSON
	var b []byte
	var err error
	if accepts(r.Header, mediaJSON) {
		b, err = codec.MarshalJSON(msg)
	} else {
		media = mediaProtobuf
		b, err = proto.Marshal(msg)
	}
	if err != nil {
		text(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	_, _ = w.Write(b) // a client that went away is its own problem
}
