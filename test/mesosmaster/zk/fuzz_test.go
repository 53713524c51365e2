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

package zk

import (
	"io"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/wire"
)

// Whatever a client sends, the server answers or hangs up.
func FuzzConn(f *testing.F) {
	connect := (&encoder{b: make([]byte, 44)}).frame()
	f.Add(connect)
	for _, op := range []int32{opExists, opGetData, opGetACL, opGetChildren, opGetChildren2, opSync, opSetWatches, opClose, 14, 99} {
		e := &encoder{}
		e.int32(1)
		e.int32(op)
		e.string("/a")
		e.bool(true)
		f.Add(append(append([]byte{}, connect...), e.frame()...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &Server{tree: newTree(), sessions: map[int64]*session{}, conns: map[*conn]bool{}, stop: make(chan struct{})}
		s.tree.update(time.Unix(0, 0), []Node{{Path: "/a/b", Data: []byte("x")}})
		client, server := wire.Pipe()
		if _, err := client.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := client.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		c := &conn{server: s, net: server, watches: map[watch]bool{}, shown: map[string]bool{}}
		c.serve()
		if _, err := io.Copy(io.Discard, client); err != nil {
			t.Fatal(err)
		}
	})
}
