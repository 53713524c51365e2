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
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// apiServer takes every call and has one pod, which changes every minute.
type apiServer struct{ calls int }

func (a *apiServer) RoundTrip(r *http.Request) (*http.Response, error) {
	media := runtime.ContentTypeJSON
	if strings.Contains(r.Header.Get("Accept"), runtime.ContentTypeProtobuf) {
		media = runtime.ContentTypeProtobuf
	}
	info, _ := runtime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), media)
	encode := func(to io.Writer) {
		pod := &v1.Pod{TypeMeta: metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"}, ObjectMeta: metav1.ObjectMeta{Name: "one"}}
		if err := info.Serializer.Encode(pod, to); err != nil {
			panic(err)
		}
	}
	answer := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {media}}, Request: r, ContentLength: -1}
	a.calls++
	if r.URL.Query().Get("watch") == "" {
		var b bytes.Buffer
		encode(&b)
		answer.Body = io.NopCloser(&b)
		return answer, nil
	}
	pr, pw := io.Pipe()
	answer.Header.Set("Content-Type", media+";stream=watch")
	answer.Body = pr
	go func() {
		for {
			var raw, event bytes.Buffer
			encode(&raw)
			if err := info.StreamSerializer.Encode(&metav1.WatchEvent{Type: "ADDED", Object: runtime.RawExtension{Raw: json.RawMessage(raw.Bytes())}}, &event); err != nil {
				panic(err)
			}
			if _, err := info.StreamSerializer.Framer.NewFrameWriter(pw).Write(event.Bytes()); err != nil {
				return
			}
			time.Sleep(time.Minute)
		}
	}()
	return answer, nil
}

func playAPI(t *testing.T, name, media string, f func(t *testing.T, server *apiServer, k *Kubernetes, client kubernetes.Interface), rules ...Rule) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			k, err := NewKubernetes(rules...)
			if err != nil {
				t.Fatal(err)
			}
			server := &apiServer{}
			client := kubernetes.NewForConfigOrDie(&rest.Config{
				Host: "http://api.example", QPS: -1, Transport: k.Wrap(server),
				ContentConfig: rest.ContentConfig{ContentType: media, AcceptContentTypes: media},
			})
			f(t, server, k, client)
			k.CutWatches()
			// What plays the API server looks once a minute.
			time.Sleep(2 * time.Minute)
			if left := k.Unhit(); len(left) > 0 {
				t.Errorf("never hit: %q", left)
			}
		})
	})
}

// What each action does to a binding, for the client and for the API server.
func TestWrites(t *testing.T) {
	anything := func(err error) bool { return err != nil }
	tests := []struct {
		name  string
		do    []Action
		is    func(error) bool
		took  time.Duration
		calls int
	}{
		{"fails before its effect", []Action{{Kind: Cut}}, anything, 0, 0},
		{"fails after its effect", []Action{{Kind: Swallow}, {Kind: Cut}}, anything, 0, 1},
		{"times out though it happened", []Action{{Kind: Swallow}}, anything, 30 * time.Second, 1},
		{"times out and never happened", []Action{{Kind: Freeze}}, anything, 30 * time.Second, 0},
		{"conflict", []Action{{Kind: Answer, Status: 409, Text: "Conflict"}}, apierrors.IsConflict, 0, 0},
		{"conflict though it happened", []Action{{Kind: Swallow}, {Kind: Answer, Status: 409, Text: "Conflict"}}, apierrors.IsConflict, 0, 1},
		{"time-out told by the server", []Action{{Kind: Swallow}, {Kind: Answer, Status: 504, Text: "Timeout"}}, apierrors.IsTimeout, 0, 1},
		{"delay", []Action{{Kind: Delay, For: 9 * time.Second}}, nil, 9 * time.Second, 1},
		{"twice", []Action{{Kind: Twice}}, nil, 0, 2},
		{"down", []Action{{Kind: Down, For: 3 * time.Minute}}, anything, 0, 0},
	}
	for _, tt := range tests {
		playAPI(t, tt.name, runtime.ContentTypeProtobuf, func(t *testing.T, server *apiServer, _ *Kubernetes, client kubernetes.Interface) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			began := time.Now()
			err := client.CoreV1().Pods("space").Bind(ctx, &v1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "one"}}, metav1.CreateOptions{})
			if tt.is == nil && err != nil || tt.is != nil && !tt.is(err) {
				t.Errorf("the client is told %v", err)
			}
			if took := time.Since(began); took != tt.took {
				t.Errorf("it took %v, want %v", took, tt.took)
			}
			if server.calls != tt.calls {
				t.Errorf("%d calls at the API server, want %d", server.calls, tt.calls)
			}
			time.Sleep(5 * time.Minute)
			if _, err := client.CoreV1().Pods("space").Get(t.Context(), "one", metav1.GetOptions{}); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		}, Rule{On: "create pods/binding", About: "space/one", Do: tt.do})
	}
}

func TestWatches(t *testing.T) {
	for _, media := range []string{runtime.ContentTypeJSON, runtime.ContentTypeProtobuf} {
		for _, tt := range []struct {
			name   string
			rule   Rule
			events int
			gone   bool
		}{
			{"cut", Rule{On: "event pods", Nth: 3, Do: []Action{{Kind: Cut}}}, 2, false},
			{"cut inside", Rule{On: "event pods", Nth: 3, Do: []Action{{Kind: CutInside}}}, 2, false},
			{"too old", Rule{On: "event pods", Nth: 3, Do: []Action{{Kind: Expire}}}, 2, true},
			{"cut after a while", Rule{On: "watch pods", Do: []Action{{Kind: CutAfter, For: 150 * time.Second}}}, 3, false},
			{"down", Rule{On: "event pods", Nth: 3, Do: []Action{{Kind: Down, For: time.Minute}}}, 2, false},
		} {
			playAPI(t, tt.name+" "+media, media, func(t *testing.T, _ *apiServer, k *Kubernetes, client kubernetes.Interface) {
				w, err := client.CoreV1().Pods("space").Watch(t.Context(), metav1.ListOptions{})
				if err != nil {
					t.Fatal(err)
				}
				defer w.Stop()
				events, gone := 0, false
				for e := range w.ResultChan() {
					if e.Type == watch.Error {
						gone = apierrors.IsResourceExpired(apierrors.FromObject(e.Object))
						continue
					}
					events++
				}
				if events != tt.events || gone != tt.gone {
					t.Errorf("%d events, too old: %v; want %d, %v", events, gone, tt.events, tt.gone)
				}
				if n := len(k.watches); n > 1 {
					t.Errorf("%d watches are kept", n)
				}
			}, tt.rule)
		}
	}
	playAPI(t, "too old at once", runtime.ContentTypeJSON, func(t *testing.T, _ *apiServer, _ *Kubernetes, client kubernetes.Interface) {
		if _, err := client.CoreV1().Pods("").Watch(t.Context(), metav1.ListOptions{}); !apierrors.IsResourceExpired(err) {
			t.Error(err)
		}
	}, Rule{On: "watch pods", Do: []Action{{Kind: Expire}}})
}

func TestDescribeAPI(t *testing.T) {
	for url, want := range map[string]string{
		"GET /api/v1/pods?watch=true":                                "watch pods ",
		"GET /api/v1/nodes":                                          "list nodes ",
		"GET /api/v1/nodes/a":                                        "get nodes a",
		"PATCH /api/v1/nodes/a/status":                               "patch nodes/status a",
		"POST /api/v1/namespaces/s/pods/one/binding":                 "create pods/binding s/one",
		"GET /api/v1/namespaces/s/pods":                              "list pods s/",
		"GET /api/v1/namespaces":                                     "list namespaces ",
		"GET /api/v1/namespaces/s":                                   "get namespaces s",
		"PUT /apis/coordination.k8s.io/v1/namespaces/s/leases/x":     "update leases s/x",
		"DELETE /apis/policy/v1/namespaces/s/poddisruptionbudgets/x": "delete poddisruptionbudgets s/x",
		"GET /version":                                               "GET /version ",
	} {
		method, path, _ := strings.Cut(url, " ")
		r, err := http.NewRequestWithContext(t.Context(), method, "http://h"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if on, about := describeAPI(r); on+" "+about != want {
			t.Errorf("%s is %q, want %q", url, on+" "+about, want)
		}
	}
}
