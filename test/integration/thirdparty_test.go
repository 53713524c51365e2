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

package integration

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/manifests"
	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
)

// TestCommands runs the commands as processes of their own.
func TestCommands(t *testing.T) {
	kube := cluster.StartKube(t, "--authorization-mode=RBAC")
	t.Run("a stock kube-scheduler with our plugin", func(t *testing.T) { stock(kube.New(t, 2, cluster.Quick())) })
	t.Run("our command serves its state", func(t *testing.T) { serves(kube.New(t, 2, cluster.Quick())) })
	t.Run("our command ends in good order", func(t *testing.T) { ends(kube.New(t, 2, cluster.Quick())) })
	t.Run("the rights in the manifest are enough", func(t *testing.T) { rights(kube.New(t, 2, cluster.Quick())) })
	for _, wrong := range wrongArgs {
		t.Run("our command refuses "+wrong.name, func(t *testing.T) {
			c := kube.New(t, 0, cluster.Quick())
			c.Args = wrong.args
			refuses(c, wrong.words)
		})
	}
}

// stock: without our leader gate the session starts with the first pod.
func stock(c *cluster.Cluster) {
	kubeconfig := c.Kubeconfig()
	c.StartProcess(commandVariable+"=stock", "--secure-port=0", "--config="+c.ConfigFile(
		"leaderElection: {leaderElect: false}\nclientConnection: {kubeconfig: "+kubeconfig+"}\n"))
	c.AddPod("one", "1", "1Gi")
	c.WaitBound("one")
	c.WaitSettled()
	c.Finish()
}

// served is our command with leader election and a port.
type served struct {
	*cluster.Process
	c         *cluster.Cluster
	base, crt string
}

func startServed(c *cluster.Cluster) *served { return startServedAs(c, c.Namespace) }

func startServedAs(c *cluster.Cluster, lease string, user ...string) *served {
	kubeconfig, port, certs := c.Kubeconfig(user...), c.FreePort(), c.T.TempDir()
	head := "leaderElection: {leaderElect: true, resourceNamespace: kube-system, resourceName: " + lease + ", leaseDuration: 15s, renewDeadline: 10s, retryPeriod: 1s}\n" +
		"clientConnection: {kubeconfig: " + kubeconfig + "}\n"
	p := c.StartProcess(commandVariable+"=ours", "--config="+c.ConfigFile(head), "--bind-address=127.0.0.1", "--secure-port="+port,
		"--cert-dir="+certs, "--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig)
	return &served{Process: p, c: c, base: "https://127.0.0.1:" + port, crt: filepath.Join(certs, "kube-scheduler.crt")}
}

// get reads a page as an administrator, and waits for the server if it has to.
func (s *served) get(path string) cluster.Page {
	s.c.T.Helper()
	return s.as(s.c.Config.BearerToken, path)
}

func (s *served) as(token, path string) (page cluster.Page) {
	s.c.T.Helper()
	s.c.Eventually(path+" served", func() string {
		if s.Ended() {
			s.c.T.Fatal("the process ended")
		}
		var err error
		if page, err = s.c.Get(s.base+path, token, s.crt); err != nil {
			return err.Error()
		}
		return ""
	})
	return page
}

func (s *served) waitPage(path string, status int, words ...string) {
	s.c.T.Helper()
	s.c.Eventually(path, func() string {
		page := s.get(path)
		for _, word := range words {
			if !strings.Contains(page.Body, word) {
				return fmt.Sprintf("%d without %q: %s", page.Status, word, page.Body)
			}
		}
		if page.Status != status {
			return fmt.Sprintf("%d, want %d: %s", page.Status, status, page.Body)
		}
		return ""
	})
}

func serves(c *cluster.Cluster) {
	c.Args = impatientArgs
	c.Mesos.Stop()
	s := startServed(c)
	s.waitPage("/readyz?verbose", 500, "[-]mesos-session failed", "[+]leaderElection ok")
	s.waitPage("/readyz/mesos-session", 500, "Mesos session is")
	s.waitPage("/livez", 200, "ok")
	c.Must(c.Mesos.StartAgain())
	s.waitPage("/readyz?verbose", 200, "[+]mesos-session ok")

	c.AddPod("one", "1500m", "1Gi")
	c.WaitBound("one")
	c.WaitSettled()
	c.WaitIdle()
	wantMetrics(s)
	wantDebug(s)
	for _, path := range []string{"/debug/mesos", "/debug/mesos/claims", "/metrics", "/configz"} {
		if page := s.as("", path); page.Status != 401 && page.Status != 403 {
			c.T.Errorf("%s answers %d to anybody: %s", path, page.Status, page.Body)
		}
	}
	c.Finish()
}

// wantMetrics checks values while one pod of 1.5 cpus and 1 GiB is bound.
func wantMetrics(s *served) {
	s.c.T.Helper()
	want := map[string]float64{
		`kube_mesos_claims{phase="Held"}`:                         1,
		`kube_mesos_claims{phase="Launching"}`:                    0,
		`kube_mesos_claims{phase="Releasing"}`:                    0,
		`kube_mesos_claimed_resources{resource="cpus"}`:           1.5,
		`kube_mesos_claimed_resources{resource="mem"}`:            1024,
		`kube_mesos_offers_outstanding`:                           0,
		`kube_mesos_offered_resources{resource="cpus"}`:           0,
		`kube_mesos_pods_waiting`:                                 0,
		`kube_mesos_pods_parked`:                                  0,
		`kube_mesos_suppressed`:                                   1,
		`kube_mesos_nodes_paired`:                                 2,
		`kube_mesos_nodes_ambiguous`:                              0,
		`kube_mesos_launches_total{result="Held"}`:                1,
		`kube_mesos_session_state{state="Subscribed"}`:            1,
		`kube_mesos_accept_tasks_sum`:                             1,
		`kube_mesos_launch_duration_seconds_count{result="held"}`: 1,
	}
	s.c.Eventually("metrics", func() string {
		page := s.get("/metrics")
		if page.Status != 200 {
			return fmt.Sprintf("%d: %s", page.Status, page.Body)
		}
		for name, value := range want {
			if got, err := metric(page.Body, name); err != nil || got != value {
				return fmt.Sprintf("%s is %v (%v), want %v", name, got, err, value)
			}
		}
		if n, err := metric(page.Body, "kube_mesos_offers_received_total"); err != nil || n < 1 {
			return fmt.Sprintf("%v offers received (%v)", n, err)
		}
		return ""
	})
	for _, name := range []string{"kube_mesos_call_duration_seconds_count{", "kube_mesos_events_received_total{", "kube_mesos_event_bytes_total "} {
		if !strings.Contains(s.get("/metrics").Body, name) {
			s.c.T.Errorf("no metric %s", name)
		}
	}
}

func metric(text, name string) (float64, error) {
	found := regexp.MustCompile("(?m)^" + regexp.QuoteMeta(name) + " (.*)$").FindStringSubmatch(text)
	if found == nil {
		return 0, fmt.Errorf("there is no such metric")
	}
	return strconv.ParseFloat(found[1], 64)
}

func wantDebug(s *served) {
	s.c.T.Helper()
	page := s.get("/debug/mesos")
	var debug struct {
		Leads bool
		Ready string
		State struct {
			FrameworkID string
			Claims      []cluster.Claim
		}
	}
	if err := json.Unmarshal([]byte(page.Body), &debug); err != nil || page.Status != 200 || page.Type != "application/json" {
		s.c.T.Fatalf("/debug/mesos answers %d, %s (%v): %s", page.Status, page.Type, err, page.Body)
	}
	task := s.c.Task("one")
	if !debug.Leads || debug.Ready != "ok" || debug.State.FrameworkID != task.FrameworkID {
		s.c.T.Errorf("/debug/mesos tells %+v", debug)
	}
	if list := debug.State.Claims; len(list) != 1 || list[0].TaskID != task.TaskID || !list[0].Bound || list[0].Phase != "Held" {
		s.c.T.Errorf("/debug/mesos tells of claims %+v, want the one of task %s", list, task.TaskID)
	}
}

// ends: on SIGTERM offers go back and the role is suppressed, tasks and framework
// stay.
func ends(c *cluster.Cluster) {
	c.Args = "      offers: {maxHold: 5m}\n"
	s := startServed(c)
	c.AddPod("one", "1", "1Gi")
	c.WaitBound("one")
	c.AddBystander()
	c.Eventually("offers held", func() string {
		if len(c.Mesos.OutstandingOffers()) == 0 {
			return "none"
		}
		return ""
	})
	task := c.Task("one")
	declines, suppresses := c.Mesos.CallCount("DECLINE"), c.Mesos.CallCount("SUPPRESS")
	s.Terminate()
	if status, output := s.Wait(); status != 0 {
		c.T.Errorf("exit status %d:\n%s", status, output)
	}
	if c.Mesos.CallCount("DECLINE") == declines || c.Mesos.CallCount("SUPPRESS") == suppresses || c.Mesos.CallCount("TEARDOWN") > 0 {
		c.T.Errorf("DECLINE: %d more, SUPPRESS: %d more, TEARDOWN: %d", c.Mesos.CallCount("DECLINE")-declines,
			c.Mesos.CallCount("SUPPRESS")-suppresses, c.Mesos.CallCount("TEARDOWN"))
	}
	if frameworks := c.Mesos.Frameworks(); len(frameworks) != 1 || frameworks[0].Connected {
		c.T.Errorf("frameworks at the master: %+v, want ours, not connected", frameworks)
	}
	c.WaitSettled()
	// The next process takes up the lease and the framework where this one left.
	startServed(c)
	c.WaitCalls("SUBSCRIBE", 2)
	c.DeletePod("bystander")
	c.WaitSettled()
	if again := c.Task("one"); again.TaskID != task.TaskID || again.FrameworkID != task.FrameworkID {
		c.T.Errorf("the task was %+v, is %+v", task, again)
	}
	c.Finish()
}

// rights: as the service account of the manifest, the command can do all it has to.
func rights(c *cluster.Cluster) {
	c.ApplyRBAC(manifests.RBAC)
	c.UseConfigMap("kube-mesos-framework")
	s := startServedAs(c, "kube-mesos-scheduler", "system:serviceaccount:kube-system:kube-mesos-scheduler",
		"system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated")
	c.AddPod("one", "1", "1Gi")
	c.AddPod("big", "64", "1Gi")
	c.WaitBound("one")
	c.WaitUnscheduled("big", "0/2 nodes are available")
	c.SetPhase("one", v1.PodRunning)
	c.WaitSettled()
	c.Must(c.Mesos.LoseTask(c.Task("one").TaskID))
	c.WaitGone("one")
	c.WaitEvent("one", "MesosTaskLost", "TASK_GONE")
	s.waitPage("/readyz?verbose", 200, "[+]mesos-session ok")
	// One that may do nothing is known, and turned away.
	if page := s.as("", "/debug/mesos"); page.Status != 403 {
		c.T.Errorf("/debug/mesos answers %d to anybody", page.Status)
	}
	c.Finish()
	s.Terminate()
	if status, _ := s.Wait(); status != 0 {
		c.T.Errorf("exit status %d", status)
	}
	if strings.Contains(s.Output(), "forbidden") {
		c.T.Errorf("the command was denied something:\n%s", s.Output())
	}
}

// wrongArgs are refused with the field's name and what is wrong about it.
var wrongArgs = []struct {
	name, args string
	words      []string
}{
	{"a duration out of range", "      launchTimeout: 1ms\n", []string{"launchTimeout", "must be between 1s and 10m0s"}},
	{"a role that Mesos refuses", "      framework: {role: \"a//b\"}\n", []string{"framework.role", "a//b"}},
	{"an unknown field", "      lanuchTimeout: 1s\n", []string{"unknown field", "lanuchTimeout"}},
	{"a limit out of range", "      offers: {maxTasksPerAccept: 0}\n", []string{"offers.maxTasksPerAccept", "between 1 and 500"}},
}

func refuses(c *cluster.Cluster, words []string) {
	s := startServed(c)
	status, output := s.Wait()
	if status == 0 {
		c.T.Error("exit status 0")
	}
	for _, word := range words {
		if !strings.Contains(output, word) {
			c.T.Errorf("the output lacks %q:\n%s", word, output)
		}
	}
	if n := c.Mesos.CallCount(""); n > 0 {
		c.T.Errorf("the master was called %d times", n)
	}
}
