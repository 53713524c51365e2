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
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// AddNamespace makes one more namespace and returns the cluster with its eye on
// that: pods are made and looked for there. Its name is unique and begins with the
// given one. When the test ends it is removed.
func (c *Cluster) AddNamespace(prefix string, change ...func(*v1.Namespace)) *Cluster {
	c.T.Helper()
	ns := &v1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: prefix + "-"}}
	for _, f := range change {
		f(ns)
	}
	created, err := c.Client.CoreV1().Namespaces().Create(c.T.Context(), ns, metav1.CreateOptions{})
	c.Must(err)
	top := c.top()
	other := *top
	other.Namespace, other.whole = created.Name, top
	top.others = append(top.others, &other)
	return &other
}

// top is the cluster that New returned.
func (c *Cluster) top() *Cluster {
	if c.whole != nil {
		return c.whole
	}
	return c
}

// spaces are the cluster's namespaces.
func (c *Cluster) spaces() []*Cluster { return append([]*Cluster{c.top()}, c.top().others...) }

// allPods reads the pods of all namespaces of the test.
func (c *Cluster) allPods() []v1.Pod {
	c.T.Helper()
	var pods []v1.Pod
	for _, space := range c.spaces() {
		pods = append(pods, space.Pods()...)
	}
	return pods
}

// WithRoles gives a namespace its Mesos roles, in order of preference.
func WithRoles(roles ...string) func(*v1.Namespace) {
	return func(ns *v1.Namespace) {
		ns.Annotations = map[string]string{"kube-mesos.io/roles": strings.Join(roles, ",")}
	}
}

// AnnotateNamespace sets an annotation of the namespace; an empty value removes it.
func (c *Cluster) AnnotateNamespace(key, value string) {
	c.T.Helper()
	_, err := c.Client.CoreV1().Namespaces().Patch(c.T.Context(), c.Namespace, types.MergePatchType, annotations(key, value), metav1.PatchOptions{})
	c.Must(err)
}

// AnnotatePod sets an annotation of a pod; an empty value removes it.
func (c *Cluster) AnnotatePod(name, key, value string) {
	c.T.Helper()
	_, err := c.Client.CoreV1().Pods(c.Namespace).Patch(c.T.Context(), name, types.MergePatchType, annotations(key, value), metav1.PatchOptions{})
	c.Must(err)
}

func annotations(key, value string) []byte {
	var set any
	if value != "" {
		set = value
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{key: set}}})
	if err != nil {
		panic(err) // texts can be written
	}
	return patch
}

// NamespaceAnnotation reads an annotation of the namespace.
func (c *Cluster) NamespaceAnnotation(key string) string {
	c.T.Helper()
	ns, err := c.Client.CoreV1().Namespaces().Get(c.T.Context(), c.Namespace, metav1.GetOptions{})
	c.Must(err)
	return ns.Annotations[key]
}

// WaitNamespaceEvent waits for an event about the namespace whose text contains each
// of the words. Namespaces are no namespace's: their events are in "default".
func (c *Cluster) WaitNamespaceEvent(reason string, words ...string) {
	c.T.Helper()
	c.Eventually("event "+reason, func() string {
		list, err := c.Client.EventsV1().Events(metav1.NamespaceAll).List(c.T.Context(), metav1.ListOptions{})
		c.Must(err)
		var notes []string
		for i := range list.Items {
			e := &list.Items[i]
			if e.Regarding.Kind != "Namespace" || e.Regarding.Name != c.Namespace || e.Reason != reason {
				continue
			}
			if containsAll(e.Note, words) {
				return ""
			}
			notes = append(notes, e.Note)
		}
		return fmt.Sprintf("no event about namespace %s with %q, only %q", c.Namespace, words, notes)
	})
}

// Roles are the roles of our framework at the master.
func (c *Cluster) Roles() []string {
	for _, f := range c.Mesos.Frameworks() {
		if f.Name == FrameworkName && f.Connected {
			return f.Roles
		}
	}
	return nil
}

// WaitRoles waits until our framework has exactly these roles.
func (c *Cluster) WaitRoles(roles ...string) {
	c.T.Helper()
	slices.Sort(roles)
	c.Eventually("roles of the framework", func() string {
		if is := c.Roles(); !slices.Equal(is, roles) {
			return fmt.Sprintf("they are %q, want %q", is, roles)
		}
		return ""
	})
}

// remove deletes the namespace. No controller takes the finalizer away.
func (c *Cluster) remove(ctx context.Context) {
	api := c.Client.CoreV1().Namespaces()
	_ = api.Delete(ctx, c.Namespace, metav1.DeleteOptions{})
	if ns, err := api.Get(ctx, c.Namespace, metav1.GetOptions{}); err == nil {
		ns.Spec.Finalizers = nil
		_, _ = api.Finalize(ctx, ns, metav1.UpdateOptions{})
	}
}
