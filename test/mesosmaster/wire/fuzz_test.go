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

package wire

import (
	"bufio"
	"strings"
	"testing"
)

// Whatever a client sends, a request comes out or an error does.
func FuzzReadRequest(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\n\r\n", "POST /x HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", "POST /x HTTP/1.1\nTransfer-Encoding: chunked\n\n1\r\na\r\n0\r\n\r\n",
		"\r\n\r\nGET", "GET http://h/p?q HTTP/1.1\r\nA:\r\nB: b \r\n\r\n", "A B C\r\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := bufio.NewReader(strings.NewReader(s))
		for {
			req, err := readRequest(r)
			if err != nil {
				return
			}
			if req.http.URL == nil || req.http.Method == "" || req.http.ContentLength < 0 {
				t.Fatalf("%q: %+v", s, req.http)
			}
		}
	})
}
