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
	"time"
)

// answer is what the master said: all of it, or the head and a stream.
type answer struct {
	raw      []byte
	stream   io.ReadCloser
	protobuf bool
	close    bool // the connection ends behind it
}

// call is a request that is being handled.
type call struct {
	link    *link
	request *request
	answer  *answer
	// settled tells that nothing is to be forwarded any more, delivered that the sender
	// has its answer.
	settled, delivered bool
}

// do takes one action; false when the connection is over.
func (c *call) do(a Action) bool { //nolint:gocyclo // One line for each kind.
	l := c.link
	switch a.Kind {
	case Drop:
		c.settled = true
	case Swallow:
		ok := c.forward()
		c.answer = nil
		return ok
	case Answer:
		c.settled, c.delivered = true, l.write(fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n%s",
			a.Status, http.StatusText(a.Status), len(a.Text), a.Text))
		return c.delivered
	case Twice:
		// Whatever becomes of the second one, the sender knows of the first alone.
		if !c.forward() {
			return false
		}
		_ = l.again(c.request)
	case Delay:
		pause(a.For, l.done.Done())
	case DelayAnswer:
		if !c.forward() {
			return false
		}
		pause(a.For, l.done.Done())
		return c.deliver()
	case Behind:
		l.proxy.behind(a.N, a.For, l.gone)
	case Cut:
		return false
	case CutAfter:
		time.AfterFunc(a.For, func() { closeAll(l.ends()) })
	case Freeze:
		l.freeze(a.Direction)
		c.settled = c.settled || !l.passes(Forward)
	case Slow:
		l.perByte.Store(int64(time.Second) / int64(a.N))
	case Down:
		l.proxy.SetDown(a.For)
		return false
	case Invoke:
		a.Func()
	}
	return true
}

// forward sends the request, unless that has been done, and reads its answer.
func (c *call) forward() bool {
	if c.settled {
		return true
	}
	c.settled = true
	if !c.link.send(c.request.raw) {
		return false
	}
	var err error
	c.answer, err = c.link.receive(c.request)
	if err == nil {
		c.link.proxy.pass()
	}
	return err == nil
}

// deliver gives the sender its answer; false when the connection is over.
func (c *call) deliver() bool {
	if c.answer == nil {
		return true
	}
	c.delivered = c.link.write(c.answer.raw)
	if c.delivered && c.answer.stream != nil {
		c.link.pump(c.answer)
		return false
	}
	return c.delivered && !c.answer.close
}
