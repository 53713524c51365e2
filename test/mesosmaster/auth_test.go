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

package mesosmaster_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

var secured = mesosmaster.Authentication{
	Frameworks: true, Readonly: true, Readwrite: true,
	Credentials: map[string]string{"framework": "framework-secret", "ops": "ops-secret"},
	Tokens:      map[string]string{"abc.def": "framework", "o-p-s": "ops"},
}

// refusal is an answer with the realm it asks for.
type refusal struct {
	Status      int
	Realm, Body string
}

// send makes one request in memory; user is "name:secret", a whole header if it
// has no colon, nothing if empty.
func send(t *testing.T, tr http.RoundTripper, method, url, user, stream, body string) (refusal, *http.Response) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	switch {
	case strings.Contains(user, ":"):
		req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user)))
	case user != "":
		req.Header.Set("Authorization", user)
	}
	if stream != "" {
		req.Header.Set("Mesos-Stream-Id", stream)
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	got := refusal{Status: resp.StatusCode, Realm: strings.TrimPrefix(resp.Header.Get("WWW-Authenticate"), "Basic realm=")}
	if resp.Header.Get("Content-Length") != "" {
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			got.Body = string(b)
		}
	}
	return got, resp
}

// Who is let in where, as recorded.
func TestAuthentication(t *testing.T) {
	const api, operator = "/api/v1/scheduler", "/api/v1"
	const health = `{"type":"GET_HEALTH"}`
	no := func(realm string) refusal { return refusal{401, `"mesos-master-` + realm + `"`, "401 Unauthorized."} }
	ok := refusal{Status: 200}
	named := func(principal string) string {
		return strings.Replace(subscribeJSON, `"user"`, `"principal":"`+principal+`","user"`, 1)
	}
	for _, tc := range []struct {
		auth                     mesosmaster.Authentication
		method, path, user, body string
		want                     refusal
	}{
		{secured, "POST", api, "", subscribeJSON, no("scheduler")},
		{secured, "GET", api, "", "", no("scheduler")},
		{secured, "POST", api, "framework:wrong", subscribeJSON, no("scheduler")},
		{secured, "POST", api, "nobody:x", subscribeJSON, no("scheduler")},
		{secured, "POST", api, "Basic !!!", subscribeJSON, no("scheduler")},
		{secured, "POST", api, "Bearer abc", subscribeJSON, no("scheduler")},
		{secured, "POST", api, "token=abc", subscribeJSON, no("scheduler")},
		{secured, "POST", api, "token= abc.def", subscribeJSON, no("scheduler")},
		{secured, "POST", api, "Basic abc.def", subscribeJSON, no("scheduler")},
		{secured, "POST", api, "token=abc.def", named("framework"), ok},
		{secured, "POST", api, "Bearer abc.def", subscribeJSON, ok},
		{secured, "POST", api, "token=o-p-s", named("framework"), refusal{400, "", "Failed to validate scheduler::Call: Authenticated principal 'ops' does not match principal 'framework' set in `FrameworkInfo`"}},
		{secured, "POST", operator, "token=o-p-s", health, ok},
		{mesosmaster.Authentication{Frameworks: true}, "POST", api, "Bearer ", subscribeJSON, no("scheduler")},
		{secured, "POST", api, "Basic", subscribeJSON, no("scheduler")},
		{secured, "GET", api, "framework:framework-secret", "", refusal{405, "", "405 Method Not Allowed. Expecting one of { 'POST' }, but received 'GET'."}},
		{secured, "POST", api, "framework:framework-secret", named("ops"), refusal{400, "", "Failed to validate scheduler::Call: Authenticated principal 'framework' does not match principal 'ops' set in `FrameworkInfo`"}},
		{secured, "POST", api, "framework:framework-secret", named("framework"), ok},
		{secured, "POST", api, "framework:framework-secret", subscribeJSON, ok},
		{secured, "POST", operator, "", health, no("readwrite")},
		{secured, "POST", operator, "ops:ops-secret", health, ok},
		{secured, "GET", "/master/state", "", "", no("readonly")},
		{secured, "GET", "/state", "ops:ops-secret", "", ok},
		{secured, "GET", "/metrics/snapshot", "", "", no("readonly")},
		{secured, "GET", "/version", "ops:wrong", "", ok},
		{secured, "GET", "/health", "", "", ok},
		{secured, "GET", "/redirect", "", "", refusal{Status: 307}},
		{secured, "GET", "/nope", "", "", refusal{404, "", "404 Not Found."}},
		{mesosmaster.Authentication{Readonly: true}, "POST", api, "", subscribeJSON, ok},
		{mesosmaster.Authentication{Readonly: true}, "POST", operator, "x:y", health, ok},
		{mesosmaster.Authentication{Readonly: true}, "GET", "/state", "x:y", "", no("readonly")},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := mesosmaster.New(mesosmaster.Config{Authentication: tc.auth})
			defer m.Close()
			got, resp := send(t, m.Transport(), tc.method, m.URL()+tc.path, tc.user, "", tc.body)
			defer resp.Body.Close()
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s %s as %q: %s", tc.method, tc.path, tc.user, diff)
			}
		})
	}
}

// Calls of a framework must come from its principal.
func TestPrincipalOfCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mesosmaster.New(mesosmaster.Config{Authentication: secured})
		defer m.Close()
		_, resp := send(t, m.Transport(), "POST", m.URL()+"/api/v1/scheduler", "framework:framework-secret", "", subscribeJSON)
		defer resp.Body.Close()
		stream := resp.Header.Get("Mesos-Stream-Id")
		synctest.Wait() // the header may come before the framework is on the books
		revive := `{"type":"REVIVE","framework_id":{"value":"` + m.Frameworks()[0].ID + `"}}`
		for user, want := range map[string]refusal{
			"":                           {401, `"mesos-master-scheduler"`, "401 Unauthorized."},
			"ops:ops-secret":             {400, "", "Authenticated principal 'ops' does not match principal 'framework' set in `FrameworkInfo`"},
			"framework:framework-secret": {Status: 202},
		} {
			got, _ := send(t, m.Transport(), "POST", m.URL()+"/api/v1/scheduler", user, stream, revive) //nolint:bodyclose // send did
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("as %q: %s", user, diff)
			}
		}
	})
}
