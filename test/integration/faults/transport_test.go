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
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/test/faults"
	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// transport is a network between our scheduler, the master and the API server that goes
// wrong as rules say. Package test/crash tries everything of this kind in virtual time;
// here are sockets, an API server and clients as they are.
type transport struct {
	name   string
	config func(*mesosmaster.Config)
	// mesos and api are the rules for the two networks.
	mesos func(c *cluster.Cluster) []faults.Rule
	api   []faults.Rule
	// play is what happens beside two pods that are bound.
	play func(c *cluster.Cluster, n *network)
	// tasks is how many tasks may be launched for the two pods, 0: as many.
	tasks int
}

// network is what a test can do to the networks.
type network struct {
	mesos *faults.Mesos
	api   *faults.Kubernetes
}

func rules(r ...faults.Rule) func(*cluster.Cluster) []faults.Rule {
	return func(*cluster.Cluster) []faults.Rule { return r }
}

var transports = []transport{
	{name: "the answer to an ACCEPT is lost", tasks: 2, mesos: rules(
		faults.Rule{On: "ACCEPT", Do: []faults.Action{{Kind: faults.Swallow}, {Kind: faults.Cut}}})},
	{name: "the stream is cut inside an update", tasks: 2, mesos: rules(
		faults.Rule{On: "event UPDATE", Do: []faults.Action{{Kind: faults.CutInside}}})},
	{name: "the stream is half-open before an update", tasks: 2, config: beating, mesos: rules(
		faults.Rule{On: "event UPDATE", Do: []faults.Action{{Kind: faults.Freeze}}})},
	{name: "acknowledgements get lost", tasks: 2, mesos: rules(
		faults.Rule{On: "ACKNOWLEDGE", Times: 2, Do: []faults.Action{{Kind: faults.Cut}}})},
	{name: "the stream is slow", tasks: 2, mesos: rules(
		faults.Rule{On: "event OFFERS", Do: []faults.Action{{Kind: faults.Slow, N: 20_000}}})},
	{name: "the master changes in the middle of an ACCEPT", config: beating, mesos: func(c *cluster.Cluster) []faults.Rule {
		return []faults.Rule{{On: "ACCEPT", Do: []faults.Action{
			{Kind: faults.Swallow}, {Kind: faults.Invoke, Func: func() { c.Must(c.Mesos.Restart()) }}, {Kind: faults.Cut},
		}}}
	}},
	{name: "a binding times out and has happened", tasks: 2, api: []faults.Rule{{On: "create pods/binding", Do: []faults.Action{
		{Kind: faults.DelayAnswer, For: time.Second}, {Kind: faults.Answer, Status: http.StatusGatewayTimeout, Text: "Timeout"},
	}}}},
	{name: "the connection of a binding breaks, and it has happened", tasks: 2, api: []faults.Rule{{On: "create pods/binding", Do: []faults.Action{
		{Kind: faults.DelayAnswer, For: time.Millisecond}, {Kind: faults.Cut},
	}}}},
	{name: "the watch of the pods falls behind", tasks: 2, api: []faults.Rule{{On: "event pods", Nth: 2, Do: []faults.Action{{Kind: faults.Expire}}}}},
	{name: "the API server is away while Mesos ends a task", play: apiServerAway},
	{name: "the master is partitioned while a pod ends", config: beating, play: masterPartitioned},
}

func beating(c *mesosmaster.Config) {
	c.HeartbeatInterval, c.AgentReregisterDelay = 200*time.Millisecond, 100*time.Millisecond
}

func TestTransport(t *testing.T) {
	kube := cluster.StartKube(t)
	for _, tt := range transports {
		t.Run(tt.name, func(t *testing.T) {
			config := cluster.Quick()
			config.UpdateRetryMin = 500 * time.Millisecond
			if tt.config != nil {
				tt.config(&config)
			}
			tt.run(kube.New(t, 2, config))
		})
	}
}

// run binds two pods through the networks and ends them.
func (tt *transport) run(c *cluster.Cluster) {
	n := tt.start(c)
	c.StartScheduler()
	c.AddPod("one", "1", "256Mi")
	c.AddPod("two", "3", "256Mi")
	c.WaitBound("one", "two")
	c.WaitSettled()
	if launched := c.Launched(); tt.tasks > 0 && len(launched) != tt.tasks {
		c.T.Errorf("launched %v, want %d tasks", launched, tt.tasks)
	}
	if tt.play != nil {
		tt.play(c, n)
	}
	for _, left := range append(n.mesos.Unhit(), n.api.Unhit()...) {
		c.T.Errorf("rule %s was never hit", left)
	}
	c.Finish()
}

// start puts the networks between the schedulers of the cluster and the rest.
func (tt *transport) start(c *cluster.Cluster) *network {
	c.T.Helper()
	c.Args = "      session: {backoffInitial: 20ms, backoffMax: 100ms}\n"
	n := &network{}
	var mesos []faults.Rule
	if tt.mesos != nil {
		mesos = tt.mesos(c)
	}
	var dialer net.Dialer
	var err error
	n.mesos, err = faults.NewMesos(dialer.DialContext, mesos...)
	c.Must(err)
	c.T.Cleanup(n.mesos.Close)
	c.Master, err = n.mesos.Listen("127.0.0.1:0", c.Mesos.Addr())
	c.Must(err)
	n.api, err = faults.NewKubernetes(tt.api...)
	c.Must(err)
	c.API = func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		return n.api.Wrap(next).RoundTrip(req)
	}
	return n
}

// apiServerAway has Mesos end the task of a pod that we can do nothing about, and a
// user delete another one, while we do not reach the API server.
func apiServerAway(c *cluster.Cluster, n *network) {
	task := c.Task("one").TaskID
	acks := c.Mesos.CallCount("ACKNOWLEDGE")
	n.api.SetDown(time.Hour)
	c.Must(c.Mesos.FailTask(task))
	c.DeletePod("two")
	c.AddPod("three", "4", "256Mi")
	// The connection to Mesos is as healthy as ever.
	c.WaitCalls("ACKNOWLEDGE", acks+1)
	if c.Pod("one") == nil {
		c.T.Error("pod one is gone, although nobody could do that")
	}
	n.api.SetDown(0)
	c.WaitGone("one")
	c.WaitBound("three")
	c.WaitSettled()
}

// masterPartitioned has a pod deleted that we cannot tell the master of: nothing is
// given up before, and all afterwards.
func masterPartitioned(c *cluster.Cluster, n *network) {
	subscribed := c.Mesos.CallCount("SUBSCRIBE")
	n.mesos.Partition(faults.Both)
	c.DeletePod("two")
	c.WaitGone("two")
	c.Eventually("we notice", func() string {
		for _, i := range n.mesos.Log() {
			if i.On == "SUBSCRIBE" && i.Nth > 1 {
				return ""
			}
		}
		return "nobody subscribes again"
	})
	c.AddPod("three", "4", "256Mi")
	c.WaitUnscheduled("three", reasonNotConnected)
	if live := len(c.LiveTasks()); live != 2 {
		c.T.Errorf("%d tasks live, want both: nobody can end one", live)
	}
	n.mesos.Heal()
	c.WaitBound("three")
	c.WaitCalls("SUBSCRIBE", subscribed+1)
	c.WaitSettled()
}
