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
	"encoding/json"
	"fmt"
	"io"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes/scheme"
)

// patch carries out a merge patch or a strategic merge patch.
func (a *API) patch(t *table, q *request) (runtime.Object, error) {
	was, err := t.get(q.namespace, q.name)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(q.http.Body)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(was)
	if err != nil {
		return nil, err
	}
	is, err := scheme.Scheme.New(t.gvk)
	if err != nil {
		return nil, err
	}
	switch kind := types.PatchType(q.http.Header.Get("Content-Type")); kind {
	case types.MergePatchType:
		text, err = mergePatch(text, body)
	case types.StrategicMergePatchType:
		text, err = strategicpatch.StrategicMergePatch(text, body, is)
	default:
		err = fmt.Errorf("the stage has no patches of type %s", kind)
	}
	if err == nil {
		err = json.Unmarshal(text, is)
	}
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	o, ok := is.(object)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("a %T has no metadata", is))
	}
	if err := sameObject(t, was, o.GetUID() == was.GetUID(), o.GetResourceVersion()); err != nil {
		return nil, err
	}
	return a.update(t, was, limit(q.subresource, was, o)), nil
}

// mergePatch applies a JSON merge patch (RFC 7396).
func mergePatch(doc, patch []byte) ([]byte, error) {
	var to, from any
	if err := json.Unmarshal(doc, &to); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(patch, &from); err != nil {
		return nil, err
	}
	return json.Marshal(merge(to, from))
}

func merge(to, from any) any {
	patch, ok := from.(map[string]any)
	if !ok {
		return from
	}
	object, ok := to.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	for k, v := range patch {
		if v == nil {
			delete(object, k)
		} else {
			object[k] = merge(object[k], v)
		}
	}
	return object
}
