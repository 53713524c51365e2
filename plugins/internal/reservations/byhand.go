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

package reservations

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// ReleaseAnnotation on a Node gives back what is reserved on its agent; see the
// package's documentation.
const ReleaseAnnotation = "kube-mesos.io/release-reservations"

// fieldManager is whom the API server notes as the writer.
const fieldManager = "kube-mesos-scheduler"

func (c *Controller) nodeHandler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) {
			if node := obj.(*v1.Node); node.Annotations[ReleaseAnnotation] != "" {
				c.loop.Add(item{node: node.Name})
			}
		},
		UpdateFunc: func(was, is any) {
			old, node := was.(*v1.Node), is.(*v1.Node)
			if old.Annotations[ReleaseAnnotation] != node.Annotations[ReleaseAnnotation] {
				c.loop.Add(item{node: node.Name})
			}
		},
		DeleteFunc: func(obj any) {
			if node, ok := last[*v1.Node](obj); ok {
				c.loop.Add(item{node: node.Name})
			}
		},
	}
}

// lookAgain is when an annotated node is looked at again that waits for what the
// master will tell.
const lookAgain = 5 * time.Second

// syncNode does what a node's annotation asks for. What it means is decided once,
// when it is first seen: what is reserved later stays.
func (c *Controller) syncNode(ctx context.Context, name string) (again time.Duration, err error) {
	node, err := c.Nodes.Lister().Get(name)
	if err != nil && !apierrors.IsNotFound(err) {
		return 0, err
	}
	value, agent := "", c.AgentOf(name)
	if err == nil {
		value = node.Annotations[ReleaseAnnotation]
	}
	if value == "" {
		if c.begun[name] != "" && agent != "" {
			c.Registry.CancelOn(agent, time.Now())
		}
		delete(c.begun, name)
		delete(c.told, name)
		return 0, nil
	}
	if agent == "" || !c.Registry.HasAgent(agent) {
		delete(c.begun, name)
		return lookAgain, nil
	}
	if c.begun[name] != value {
		n, err := c.Registry.ReleaseOn(agent, value, time.Now())
		if err != nil {
			c.tellInvalid(node, value, err)
			return 0, nil
		}
		c.begun[name] = value
		c.logger.Info("Giving back reservations by hand", "node", name, "agent", agent, "annotation", value, "reservations", n)
	}
	if !c.Registry.ReleasedByHand(agent) {
		return lookAgain, nil
	}
	return c.finish(ctx, node, value)
}

// finish removes the annotation.
func (c *Controller) finish(ctx context.Context, node *v1.Node, value string) (again time.Duration, err error) {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		// Nobody's newer wish is removed.
		"resourceVersion": node.ResourceVersion,
		"annotations":     map[string]any{ReleaseAnnotation: nil},
	}})
	if err != nil {
		return 0, err
	}
	_, err = c.Client.CoreV1().Nodes().Patch(ctx, node.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
	switch {
	case apierrors.IsConflict(err):
		// The informer lags behind: what it tells next may do.
		return time.Second, nil
	case err != nil && !apierrors.IsNotFound(err):
		return 0, fmt.Errorf("removing annotation %s from node %s: %w", ReleaseAnnotation, node.Name, err)
	}
	delete(c.begun, node.Name)
	c.Recorder.Eventf(nodeReference(node.Name), nil, v1.EventTypeNormal, EventReleased, actionRelease,
		"Nothing is left on the node's Mesos agent of the reservations that annotation %s=%s meant", ReleaseAnnotation, value)
	return 0, nil
}

// tellInvalid says once that an annotation cannot be understood.
func (c *Controller) tellInvalid(node *v1.Node, value string, err error) {
	if c.told[node.Name] == value {
		return
	}
	c.told[node.Name] = value
	c.logger.Error(err, "The annotation of a node cannot be understood", "node", node.Name, "annotation", ReleaseAnnotation)
	c.Recorder.Eventf(nodeReference(node.Name), nil, v1.EventTypeWarning, EventReleaseInvalid, actionRelease,
		"Annotation %s: %v", ReleaseAnnotation, err)
}
