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

package cluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"
)

// fieldManager owns the fields we apply.
const fieldManager = "kube-mesos-up"

// Applier applies and deletes manifests.
type Applier struct {
	client    dynamic.Interface
	discovery discovery.DiscoveryInterface
	mapper    meta.RESTMapper
}

// NewApplier returns an applier that knows the kinds served now.
func NewApplier(config *rest.Config) (*Applier, error) {
	disco, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("discovery client: %w", err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("dynamic client: %w", err)
	}
	a := &Applier{client: client, discovery: disco}
	return a, a.discover()
}

// discover learns the kinds served now.
func (a *Applier) discover() error {
	groups, err := restmapper.GetAPIGroupResources(a.discovery)
	if err != nil {
		return fmt.Errorf("discover the served kinds: %w", err)
	}
	a.mapper = restmapper.NewDiscoveryRESTMapper(groups)
	return nil
}

// Decode returns the objects of a YAML file of several documents.
func Decode(data []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read a YAML document: %w", err)
		}
		content := map[string]any{}
		if err := yaml.UnmarshalStrict(document, &content); err != nil {
			return nil, fmt.Errorf("parse a YAML document: %w", err)
		}
		if len(content) > 0 {
			objects = append(objects, &unstructured.Unstructured{Object: content})
		}
	}
}

// Apply applies objects in order, server-side. It retries until ctx is done
// while the cluster is still starting: namespaces and their default service
// accounts appear a moment after the API does. The kind that a
// CustomResourceDefinition defines is served when it returns, and objects of that
// kind may follow in the same list.
func (a *Applier) Apply(ctx context.Context, objects []*unstructured.Unstructured) error {
	for _, obj := range objects {
		resource, err := a.resource(obj)
		if err != nil {
			return err
		}
		err = poll(ctx, func(ctx context.Context) error {
			_, err := resource.Apply(ctx, obj.GetName(), obj, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
			return err
		}, func(err error) bool {
			return apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || apierrors.IsServiceUnavailable(err)
		})
		if err != nil {
			return fmt.Errorf("apply %s %s: %w", obj.GetKind(), obj.GetName(), err)
		}
		if obj.GetKind() == "CustomResourceDefinition" {
			if err := a.awaitEstablished(ctx, resource, obj.GetName()); err != nil {
				return fmt.Errorf("wait until %s is served: %w", obj.GetName(), err)
			}
		}
	}
	return nil
}

// errNotEstablished tells that a defined kind is not served yet.
var errNotEstablished = errors.New("it is not established")

// awaitEstablished waits until the apiserver serves a defined kind, and learns it.
func (a *Applier) awaitEstablished(ctx context.Context, resource dynamic.ResourceInterface, name string) error {
	err := poll(ctx, func(ctx context.Context) error {
		crd, err := resource.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !established(crd) {
			return errNotEstablished
		}
		return nil
	}, func(err error) bool { return errors.Is(err, errNotEstablished) })
	if err != nil {
		return err
	}
	return a.discover()
}

// established tells whether a CustomResourceDefinition's kind is served. Its list of
// conditions is null at first.
func established(crd *unstructured.Unstructured) bool {
	list, _, _ := unstructured.NestedFieldNoCopy(crd.Object, "status", "conditions")
	conditions, _ := list.([]any)
	for _, c := range conditions {
		if condition, _ := c.(map[string]any); condition["type"] == "Established" {
			return condition["status"] == "True"
		}
	}
	return false
}

// Delete deletes objects with all that they own and waits until they are gone.
func (a *Applier) Delete(ctx context.Context, objects []*unstructured.Unstructured) error {
	foreground := metav1.DeletePropagationForeground
	for _, obj := range objects {
		resource, err := a.resource(obj)
		if err != nil {
			return err
		}
		err = resource.Delete(ctx, obj.GetName(), metav1.DeleteOptions{PropagationPolicy: &foreground})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete %s %s: %w", obj.GetKind(), obj.GetName(), err)
		}
	}
	for _, obj := range objects {
		resource, err := a.resource(obj)
		if err != nil {
			return err
		}
		err = poll(ctx, func(ctx context.Context) error {
			_, err := resource.Get(ctx, obj.GetName(), metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return nil
			}
			if err != nil {
				return err
			}
			return errStillThere
		}, func(err error) bool { return errors.Is(err, errStillThere) })
		if err != nil {
			return fmt.Errorf("wait until %s %s is gone: %w", obj.GetKind(), obj.GetName(), err)
		}
	}
	return nil
}

var errStillThere = errors.New("it still exists")

func (a *Applier) resource(obj *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	gvk := obj.GroupVersionKind()
	mapping, err := a.mapper.RESTMapping(schema.GroupKind{Group: gvk.Group, Kind: gvk.Kind}, gvk.Version)
	if err != nil {
		return nil, fmt.Errorf("kind of %s %s: %w", obj.GetKind(), obj.GetName(), err)
	}
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		return a.client.Resource(mapping.Resource), nil
	}
	namespace := obj.GetNamespace()
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	return a.client.Resource(mapping.Resource).Namespace(namespace), nil
}

// pollEvery is how often conditions of the cluster are looked at.
const pollEvery = 100 * time.Millisecond

// poll calls f until it returns nil, or an error that is not worth a retry, or
// ctx is done; then the error tells both why ctx ended and what f said last.
func poll(ctx context.Context, f func(context.Context) error, retry func(error) bool) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil && !retry(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (last: %w)", context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}

// always retries every error.
func always(error) bool { return true }
