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

package roles

import (
	"io"
	"net/http"
	"slices"
	"strings"

	mesoscalls "github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// refusing is a master whose authorizer does not let us have a role.
func refusing(role string) func(*mesoscalls.Call, *http.Request, http.RoundTripper) (*http.Response, error) {
	return func(call *mesoscalls.Call, req *http.Request, next http.RoundTripper) (*http.Response, error) {
		if call == nil || !slices.Contains(call.GetUpdateFramework().GetFrameworkInfo().Roles, role) {
			return next.RoundTrip(req)
		}
		// It does not say which role it is.
		return &http.Response{
			Status: "403 Forbidden", StatusCode: http.StatusForbidden, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
			Header: http.Header{}, Body: io.NopCloser(strings.NewReader("Not authorized to use the framework's roles")),
		}, nil
	}
}
