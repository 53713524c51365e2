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
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var (
	apiCallKinds = []Kind{Drop, Swallow, Answer, Twice, Delay, DelayAnswer, Behind, Cut, CutAfter, Freeze, Expire, Down, Invoke}
	// The events of a watch come one by one, and can stay out at any of them.
	watchEventKinds = []Kind{Delay, Cut, CutInside, Freeze, Expire, Down, Invoke}
)

// Kubernetes stands between clients and the API server: Wrap puts it into a client's
// way. A call that is cut fails as a lost connection does, a frozen one when its
// context ends.
type Kubernetes struct {
	*book

	mu        sync.Mutex
	watches   map[*watchBody]struct{}
	downUntil time.Time
}

// NewKubernetes returns the faults of an API server.
func NewKubernetes(rules ...Rule) (*Kubernetes, error) {
	k := &Kubernetes{book: newBook(), watches: map[*watchBody]struct{}{}}
	return k, k.Add(rules...)
}

// Add adds rules; they count from now on.
func (k *Kubernetes) Add(rules ...Rule) error {
	for i := range rules {
		if err := rules[i].validate(apiCallKinds, watchEventKinds); err != nil {
			return err
		}
		k.add(rules[i])
	}
	return nil
}

// Wrap returns a way to the API server that leads through the faults.
func (k *Kubernetes) Wrap(next http.RoundTripper) http.RoundTripper {
	return tripper(func(r *http.Request) (*http.Response, error) { return k.roundTrip(r, next) })
}

type tripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

var (
	errLost    = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
)

// SetDown refuses all calls for d from now on, and breaks all watches; 0 ends that.
func (k *Kubernetes) SetDown(d time.Duration) {
	k.mu.Lock()
	k.downUntil = time.Now().Add(d)
	k.mu.Unlock()
	if d > 0 {
		k.CutWatches()
	}
}

// CutWatches breaks all watches; new ones can be made.
func (k *Kubernetes) CutWatches() {
	k.mu.Lock()
	watches := make([]*watchBody, 0, len(k.watches))
	for w := range k.watches {
		watches = append(watches, w)
	}
	k.mu.Unlock()
	for _, w := range watches {
		w.end(errLost)
	}
}

func (k *Kubernetes) isDown() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return time.Now().Before(k.downUntil)
}

// exchange is one call to the API server.
type exchange struct {
	k         *Kubernetes
	next      http.RoundTripper
	req       *http.Request
	body      []byte
	on, about string
	resp      *http.Response
	settled   bool
	cutAfter  time.Duration
}

func (k *Kubernetes) roundTrip(r *http.Request, next http.RoundTripper) (*http.Response, error) {
	x := &exchange{k: k, next: next, req: r}
	x.on, x.about = describeAPI(r)
	if r.Body != nil {
		var err error
		if x.body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close() // it is read to its end
	}
	for _, a := range k.meet(x.on, x.about) {
		if err := x.do(a); err != nil {
			return nil, errors.Join(err, x.drop())
		}
	}
	if err := x.forward(); err != nil {
		return nil, err
	}
	if x.resp == nil {
		return nil, x.hang()
	}
	return x.resp, nil
}

// describeAPI names a request as rules do: verb and resource, and the object.
func describeAPI(r *http.Request) (on, about string) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) >= 4 && parts[0] == "apis":
		parts = parts[3:]
	default:
		return r.Method + " " + r.URL.Path, ""
	}
	if len(parts) >= 3 && parts[0] == "namespaces" && parts[2] != "status" && parts[2] != "finalize" {
		about, parts = parts[1]+"/", parts[2:]
	}
	resource := parts[0]
	if len(parts) > 1 {
		about += parts[1]
	}
	if len(parts) > 2 {
		resource += "/" + parts[2]
	}
	return verbOf(r, len(parts) > 1) + " " + resource, about
}

var verbs = map[string]string{http.MethodPost: "create", http.MethodPut: "update"}

func verbOf(r *http.Request, named bool) string {
	switch watching := r.URL.Query().Get("watch"); {
	case watching == "true" || watching == "1":
		return "watch"
	case r.Method == http.MethodGet && !named:
		return "list"
	case verbs[r.Method] != "":
		return verbs[r.Method]
	}
	return strings.ToLower(r.Method)
}

// do takes one action; an error is what the client gets.
func (x *exchange) do(a Action) error { //nolint:gocyclo // One line for each kind.
	switch a.Kind {
	case Drop:
		x.settled = true
	case Swallow:
		if err := x.forward(); err != nil {
			return err
		}
		return x.drop()
	case Answer:
		x.settled, x.resp = true, status(x.req, a.Status, a.Text) //nolint:bodyclose // The client closes it.
	case Expire:
		x.settled, x.resp = true, status(x.req, http.StatusGone, string(metav1.StatusReasonExpired)) //nolint:bodyclose // The client closes it.
	case Twice:
		return x.again()
	case Delay:
		return x.pause(a.For)
	case DelayAnswer:
		if err := x.forward(); err != nil {
			return err
		}
		return x.pause(a.For)
	case Behind:
		x.k.behind(a.N, a.For, x.req.Context().Done())
	case Cut:
		return errLost
	case CutAfter:
		x.cutAfter = a.For
	case Freeze:
		x.settled = true
		return errors.Join(x.drop(), x.hang())
	case Down:
		x.k.SetDown(a.For)
	case Invoke:
		a.Func()
	}
	return nil
}

// send makes the call.
func (x *exchange) send() (*http.Response, error) {
	if x.k.isDown() {
		return nil, errRefused
	}
	r := x.req.Clone(x.req.Context())
	if x.body != nil {
		r.Body = io.NopCloser(strings.NewReader(string(x.body)))
	}
	resp, err := x.next.RoundTrip(r)
	x.k.pass()
	return resp, err
}

// forward makes the call, unless that has been done.
func (x *exchange) forward() error {
	if x.settled {
		return nil
	}
	x.settled = true
	resp, err := x.send()
	if err != nil {
		return err
	}
	if x.resp = resp; strings.HasPrefix(x.on, "watch ") && resp.StatusCode == http.StatusOK {
		x.resp.Body = x.k.watch(resp, eventPrefix+strings.TrimPrefix(x.on, "watch "), x.cutAfter)
	}
	return nil
}

// again makes the call a second time behind the first, whose answer counts.
func (x *exchange) again() error {
	if err := x.forward(); err != nil {
		return err
	}
	// What the client has read of the first answer must not depend on the second.
	if resp, err := x.send(); err == nil {
		return resp.Body.Close()
	}
	return nil
}

// drop forgets the answer.
func (x *exchange) drop() error {
	if x.resp == nil {
		return nil
	}
	body := x.resp.Body
	x.resp = nil
	return body.Close()
}

func (x *exchange) pause(d time.Duration) error {
	pause(d, x.req.Context().Done())
	return context.Cause(x.req.Context())
}

// hang waits for an answer that never comes.
func (x *exchange) hang() error {
	<-x.req.Context().Done()
	return context.Cause(x.req.Context())
}

// status is an answer of the API server's that is nothing but a Status.
func status(r *http.Request, code int, reason string) *http.Response {
	s := metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: int32(code),
		Reason: metav1.StatusReason(reason), Message: fmt.Sprintf("%s: %s", http.StatusText(code), reason),
	}
	text, err := json.Marshal(s)
	if err != nil {
		text = []byte(err.Error())
	}
	return &http.Response{
		Status: http.StatusText(code), StatusCode: code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(text))),
		ContentLength: int64(len(text)), Request: r,
	}
}
