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

package app_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/app"
)

// start runs the command until the returned function is called.
func start(t *testing.T, args ...string) (base string, stop func() error) {
	t.Helper()
	return startIn(t, filepath.Join(t.TempDir(), "port"), args...)
}

func startIn(t *testing.T, port string, args ...string) (base string, stop func() error) {
	t.Helper()
	cmd := app.NewCommand()
	cmd.SetArgs(append([]string{"--listen=127.0.0.1:0", "--port-file=" + port}, args...))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- cmd.ExecuteContext(ctx) }()
	for {
		if b, err := os.ReadFile(port); err == nil {
			base = "http://" + strings.Fields(string(b))[0]
			break
		}
		select {
		case err := <-done:
			t.Fatalf("the command ended: %v", err)
		case <-time.After(5 * time.Millisecond): // polls a file, nothing signals it
		}
	}
	return base, func() error { cancel(); return <-done }
}

func get(t *testing.T, url string, into any) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("%s: %v in %s", url, err, body)
	}
}

type state struct {
	Slaves []struct {
		Hostname   string         `json:"hostname"`
		Resources  map[string]any `json:"resources"`
		Attributes map[string]any `json:"attributes"`
	} `json:"slaves"`
	Frameworks []struct {
		Name  string `json:"name"`
		Tasks []any  `json:"tasks"`
	} `json:"frameworks"`
}

func TestCommandServesAndStops(t *testing.T) {
	base, stop := start(t, "--agents=5", "--agent-hostname-format=kube-%d", "--agent-resources=cpus:2;mem:1024",
		"--allocation-interval=10ms", "--neighbour-agents=2", "--neighbour-hold=0")
	var s state
	for len(s.Frameworks) == 0 || len(s.Frameworks[0].Tasks) < 2 { // the neighbour works at its own pace
		get(t, base+"/master/state", &s)
	}
	if len(s.Slaves) != 5 || s.Slaves[4].Hostname != "kube-4" || s.Slaves[0].Resources["cpus"] != 2.0 || s.Frameworks[0].Name != "neighbour" {
		t.Errorf("state: %+v", s)
	}
	if err := stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
	if resp, err := http.Get(base + "/health"); err == nil {
		resp.Body.Close()
		t.Error("still listening after the end")
	}
}

func TestAgentsFromFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "agents.json")
	content := `[{"hostname":"a","resources":"cpus:1;mem:64","attributes":{"rack":"r7"}},{"hostname":"b"}]`
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	base, stop := start(t, "--agents-from-file="+file)
	var s state
	get(t, base+"/state", &s)
	if len(s.Slaves) != 2 || s.Slaves[0].Attributes["rack"] != "r7" || s.Slaves[1].Resources["cpus"] != 4.0 {
		t.Errorf("state: %+v", s)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestBadFlags(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.json")
	if err := os.WriteFile(bad, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	noPrincipal := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(noPrincipal, []byte(`{"credentials":[{"secret":"s"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"--agents=-1"},
		{"--agent-resources=cpus"},
		{"--agents-from-file=/does/not/exist"},
		{"--agents-from-file=" + bad},
		{"--agent-hostname-format=same"},
		{"--listen=nonsense"},
		{"--listen=nonsense", "--masters=2"},
		{"--listen=127.0.0.1:http", "--masters=2"},
		{"--masters=0"},
		{"--control-listen=nonsense"},
		{"--masters=2", "--neighbour-agents=1"},
		{"--masters=2", "--zookeeper-listen=nonsense"},
		{"--weights=a=-1"},
		{"--weights=a=x"},
		{"--quota-limit=cpus:4"},
		{"--quota-limit=a/b=cpus:4"},
		{"--quota-guarantee=a=ports:[1-2]"},
		{"--quota-guarantee=a="},
		{"--min-allocatable-resources=cpus"},
		{"--authenticate-http-readonly"},
		{"--credentials=/does/not/exist"},
		{"--ssl-cert-file=" + noPrincipal},
		{"--ssl-ca-file=" + noPrincipal},
		{"--ssl-cert-file=" + noPrincipal, "--ssl-key-file=" + noPrincipal},
		{"--credentials=" + noPrincipal},
		{"extra"},
	} {
		cmd := app.NewCommand()
		cmd.SetArgs(append([]string{"--listen=127.0.0.1:0"}, args...))
		cmd.SetErr(io.Discard)
		cmd.SetOut(io.Discard)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := cmd.ExecuteContext(ctx); err == nil {
			t.Errorf("%v must be refused", args)
		}
	}
}

// Several masters, credentials, quota, weights and an agent with a fault domain,
// all by flags.
func TestEverythingByFlags(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	list := write("agents.json", `[{"hostname":"a","resources":"cpus:4;mem:1024;cpus(batch):2;cpus{REV}:1;gpus:1","region":"r","zone":"z","ip":"127.0.0.7","port":7777}]`)
	secrets := write("credentials.json", `{"credentials":[{"principal":"ops","secret":"s3cret"}]}`)
	base, stop := start(t, "--masters=3", "--zookeeper-listen=127.0.0.1:0", "--agents-from-file="+list, "--credentials="+secrets,
		"--authenticate-http-readwrite", "--quota-limit=batch=cpus:1;mem:64", "--quota-guarantee=batch=cpus:0.5", "--weights=batch=2.5",
		"--roles=batch,web", "--min-allocatable-resources=cpus:0.1|mem:8", "--offer-timeout=1m", "--region=r", "--zone=z")
	ask := func(user, secret, call string) (int, string) {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, base+"/api/v1", strings.NewReader(call))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.SetBasicAuth(user, secret)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	if code, _ := ask("ops", "wrong", `{"type":"GET_QUOTA"}`); code != http.StatusUnauthorized {
		t.Errorf("a wrong secret is answered %d", code)
	}
	for call, want := range map[string][]string{
		"GET_QUOTA":   {`"role":"batch"`, `"limits":{"cpus":{"value":1.0},"mem":{"value":64.0}}`, `"guarantees":{"cpus":{"value":0.5}}`},
		"GET_WEIGHTS": {`"weight":2.5`},
		"GET_AGENTS":  {`"port":7777`, `"region":{"name":"r"}`, `"name":"gpus"`, `"revocable":{}`, `"role":"batch"`},
		"GET_FLAGS":   {`"cpus:0.1|mem:8"`},
	} {
		code, body := ask("ops", "s3cret", `{"type":"`+call+`"}`)
		for _, w := range want {
			if code != http.StatusOK || !strings.Contains(body, w) {
				t.Errorf("%s: %d, lacks %s: %s", call, code, w, body)
			}
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// The control interface kills and revives what it is told to.
func TestControl(t *testing.T) {
	for _, masters := range []string{"1", "2"} {
		port := filepath.Join(t.TempDir(), "port")
		base, stop := startIn(t, port, "--masters="+masters, "--zookeeper-listen=127.0.0.1:0", "--control-listen=127.0.0.1:0", "--agents=1",
			"--zk-session-timeout=100ms")
		b, err := os.ReadFile(port)
		if err != nil {
			t.Fatal(err)
		}
		addresses := strings.Fields(string(b))
		control := "http://" + addresses[len(addresses)-1]
		post := func(path string) int {
			t.Helper()
			resp, err := http.Post(control+path, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			return resp.StatusCode
		}
		several := http.StatusNotFound
		if masters == "2" {
			several = http.StatusOK
		}
		for _, tc := range []struct {
			path string
			want int
		}{
			{"/agents/node-000/kill", 200}, {"/agents/node-000/return", 200}, {"/agents/nobody/kill", 409}, {"/agents/node-000/nope", 404},
			{"/agents/node-000/estimate?resources=cpus:2", 200}, {"/agents/node-000/estimate?resources=cpus", 409},
			{"/agents/node-000/load?value=2.5", 200}, {"/agents/node-000/load?value=x", 409},
			{"/tasks/none/finish", 409}, {"/tasks/none/fail", 409}, {"/tasks/none/preempt", 409}, {"/tasks/none/nope", 404},
			{"/zookeeper/kill", several}, {"/zookeeper/start", several}, {"/zookeeper/nope", 404},
			{"/masters/0/stop", several}, {"/masters/0/continue", several}, {"/masters/0/nope", 404}, {"/masters/7/kill", 404}, {"/masters/x/kill", 404},
			{"/masters/0/start", 409}, {"/masters/0/kill", 200}, {"/nope", 404},
		} {
			if got := post(tc.path); got != tc.want {
				t.Errorf("%s masters, %s: %d, want %d", masters, tc.path, got, tc.want)
			}
		}
		if resp, err := http.Get(base + "/health"); err == nil {
			resp.Body.Close()
			t.Error("the master lives")
		}
		if got := post("/masters/0/start"); got != 200 {
			t.Errorf("start: %d", got)
		}
		resp, err := http.Get(base + "/health")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp, err = http.Get(control + "/masters/0/kill"); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("GET: %s", resp.Status)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}
