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
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// lingering keeps batches open for as long as the configuration allows, while
// more pods are pending.
const lingering = "      offers: {batchLinger: 1s, maxBatchLinger: 5s}\n"

// eventLaunchFailed is the reason of the event about a launch that failed.
const eventLaunchFailed = "MesosLaunchFailed"

// holdFirst holds the first call of a type: before the master sees it, or, if
// after is set, its answer.
func holdFirst(kind scheduler.Call_Type, after bool) (*cluster.Hold, func(*scheduler.Call, *http.Request, http.RoundTripper) (*http.Response, error)) {
	hold := cluster.NewHold()
	return hold, func(call *scheduler.Call, req *http.Request, next http.RoundTripper) (*http.Response, error) {
		if call == nil || call.Type != kind || hold.Arrived() {
			return next.RoundTrip(req)
		}
		if after {
			resp, err := next.RoundTrip(req)
			hold.Pass(req.Context())
			return resp, err
		}
		hold.Pass(req.Context())
		return next.RoundTrip(req)
	}
}

func TestFaults(t *testing.T) {
	kube := cluster.StartKube(t)
	t.Run("an offer is rescinded while the batch is open", func(t *testing.T) { rescindOpenBatch(kube.New(t, 2, cluster.Quick())) })
	t.Run("an offer is rescinded while the ACCEPT is on its way", func(t *testing.T) { rescindCrossing(kube.New(t, 1, cluster.Quick())) })
	for _, tt := range failures {
		t.Run("launch fails: "+tt.name, func(t *testing.T) { launchFails(kube.New(t, 2, cluster.Quick()), tt.rejection, tt.times) })
	}
	t.Run("a LAUNCH vanishes", func(t *testing.T) {
		launchLost(kube.New(t, 2, cluster.Quick()), func(c *cluster.Cluster) { c.Mesos.Faults().DropLaunches(1) })
	})
	t.Run("a task is lost between master and agent", func(t *testing.T) {
		config := cluster.Quick()
		config.AgentReregisterDelay = 100 * time.Millisecond
		launchLost(kube.New(t, 2, config), func(c *cluster.Cluster) { c.Mesos.Faults().LoseLaunches(1) })
	})
	for _, tt := range refusals {
		t.Run("an ACCEPT is answered "+tt.name, func(t *testing.T) { acceptRefused(kube.New(t, 2, cluster.Quick()), tt.status, tt.body) })
	}
	for _, tt := range bindFailures {
		t.Run("binding fails: "+tt.name, func(t *testing.T) { bindFails(kube.New(t, 2, cluster.Quick()), tt.answer, tt.tasks) })
	}
}

// rescindOpenBatch tries until the offers are rescinded while the pod's batch is
// open: how long it stays so is bounded by the configuration.
func rescindOpenBatch(c *cluster.Cluster) {
	t := c.T
	c.Args = lingering
	s := c.StartScheduler()
	c.AddBystander()
	for i := 0; ; i++ {
		name := fmt.Sprintf("pod-%d", i)
		c.AddPod(name, "1", "256Mi")
		var claim cluster.Claim
		c.Eventually("the pod is reserved", func() string {
			if claim = c.ClaimOf(s, name, "Reserved", "Launching", "Held"); claim.TaskID == "" {
				return "no claim"
			}
			return ""
		})
		rescinded := c.Mesos.RescindAll()
		c.WaitBound(name)
		if notes := c.EventNotes(name, eventLaunchFailed); len(notes) > 0 {
			t.Errorf("the pod was blamed: %q", notes)
		}
		bound := c.Pod(name).Annotations["kube-mesos.io/task-id"]
		if rescinded > 0 && bound != claim.TaskID && c.Launched()[claim.TaskID] == 0 {
			break
		}
		if i == 20 {
			t.Fatal("no batch was open when its offer was rescinded, in 20 attempts")
		}
		c.DeletePod(name)
		c.WaitSettled()
	}
	c.DeletePod("bystander")
	c.WaitSettled()
	c.WaitIdle()
	c.Finish()
}

func rescindCrossing(c *cluster.Cluster) {
	t := c.T
	c.Args = lingering
	var hold *cluster.Hold
	hold, c.MesosAPI = holdFirst(scheduler.Call_ACCEPT, false) //nolint:bodyclose // A hook, not a response.
	c.StartScheduler()
	c.AddBystander()
	pods := []string{"a", "b", "c"}
	for _, name := range pods {
		c.AddPod(name, "1", "256Mi")
	}
	c.WaitHeld("the ACCEPT", hold)
	if n := c.Mesos.RescindAll(); n == 0 {
		t.Fatal("no offer was outstanding at the master while the ACCEPT was held")
	}
	hold.Open()
	c.WaitBound(pods...)
	c.WaitSettled()
	launched := c.Launched()
	if len(launched) <= len(pods) {
		t.Errorf("launched %v: no task of the failed ACCEPT was launched again under a new id", launched)
	}
	for _, name := range pods {
		if notes := c.EventNotes(name, eventLaunchFailed); len(notes) > 0 {
			t.Errorf("pod %s was blamed: %q", name, notes)
		}
	}
	c.DeletePod("bystander")
	c.WaitIdle()
	c.Finish()
}

var failures = []struct {
	name      string
	rejection mesosmaster.Rejection
	times     int
}{
	{"TASK_ERROR by the master", mesosmaster.Rejection{State: mesos.TASK_ERROR, Reason: mesos.REASON_TASK_INVALID,
		Source: mesos.SOURCE_MASTER, Message: "the task is of no use"}, 1},
	{"TASK_DROPPED by the master", mesosmaster.Rejection{State: mesos.TASK_DROPPED, Reason: mesos.REASON_AGENT_DISCONNECTED,
		Source: mesos.SOURCE_MASTER, Message: "the agent is not there"}, 1},
	{"TASK_DROPPED by the agent", mesosmaster.Rejection{State: mesos.TASK_DROPPED, Reason: mesos.REASON_GC_ERROR,
		Source: mesos.SOURCE_AGENT, Message: "the sandbox is being collected"}, 1},
	{"TASK_FAILED by the agent, twice", mesosmaster.Rejection{State: mesos.TASK_FAILED, Reason: mesos.REASON_CONTAINER_LAUNCH_FAILED,
		Source: mesos.SOURCE_AGENT, Message: "no cgroup could be made"}, 2},
}

func launchFails(c *cluster.Cluster, r mesosmaster.Rejection, times int) {
	for range times {
		c.Mesos.Faults().RejectNextLaunch(r)
	}
	c.StartScheduler()
	c.AddPod("one", "1", "256Mi")
	c.WaitBound("one")
	c.WaitSettled()
	c.WaitEvent("one", eventLaunchFailed, r.Message, r.State.String(), r.Reason.String())
	if launched := c.Launched(); len(launched) != times+1 {
		c.T.Errorf("launched %v, want %d tasks", launched, times+1)
	}
	c.WaitIdle()
	c.Finish()
}

func launchLost(c *cluster.Cluster, lose func(*cluster.Cluster)) {
	c.Args = "      launchTimeout: 1s\n"
	lose(c)
	c.StartScheduler()
	c.AddPod("one", "1", "256Mi")
	// The time-out, or what the master says when it is asked about the task.
	c.WaitEvent("one", eventLaunchFailed, "the placeholder task")
	c.WaitBound("one")
	// A task that the agent never got is found out when the agent registers again.
	for i := range 2 {
		if err := c.Mesos.RestartAgent(cluster.Host(i)); err != nil {
			c.T.Fatal(err)
		}
	}
	c.WaitSettled()
	// Under load a launch that is not lost may be late as well.
	if launched := c.Launched(); len(launched) < 2 {
		c.T.Errorf("launched %v, want a new task for the lost one", launched)
	}
	c.WaitIdle()
	c.Finish()
}

var refusals = []struct {
	name   string
	status int
	body   string
}{
	{"400", http.StatusBadRequest, "Failed to validate scheduler::Call: something is not right"},
	{"500", http.StatusInternalServerError, "Something broke"},
	{"503", http.StatusServiceUnavailable, "Master has not finished recovery"},
}

// acceptRefused has the master refuse an ACCEPT: its offers stay outstanding for
// us there, and must be neither forgotten nor hoarded.
func acceptRefused(c *cluster.Cluster, status int, body string) {
	c.Mesos.Faults().FailNext("ACCEPT", status, body)
	c.StartScheduler()
	// Needs a whole machine, so that an offer kept by mistake is missed.
	c.AddPod("one", "4", "256Mi")
	c.AddPod("two", "4", "256Mi")
	c.WaitBound("one", "two")
	c.WaitSettled()
	c.WaitIdle()
	c.Finish()
}

var bindFailures = []struct {
	name string
	// answer is what the scheduler gets instead of the answer to its first binding.
	answer func(req *http.Request, next http.RoundTripper) (*http.Response, error)
	tasks  int
}{
	{"500", refuse(http.StatusInternalServerError, "InternalError"), 2},
	{"409", refuse(http.StatusConflict, "Conflict"), 2},
	{"connection lost before", func(req *http.Request, _ http.RoundTripper) (*http.Response, error) {
		return nil, fmt.Errorf("%s: connection reset by peer", req.URL.Path)
	}, 2},
	{"500 although it took effect", func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		if resp, err := next.RoundTrip(req); err == nil {
			_ = resp.Body.Close()
		}
		return refuse(http.StatusInternalServerError, "InternalError")(req, next)
	}, 1},
	{"connection lost after it took effect", func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		if resp, err := next.RoundTrip(req); err == nil {
			_ = resp.Body.Close()
		}
		return nil, fmt.Errorf("%s: connection reset by peer", req.URL.Path)
	}, 1},
}

// refuse answers as the API server does when it refuses a request.
func refuse(code int, reason string) func(*http.Request, http.RoundTripper) (*http.Response, error) {
	return func(req *http.Request, _ http.RoundTripper) (*http.Response, error) {
		body := fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"refused by the test","reason":%q,"code":%d}`, reason, code)
		return answer(req, code, body), nil
	}
}

func answer(req *http.Request, code int, body string) *http.Response {
	return &http.Response{
		StatusCode: code, Status: http.StatusText(code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: readCloser(body), ContentLength: int64(len(body)),
	}
}

// isBinding tells whether a request binds a pod.
func isBinding(req *http.Request) bool {
	return req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/binding")
}

func bindFails(c *cluster.Cluster, fail func(*http.Request, http.RoundTripper) (*http.Response, error), tasks int) {
	failed := cluster.NewHold()
	failed.Open()
	c.API = func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		if isBinding(req) && !failed.Arrived() {
			failed.Pass(req.Context())
			return fail(req, next)
		}
		return next.RoundTrip(req)
	}
	c.StartScheduler()
	c.AddPod("one", "1", "256Mi")
	c.WaitBound("one")
	c.WaitSettled()
	c.WaitHeld("a binding", failed)
	launched := c.Launched()
	if len(launched) != tasks {
		c.T.Errorf("launched %v, want %d tasks", launched, tasks)
	}
	if id := c.Pod("one").Annotations["kube-mesos.io/task-id"]; launched[id] != 1 {
		c.T.Errorf("the binding names task %q, launched were %v", id, launched)
	}
	c.WaitIdle()
	c.WaitSettled()
	c.Finish()
}

func readCloser(body string) io.ReadCloser { return io.NopCloser(strings.NewReader(body)) }
