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
	"slices"
	"time"
)

// Kind is what is done to a call, its answer, or an event of a stream.
type Kind string

// What can be done. A call that is neither dropped, swallowed nor answered is
// forwarded after all actions of its rule, and its answer delivered.
const (
	// Drop: the call never reaches the other side. Unless something else follows, its
	// sender waits for an answer in vain.
	Drop Kind = "drop"
	// Swallow: the other side carries out the call, and its answer gets lost. Unless
	// something else follows, the sender waits in vain.
	Swallow Kind = "swallow"
	// Answer: the sender gets Status and Text, and the other side nothing. For a call
	// to the API server Text is the reason of a Status object.
	Answer Kind = "answer"
	// Twice: the call, or the event, is delivered twice.
	Twice Kind = "twice"
	// Delay waits For. Before Swallow it delays the call, behind it the end.
	Delay Kind = "delay"
	// DelayAnswer forwards the call and waits For before its answer is delivered.
	DelayAnswer Kind = "delay answer"
	// Behind holds the call until N other calls have been carried out, at most For; zero:
	// as long as the sender waits.
	Behind Kind = "behind"
	// Cut breaks the connection. Of an event it is cut in front of it.
	Cut Kind = "cut"
	// CutInside breaks the connection in the middle of an event's record.
	CutInside Kind = "cut inside"
	// CutAfter delivers the answer, and breaks the connection after For: for streams.
	CutAfter Kind = "cut after"
	// Freeze makes the connection half-open: in the Direction no byte passes any more,
	// and nobody is told, not even when one side closes it: the master hears of that
	// after a quarter of an hour, as TCP does.
	Freeze Kind = "freeze"
	// Slow lets at most N bytes a second pass to the sender from here on.
	Slow Kind = "slow"
	// Expire ends a watch with the word that what the watcher knows is too old.
	Expire Kind = "expire"
	// Down makes all calls fail for For, from this one on, as when nobody listens; all
	// streams break.
	Down Kind = "down"
	// Invoke calls Func, for what no other action does: killing a process, changing the
	// master. It must not wait for the call it interrupts.
	Invoke Kind = "invoke"
)

// Direction is of bytes: to the other side, from it, or both.
type Direction string

// The directions; the zero value is Both.
const (
	Both     Direction = ""
	Forward  Direction = "forward"
	Backward Direction = "backward"
)

// Action is one thing done.
type Action struct {
	Kind      Kind
	For       time.Duration
	N         int
	Status    int
	Text      string
	Direction Direction
	Func      func()
}

// Rule says what is done to whom.
type Rule struct {
	// Name is for reports; default is what the rule says.
	Name string
	// On is the name of what is met: for Mesos the type of the call ("ACCEPT"), the
	// method and path of a request that is no call ("GET /slaves"), or an event
	// ("event UPDATE"); for Kubernetes verb and resource ("create pods/binding") or a
	// watch's event ("event pods"). Empty: any call.
	On string
	// About restricts the rule to what is about this: a task id, or an object's name.
	About string
	// Nth is the first of the fitting ones that is met, counted from 1; Times is how
	// many from there on: 0 is one, negative all.
	Nth, Times int
	// Do is done in this order.
	Do []Action
}

// String says what the rule is about.
func (r *Rule) String() string {
	if r.Name != "" {
		return r.Name
	}
	var kinds []Kind
	for _, a := range r.Do {
		kinds = append(kinds, a.Kind)
	}
	return fmt.Sprintf("%q number %d: %v", r.On, max(1, r.Nth), kinds)
}

// validate finds what would silently do nothing. Actions that are possible differ for
// calls and for events.
func (r *Rule) validate(calls, events []Kind) error {
	if len(r.Do) == 0 {
		return fmt.Errorf("faults: rule %s does nothing", r)
	}
	possible := calls
	if isEvent(r.On) {
		possible = events
	}
	for _, a := range r.Do {
		switch {
		case !slices.Contains(possible, a.Kind):
			return fmt.Errorf("faults: rule %s: %q cannot be done to %q", r, a.Kind, r.On)
		case a.lacks():
			return fmt.Errorf("faults: rule %s: %q lacks what it needs", r, a.Kind)
		case a.Kind == Twice && r.On == "SUBSCRIBE":
			return fmt.Errorf("faults: rule %s: of two SUBSCRIBEs one takes the other's stream: cut it instead", r)
		}
	}
	return nil
}

// lacks tells whether the action says too little.
func (a *Action) lacks() bool {
	switch a.Kind {
	case Invoke:
		return a.Func == nil
	case Answer:
		return a.Status == 0
	case Behind, Slow:
		return a.N <= 0
	case Delay, DelayAnswer, CutAfter, Down:
		return a.For <= 0
	default:
		return false
	}
}
