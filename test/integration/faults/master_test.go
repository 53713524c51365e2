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
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// impatient comes back to a lost master at once.
const impatient = "      session: {backoffInitial: 20ms, backoffMax: 100ms%s}\n"

// reasonNotConnected is what pods are told while there is no master.
const reasonNotConnected = "the Mesos master is not connected"

func TestMaster(t *testing.T) {
	kube := cluster.StartKube(t)
	config := cluster.Quick()
	config.AgentReregisterDelay = 100 * time.Millisecond
	slow := config
	slow.LaunchDelay = 2 * time.Second
	beating := config
	beating.HeartbeatInterval = 200 * time.Millisecond
	tests := []struct {
		name   string
		config mesosmaster.Config
		args   string
		play   func(*cluster.Cluster)
	}{
		{"not there yet", config, "", masterNotThere},
		{"gone and back", config, "", masterGone},
		{"gone while a pod ends", config, "", masterGonePodEnds},
		{"fails over with a launch in flight", slow, "", masterFailsOver},
		{"dies while an ACCEPT is on its way", config, "", func(c *cluster.Cluster) { masterDiesAccepting(c, false) }},
		{"dies before an ACCEPT is answered", config, "", func(c *cluster.Cluster) { masterDiesAccepting(c, true) }},
		{"not ready for a while", config, "", masterNotReady},
		{"stream is cut", config, "", func(c *cluster.Cluster) {
			broken(c, func(f *mesosmaster.Faults) error { return f.CutStream("", false) })
		}},
		{"stream is reset", config, "", func(c *cluster.Cluster) {
			broken(c, func(f *mesosmaster.Faults) error { return f.CutStream("", true) })
		}},
		{"stream freezes", beating, "", func(c *cluster.Cluster) { broken(c, func(f *mesosmaster.Faults) error { return f.FreezeStream("") }) }},
		{"record of a length that is none", config, "", func(c *cluster.Cluster) {
			broken(c, func(f *mesosmaster.Faults) error { return f.InjectBytes("", []byte("12x\n")) })
		}},
		{"record of a length beyond measure", config, "", func(c *cluster.Cluster) {
			broken(c, func(f *mesosmaster.Faults) error { return f.InjectBytes("", []byte("99999999999\n")) })
		}},
		{"record that is no event", config, "", func(c *cluster.Cluster) {
			broken(c, func(f *mesosmaster.Faults) error { return f.InjectRecord("", []byte("not an event")) })
		}},
		{"ERROR", config, "", func(c *cluster.Cluster) {
			broken(c, func(f *mesosmaster.Faults) error {
				return f.InjectEvent("", &scheduler.Event{Type: scheduler.Event_ERROR, Error: &scheduler.Event_Error{Message: "Something is wrong"}})
			})
		}},
		{"record longer than we take", config, ", maxRecordBytes: 1048576", oversized},
		{"odd but harmless events", config, "", harmless},
		{"every update twice", config, "", duplicates},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := kube.New(t, 2, tt.config)
			c.Args = fmt.Sprintf(impatient, tt.args)
			tt.play(c)
			c.WaitSettled()
			c.WaitIdle()
			c.Finish()
		})
	}
}

// keepsTask checks that the pod still runs by the task it had.
func keepsTask(c *cluster.Cluster, pod string, before mesosmaster.TaskSnapshot) {
	c.T.Helper()
	if now := c.Task(pod); now.TaskID != before.TaskID || !now.Launched.Equal(before.Launched) {
		c.T.Errorf("pod %s had task %s and now has %s", pod, before.TaskID, now.TaskID)
	}
	if n := c.Launched()[before.TaskID]; n != 1 {
		c.T.Errorf("task %s of pod %s was launched %d times", before.TaskID, pod, n)
	}
}

// runOne starts our scheduler and binds the pod "running".
func runOne(c *cluster.Cluster) mesosmaster.TaskSnapshot {
	c.StartScheduler()
	c.AddPod("running", "1", "256Mi")
	c.WaitBound("running")
	c.WaitSettled()
	c.WaitTask("TASK_RUNNING")
	return c.Task("running")
}

func masterNotThere(c *cluster.Cluster) {
	c.Mesos.Stop()
	c.StartScheduler()
	c.AddPod("early", "1", "256Mi")
	c.WaitUnscheduled("early", reasonNotConnected)
	c.Must(c.Mesos.StartAgain())
	c.WaitBound("early")
}

func masterGone(c *cluster.Cluster) {
	before := runOne(c)
	c.AddPod("too-big", "8", "256Mi")
	c.WaitUnscheduled("too-big", "Mesos offer")
	c.Mesos.Stop()
	c.AddPod("waiting", "1", "256Mi")
	c.WaitUnscheduled("waiting", reasonNotConnected)
	c.Must(c.Mesos.StartAgain())
	c.WaitBound("waiting")
	c.WaitSettled()
	keepsTask(c, "running", before)
	c.DeletePod("too-big")
}

func masterGonePodEnds(c *cluster.Cluster) {
	before := runOne(c)
	c.Mesos.Stop()
	c.DeletePod("running")
	c.AddPod("running", "1", "256Mi")
	c.WaitUnscheduled("running", reasonNotConnected)
	c.Must(c.Mesos.StartAgain())
	c.WaitBound("running")
	c.WaitSettled()
	if now := c.Task("running"); now.TaskID == before.TaskID {
		c.T.Errorf("the second pod is bound by the first one's task %s", now.TaskID)
	}
}

// masterFailsOver restarts the master twice, each time with a task that has
// not started yet.
func masterFailsOver(c *cluster.Cluster) {
	before := runOne(c)
	for i := range 2 {
		name := fmt.Sprintf("starting-%d", i)
		c.AddPod(name, "1", "256Mi")
		c.WaitTask("TASK_STAGING")
		c.Must(c.Mesos.Restart())
		c.WaitBound(name)
		c.WaitSettled()
	}
	keepsTask(c, "running", before)
}

// masterDiesAccepting lets the master die with the call that launches a task, or
// the answer to it, on its way: nobody knows then whether the task exists.
func masterDiesAccepting(c *cluster.Cluster, answered bool) {
	var hold *cluster.Hold
	hold, c.MesosAPI = holdFirst(scheduler.Call_ACCEPT, answered) //nolint:bodyclose // A hook, not a response.
	c.StartScheduler()
	c.AddPod("one", "1", "256Mi")
	c.WaitHeld("the ACCEPT", hold)
	c.Mesos.Stop()
	hold.Open()
	c.Must(c.Mesos.StartAgain())
	c.WaitBound("one")
	c.WaitSettled()
}

func masterNotReady(c *cluster.Cluster) {
	before := runOne(c)
	c.Mesos.Faults().Unavailable(500 * time.Millisecond)
	c.Must(c.Mesos.Faults().CutStream("", true))
	c.AddPod("waiting", "1", "256Mi")
	c.WaitBound("waiting")
	c.WaitSettled()
	keepsTask(c, "running", before)
}

// broken ends the subscription in one way or another: we come back and go on.
func broken(c *cluster.Cluster, fault func(*mesosmaster.Faults) error) {
	before := runOne(c)
	c.Must(fault(c.Mesos.Faults()))
	c.AddPod("waiting", "1", "256Mi")
	c.WaitCalls("SUBSCRIBE", 2)
	c.WaitBound("waiting")
	c.WaitSettled()
	keepsTask(c, "running", before)
	// The FrameworkID is the same: there is one of us.
	if all := c.Mesos.Frameworks(); len(all) != 1 {
		c.T.Errorf("%d frameworks at the master, want one", len(all))
	}
}

// oversized has offers that exceed what we take: we neither die nor forget the
// running pod, and go on when the offers are small again.
func oversized(c *cluster.Cluster) {
	before := runOne(c)
	c.WaitIdle() // or an offer of before would do
	c.Mesos.Faults().PadOffers(2 << 20)
	c.AddPod("waiting", "1", "256Mi")
	c.WaitCalls("SUBSCRIBE", 3)
	c.Mesos.Faults().PadOffers(0)
	c.WaitBound("waiting")
	c.WaitSettled()
	keepsTask(c, "running", before)
}

// harmless sends what a later Mesos, or an unlucky one, might send.
func harmless(c *cluster.Cluster) {
	before := runOne(c)
	state := mesos.TASK_RUNNING
	f := c.Mesos.Faults()
	for _, event := range []*scheduler.Event{
		{Type: scheduler.Event_RESCIND, Rescind: &scheduler.Event_Rescind{OfferID: mesos.OfferID{Value: "never made"}}},
		{Type: scheduler.Event_OFFERS, Offers: &scheduler.Event_Offers{}},
		{Type: scheduler.Event_FAILURE, Failure: &scheduler.Event_Failure{}},
		{Type: scheduler.Event_MESSAGE, Message: &scheduler.Event_Message{}},
		{Type: scheduler.Event_UPDATE, Update: &scheduler.Event_Update{Status: mesos.TaskStatus{TaskID: mesos.TaskID{Value: "not.ours"}, State: &state}}},
		{Type: scheduler.Event_UPDATE, Update: &scheduler.Event_Update{Status: mesos.TaskStatus{TaskID: mesos.TaskID{Value: before.TaskID}, State: &state}}},
		{Type: scheduler.Event_HEARTBEAT},
	} {
		c.Must(f.InjectEvent("", event))
	}
	c.Must(f.InjectUnknownEvent(""))
	c.AddPod("waiting", "1", "256Mi")
	c.WaitBound("waiting")
	c.WaitSettled()
	keepsTask(c, "running", before)
	if n := c.Mesos.CallCount("SUBSCRIBE"); n != 1 {
		c.T.Errorf("%d subscriptions, want one: none of this is a reason to leave", n)
	}
}

func duplicates(c *cluster.Cluster) {
	c.Mesos.Faults().DuplicateUpdates(1000)
	before := runOne(c)
	for i := range 4 {
		c.AddPod(fmt.Sprintf("pod-%d", i), "1", "256Mi")
	}
	c.WaitBound("pod-0", "pod-1", "pod-2", "pod-3")
	c.WaitSettled()
	keepsTask(c, "running", before)
	c.DeletePod("pod-0")
	c.WaitSettled()
}
