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

package nodetaints

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/kube-mesos/kube-mesos/plugins/internal/maintenance"
	"github.com/kube-mesos/kube-mesos/plugins/internal/workloop"
)

// Controller keeps the taints of nodes in step with what is known of their machines. It
// does nothing before the first Set: only the replica that leads is told.
type Controller struct {
	client kubernetes.Interface
	nodes  corelisters.NodeLister
	logger klog.Logger

	loop workloop.Loop[string]

	mu    sync.Mutex
	begun bool
	// complete tells that nodes without a mark are to have none.
	complete bool
	marks    map[string]maintenance.Mark
}

// New returns a controller that reads nodes from a synced lister.
func New(client kubernetes.Interface, nodes corelisters.NodeLister, logger klog.Logger) *Controller {
	return &Controller{client: client, nodes: nodes, logger: logger, marks: map[string]maintenance.Mark{}}
}

// Set takes in what nodes are to show, by node. If that is not complete, nodes that are
// not named keep what they show from before. The map must not be changed afterwards.
func (c *Controller) Set(marks map[string]maintenance.Mark, complete bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.begun || c.complete != complete {
		c.begun, c.complete, c.marks = true, complete, marks
		c.enqueueAll()
		return
	}
	was := c.marks
	c.marks = marks
	for node, m := range marks {
		if before, ok := was[node]; !ok || before.Text() != m.Text() {
			c.loop.Add(node)
		}
	}
	for node := range maps.Keys(was) {
		if _, still := marks[node]; !still {
			c.loop.Add(node)
		}
	}
}

// enqueueAll makes Run look at all nodes.
func (c *Controller) enqueueAll() {
	list, err := c.nodes.List(labels.Everything())
	if err != nil {
		c.logger.Error(err, "Cannot list nodes to mark those that go down for maintenance")
		return
	}
	for _, node := range list {
		c.loop.Add(node.Name)
	}
}

// NodeHandler returns the informer handler for nodes.
func (c *Controller) NodeHandler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { c.loop.Add(obj.(*v1.Node).Name) },
		UpdateFunc: func(was, is any) {
			// Nodes report their state all the time.
			old, node := was.(*v1.Node), is.(*v1.Node)
			if old.Annotations[maintenance.Annotation] != node.Annotations[maintenance.Annotation] || !sameTaints(old.Spec.Taints, node.Spec.Taints) {
				c.loop.Add(node.Name)
			}
		},
	}
}

func sameTaints(a, b []v1.Taint) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !a[i].MatchTaint(&b[i]) || a[i].Value != b[i].Value {
			return false
		}
	}
	return true
}

// Run works until the context ends.
func (c *Controller) Run(ctx context.Context) {
	c.loop.Run(ctx, c.enqueueAll, c.sync, func(node string, err error) {
		c.logger.Error(err, "Cannot show on a node that its machine goes down for maintenance, or does not any more; will try again", "node", node)
	})
}

// sync brings one node up to date, or says when to look again.
func (c *Controller) sync(ctx context.Context, name string) (again time.Duration, err error) {
	node, err := c.nodes.Get(name)
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	mark, known := c.markOf(name)
	if !known {
		return 0, nil
	}
	change, needed := plan(node, mark)
	if !needed {
		return 0, nil
	}
	patch, err := change.patch(node.ResourceVersion)
	if err != nil {
		return 0, err
	}
	_, err = c.client.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
	switch {
	case apierrors.IsNotFound(err):
		return 0, nil
	case apierrors.IsConflict(err):
		// The informer lags behind: what it tells next may do.
		return time.Second, nil
	case err != nil:
		return 0, fmt.Errorf("patching node %s: %w", name, err)
	}
	if mark != nil {
		c.logger.Info("The machine of a node goes down for maintenance", "node", name, "mark", mark.Text())
	} else {
		c.logger.Info("The machine of a node stays in service", "node", name)
	}
	return 0, nil
}

// fieldManager is whom the API server notes as the writer.
const fieldManager = "kube-mesos-scheduler"

// markOf returns what a node is to show, nil for nothing. known is false if what it
// shows is to stay.
func (c *Controller) markOf(node string) (mark *maintenance.Mark, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m, ok := c.marks[node]; ok {
		return &m, true
	}
	return nil, c.begun && c.complete
}
