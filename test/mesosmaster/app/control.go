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

package app

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// control is the interface for disturbing the emulator from outside: POST
// /WHAT/WHICH/DEED, such as /agents/node-000/kill. It answers 200, 404 for what
// does not exist, and 409 for what cannot be done now, with a reason.
type control struct {
	m *mesosmaster.Master
	e *mesosmaster.Ensemble // nil with one master
}

// errNoSuch is a deed that does not exist.
var errNoSuch = errors.New("no such deed")

// serveControl listens until the returned function is called.
func serveControl(addr string, c *control) (bound string, stop func(), err error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, fmt.Errorf("--control-listen: %w", err)
	}
	srv := &http.Server{Handler: c, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l) // ends with Close
	}()
	return l.Addr().String(), func() { _ = srv.Close(); <-done }, nil
}

// ServeHTTP implements http.Handler.
func (c *control) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "want POST", http.StatusMethodNotAllowed)
		return
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	err := errNoSuch
	switch {
	case len(parts) == 3 && parts[0] == "masters":
		err = c.master(parts[1], parts[2])
	case len(parts) == 2 && parts[0] == "zookeeper":
		err = c.zooKeeper(parts[1])
	case len(parts) == 3 && parts[0] == "agents":
		err = c.agent(parts[1], parts[2], r.URL.Query())
	case len(parts) == 3 && parts[0] == "tasks":
		err = c.task(parts[1], parts[2])
	}
	switch {
	case errors.Is(err, errNoSuch):
		http.Error(w, err.Error(), http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusConflict)
	}
}

// master kills or starts a master; of several also stops (SIGSTOP) and continues
// (SIGCONT) one.
func (c *control) master(which, deed string) error {
	i, err := strconv.Atoi(which)
	if err != nil || i < 0 {
		return errNoSuch
	}
	if c.e != nil {
		return c.oneOfSeveral(i, deed)
	}
	switch {
	case i == 0 && deed == "kill":
		c.m.Stop()
		return nil
	case i == 0 && deed == "start":
		return c.m.StartAgain()
	default:
		return errNoSuch
	}
}

func (c *control) oneOfSeveral(i int, deed string) error {
	if i >= c.e.Masters() {
		return errNoSuch
	}
	switch deed {
	case "kill":
		c.e.Kill(i)
	case "stop":
		c.e.Suspend(i)
	case "continue":
		c.e.Continue(i)
	case "start":
		return c.e.Begin(i)
	default:
		return errNoSuch
	}
	return nil
}

// zooKeeper kills or starts the ZooKeeper.
func (c *control) zooKeeper(deed string) error {
	switch {
	case c.e == nil:
		return errNoSuch
	case deed == "kill":
		c.e.StopZooKeeper()
	case deed == "start":
		c.e.StartZooKeeper()
	default:
		return errNoSuch
	}
	return nil
}

// agent disturbs an agent or its machine; or sets what its estimator and its QoS
// controller see: /estimate?resources=cpus:4, /load?value=7.5.
func (c *control) agent(host, deed string, q url.Values) error {
	switch deed {
	case "estimate":
		return c.m.SetEstimate(host, q.Get("resources"))
	case "load":
		load, err := strconv.ParseFloat(q.Get("value"), 64)
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		return c.m.SetLoad(host, load)
	}
	deeds := map[string]func(string) error{
		"kill": c.m.KillAgent, "shutdown": c.m.ShutdownAgent, "crash": c.m.CrashHost, "partition": c.m.PartitionAgent,
		"return": c.m.ReturnAgent, "restart": c.m.RestartAgent, "unreachable": c.m.MarkUnreachable,
	}
	do, ok := deeds[deed]
	if !ok {
		return errNoSuch
	}
	return do(host)
}

// task ends a task.
func (c *control) task(id, deed string) error {
	switch deed {
	case "finish":
		return c.m.FinishTask(id)
	case "fail":
		return c.m.FailTask(id)
	case "preempt":
		return c.m.LoseTask(id)
	default:
		return errNoSuch
	}
}
