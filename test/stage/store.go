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
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
)

// history is how many changes of a resource a watch may be behind; one that is
// further is told that its version is too old.
const history = 512

// kinds are the kinds of all resources that client-go knows.
var kinds = sync.OnceValue(func() map[schema.GroupVersionResource]schema.GroupVersionKind {
	known := map[schema.GroupVersionResource]schema.GroupVersionKind{}
	for gvk := range scheme.Scheme.AllKnownTypes() {
		if gvk.Version == runtime.APIVersionInternal || strings.HasSuffix(gvk.Kind, "List") {
			continue
		}
		plural, _ := meta.UnsafeGuessKindToResource(gvk)
		known[plural] = gvk
	}
	return known
})

// object is what the store holds: immutable, and with its kind filled in.
type object interface {
	runtime.Object
	metav1.Object
}

// table is one resource's objects and latest changes.
type table struct {
	gvr     schema.GroupVersionResource
	gvk     schema.GroupVersionKind
	objects map[types.NamespacedName]object
	changes []*change
	// compacted is the version of the latest change that is forgotten.
	compacted uint64
	watchers  map[*watcher]struct{}
}

// change is one change of an object; was or is may be nil.
type change struct {
	version uint64
	was, is object
	frames  map[frameKey][]byte
}

// selection is what a list or a watch is about.
type selection struct {
	namespace string
	labels    labels.Selector
	fields    fields.Selector
}

func (s *selection) has(o object) bool {
	switch {
	case s.namespace != "" && o.GetNamespace() != s.namespace:
		return false
	case s.labels != nil && !s.labels.Matches(labels.Set(o.GetLabels())):
		return false
	}
	return s.fields == nil || s.fields.Empty() || s.fields.Matches(fieldsOf(o))
}

// table returns a resource's table. The lock is held.
func (a *API) table(gvr schema.GroupVersionResource) (*table, error) {
	if t := a.tables[gvr]; t != nil {
		return t, nil
	}
	gvk, ok := kinds()[gvr]
	if !ok {
		return nil, apierrors.NewGenericServerResponse(http.StatusNotFound, "", gvr.GroupResource(), "", "the server could not find the requested resource", 0, true)
	}
	t := &table{gvr: gvr, gvk: gvk, objects: map[types.NamespacedName]object{}, watchers: map[*watcher]struct{}{}}
	a.tables[gvr] = t
	return t, nil
}

// get returns an object of the store, which must not be changed.
func (t *table) get(namespace, name string) (object, error) {
	o := t.objects[types.NamespacedName{Namespace: namespace, Name: name}]
	if o == nil {
		return nil, apierrors.NewNotFound(t.gvr.GroupResource(), name)
	}
	return o, nil
}

// create adds an object, which becomes the store's.
func (a *API) create(t *table, o object) (object, error) {
	if o.GetName() == "" && o.GetGenerateName() != "" {
		a.names++
		o.SetName(o.GetGenerateName() + strconv.FormatUint(a.names, 36))
	}
	if t.objects[types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}] != nil {
		return nil, apierrors.NewAlreadyExists(t.gvr.GroupResource(), o.GetName())
	}
	if o.GetUID() == "" {
		a.uids++
		o.SetUID(types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", a.uids)))
	}
	if t := o.GetCreationTimestamp(); t.IsZero() {
		o.SetCreationTimestamp(metav1.Now())
	}
	a.commit(t, nil, o)
	return o, nil
}

// update replaces an object by one that becomes the store's. An object that is being
// deleted and has no finalizer left is removed.
func (a *API) update(t *table, was, is object) object {
	is.SetUID(was.GetUID())
	is.SetCreationTimestamp(was.GetCreationTimestamp())
	is.SetResourceVersion(was.GetResourceVersion())
	is.GetObjectKind().SetGroupVersionKind(t.gvk)
	if apiequality.Semantic.DeepEqual(was, is) {
		return was
	}
	a.commit(t, was, is)
	if is.GetDeletionTimestamp() != nil && was.GetDeletionTimestamp() != nil && len(was.GetFinalizers()) > 0 && len(is.GetFinalizers()) == 0 {
		a.commit(t, is, nil)
	}
	return is
}

// commit makes a change, and tells the watchers and hooks.
func (a *API) commit(t *table, was, is object) {
	a.version++
	if is != nil {
		is.SetResourceVersion(strconv.FormatUint(a.version, 10))
		is.GetObjectKind().SetGroupVersionKind(t.gvk)
		t.objects[types.NamespacedName{Namespace: is.GetNamespace(), Name: is.GetName()}] = is
	} else {
		delete(t.objects, types.NamespacedName{Namespace: was.GetNamespace(), Name: was.GetName()})
		// The last a watcher sees of an object has the version of its end.
		gone := was.DeepCopyObject().(object)
		gone.SetResourceVersion(strconv.FormatUint(a.version, 10))
		was = gone
	}
	c := &change{version: a.version, was: was, is: is}
	t.changes = append(t.changes, c)
	if len(t.changes) >= history+history/8 {
		t.compacted = t.changes[len(t.changes)-history-1].version
		t.changes = append([]*change(nil), t.changes[len(t.changes)-history:]...)
	}
	for w := range t.watchers {
		w.tell(c)
	}
	for _, hook := range a.hooks {
		hook(was, is)
	}
}

// eventFor is what a change is for those who watch a selection.
func (c *change) eventFor(s *selection) (watch.EventType, object) {
	had, has := c.was != nil && s.has(c.was), c.is != nil && s.has(c.is)
	switch {
	case had && has:
		return watch.Modified, c.is
	case has:
		return watch.Added, c.is
	case had:
		if c.is != nil { // it is no longer selected
			gone := c.was.DeepCopyObject().(object)
			gone.SetResourceVersion(c.is.GetResourceVersion())
			return watch.Deleted, gone
		}
		return watch.Deleted, c.was
	}
	return "", nil
}

// body decodes a request's object.
func decode(r io.Reader) (runtime.Object, error) {
	data, err := io.ReadAll(r)
	if err != nil || len(data) == 0 {
		return nil, err
	}
	o, _, err := scheme.Codecs.UniversalDeserializer().Decode(data, nil, nil)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return o, nil
}
