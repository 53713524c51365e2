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

package stage

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

// request is what a request's path and query say.
type request struct {
	gvr                          schema.GroupVersionResource
	namespace, name, subresource string
	media                        runtime.SerializerInfo
	selection                    selection
	http                         *http.Request
}

// unreachable is what a client sees of an API server that is not there.
var unreachable = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}

// RoundTrip implements http.RoundTripper: it is how clients reach the API server. A
// call that changes something does so at once and for good, before RoundTrip returns.
func (a *API) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down {
		return nil, unreachable
	}
	q, err := parse(r)
	if err != nil {
		return reply(r, q.media, 0, statusOf(err))
	}
	if r.Method == http.MethodGet && r.URL.Query().Get("watch") != "" {
		body, err := a.watch(q)
		if err != nil {
			return reply(r, q.media, 0, statusOf(err))
		}
		return response(r, http.StatusOK, q.media.MediaType+";stream=watch", body), nil
	}
	o, err := a.handle(q)
	switch {
	case err != nil:
		return reply(r, q.media, 0, statusOf(err))
	case r.Method == http.MethodPost:
		return reply(r, q.media, http.StatusCreated, o)
	}
	return reply(r, q.media, http.StatusOK, o)
}

func parse(r *http.Request) (*request, error) {
	q := &request{http: r, media: mediaFor(r.Header.Get("Accept"))}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		q.gvr.Version, parts = parts[1], parts[2:]
	case len(parts) >= 4 && parts[0] == "apis":
		q.gvr.Group, q.gvr.Version, parts = parts[1], parts[2], parts[3:]
	default:
		return q, apierrors.NewGenericServerResponse(http.StatusNotFound, r.Method, schema.GroupResource{}, r.URL.Path, "the stage has no such path", 0, true)
	}
	if len(parts) >= 3 && parts[0] == "namespaces" && parts[2] != "status" && parts[2] != "finalize" {
		q.namespace, parts = parts[1], parts[2:]
	}
	for i, to := range []*string{&q.gvr.Resource, &q.name, &q.subresource} {
		if i < len(parts) {
			*to = parts[i]
		}
	}
	return q, q.parseSelection()
}

func (q *request) parseSelection() (err error) {
	query := q.http.URL.Query()
	q.selection.namespace = q.namespace
	if q.selection.labels, err = labels.Parse(query.Get("labelSelector")); err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	if q.selection.fields, err = fields.ParseSelector(query.Get("fieldSelector")); err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	return nil
}

// handle carries out a call that is no watch. The lock is held.
func (a *API) handle(q *request) (runtime.Object, error) {
	t, err := a.table(q.gvr)
	if err != nil {
		return nil, err
	}
	switch method := q.http.Method; {
	case method == http.MethodGet && q.name == "":
		return a.list(t, &q.selection)
	case method == http.MethodGet:
		return t.get(q.namespace, q.name)
	case method == http.MethodPost:
		return a.post(t, q)
	case method == http.MethodPut:
		return a.put(t, q)
	case method == http.MethodPatch:
		return a.patch(t, q)
	case method == http.MethodDelete && q.name != "":
		return a.delete(t, q)
	}
	return nil, apierrors.NewMethodNotSupported(t.gvr.GroupResource(), q.http.Method)
}

func (a *API) list(t *table, s *selection) (runtime.Object, error) {
	list, err := scheme.Scheme.New(t.gvk.GroupVersion().WithKind(t.gvk.Kind + "List"))
	if err != nil {
		return nil, err
	}
	var items []runtime.Object
	for _, o := range t.objects {
		if s.has(o) {
			items = append(items, o)
		}
	}
	if err := meta.SetList(list, items); err != nil {
		return nil, err
	}
	list.GetObjectKind().SetGroupVersionKind(t.gvk.GroupVersion().WithKind(t.gvk.Kind + "List"))
	access, err := meta.ListAccessor(list)
	if err != nil {
		return nil, err
	}
	access.SetResourceVersion(strconv.FormatUint(a.version, 10))
	return list, nil
}

func (a *API) post(t *table, q *request) (runtime.Object, error) {
	body, err := decode(q.http.Body)
	if err != nil {
		return nil, err
	}
	if q.subresource != "" {
		return a.postTo(t, q, body)
	}
	o, ok := body.(object)
	if !ok || o.GetNamespace() != "" && o.GetNamespace() != q.namespace {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("the body is a %T of another namespace or without metadata", body))
	}
	o.SetNamespace(q.namespace)
	return a.create(t, o)
}

func (a *API) put(t *table, q *request) (runtime.Object, error) {
	was, err := t.get(q.namespace, q.name)
	if err != nil {
		return nil, err
	}
	body, err := decode(q.http.Body)
	if err != nil {
		return nil, err
	}
	is, ok := body.(object)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("the body is a %T", body))
	}
	if err := sameObject(t, was, is.GetUID() == "" || is.GetUID() == was.GetUID(), is.GetResourceVersion()); err != nil {
		return nil, err
	}
	return a.update(t, was, limit(q.subresource, was, is)), nil
}

// sameObject refuses a change that was meant for another object, or another version.
func sameObject(t *table, was object, uid bool, version string) error {
	if uid && (version == "" || version == was.GetResourceVersion()) {
		return nil
	}
	return apierrors.NewConflict(t.gvr.GroupResource(), was.GetName(),
		fmt.Errorf("the object has been modified; please apply your changes to the latest version and try again"))
}

// limit takes from a new object what its endpoint may change: the status, or all but
// that.
func limit(subresource string, was, is object) object {
	old, now := reflect.ValueOf(was).Elem(), reflect.ValueOf(is).Elem()
	if !now.FieldByName("Status").IsValid() {
		return is
	}
	if subresource == "status" {
		o := was.DeepCopyObject().(object)
		reflect.ValueOf(o).Elem().FieldByName("Status").Set(now.FieldByName("Status"))
		return o
	}
	now.FieldByName("Status").Set(old.FieldByName("Status"))
	now.FieldByName("ObjectMeta").FieldByName("DeletionTimestamp").Set(old.FieldByName("ObjectMeta").FieldByName("DeletionTimestamp"))
	return is.DeepCopyObject().(object)
}

// mediaFor returns the encoding of an answer.
func mediaFor(accept string) runtime.SerializerInfo {
	media := runtime.ContentTypeJSON
	if strings.Contains(accept, runtime.ContentTypeProtobuf) {
		media = runtime.ContentTypeProtobuf
	}
	info, _ := runtime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), media)
	return info
}

func statusOf(err error) *metav1.Status {
	status := metav1.Status{Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Reason: metav1.StatusReasonInternalError, Message: err.Error()}
	if s, ok := err.(apierrors.APIStatus); ok {
		status = s.Status()
	}
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	return &status
}

func reply(r *http.Request, media runtime.SerializerInfo, code int, o runtime.Object) (*http.Response, error) {
	if status, ok := o.(*metav1.Status); ok && code == 0 {
		code = int(status.Code)
	}
	var b bytes.Buffer
	if err := media.Serializer.Encode(o, &b); err != nil {
		return nil, fmt.Errorf("stage: cannot encode a %T: %w", o, err)
	}
	return response(r, code, media.MediaType, io.NopCloser(&b)), nil
}

func response(r *http.Request, code int, media string, body io.ReadCloser) *http.Response {
	return &http.Response{
		Status: http.StatusText(code), StatusCode: code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {media}}, Body: body, ContentLength: -1, Request: r,
	}
}

// SetDown makes the API server unreachable, or lets it come back. All watches break.
func (a *API) SetDown(down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = down
	if down {
		a.breakWatches()
	}
}

// BreakWatches ends all watches, as a restart of the API server does that nobody else
// notices. With forget the watchers are told that what they know is too old.
func (a *API) BreakWatches(forget bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.breakWatches()
	for _, t := range a.tables {
		if forget {
			t.compacted, t.changes = a.version, nil
		}
	}
	if forget {
		a.version++
	}
}

func (a *API) breakWatches() {
	for _, t := range a.tables {
		for w := range t.watchers {
			w.end()
		}
		clear(t.watchers)
	}
}
