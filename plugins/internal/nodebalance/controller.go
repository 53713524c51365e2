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

package nodebalance

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Condition is the type of the node condition. Its status is True while the agent
// gives away more than the node has left. A node that never did has no condition.
const Condition v1.NodeConditionType = "MesosAgentOvercommitted"

// Reasons of the condition.
const (
	ReasonOver = "AgentAdvertisesTooMuch"
	ReasonFine = "AgentFitsNode"
)

// settleFor is how long a node's sums are left to settle before they are told: pods
// come and go in crowds.
const settleFor = 5 * time.Second

// Controller keeps the condition of each node. It does nothing before the first
// SetAgents: only the replica that leads is told.
type Controller struct {
	client kubernetes.Interface
	nodes  corelisters.NodeLister
	mine   func(*v1.Pod) bool
	logger klog.Logger

	mu    sync.Mutex
	books *Books
	begun bool
	// queue is nil unless Run runs.
	queue workqueue.TypedRateLimitingInterface[string]
}

// New returns a controller that reads nodes from a synced lister. mine tells which
// pods are ours: those are the agent's business already.
func New(client kubernetes.Interface, nodes corelisters.NodeLister, mine func(*v1.Pod) bool, logger klog.Logger) *Controller {
	return &Controller{client: client, nodes: nodes, mine: mine, logger: logger, books: NewBooks()}
}

// SetAgents notes what the agents of all nodes that have one advertise.
func (c *Controller) SetAgents(agents map[string]resources.Vector) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = true
	for _, node := range c.books.SetAgents(agents) {
		c.enqueue(node)
	}
}

// enqueue makes Run look at a node soon. The mutex is held.
func (c *Controller) enqueue(node string) {
	if c.queue != nil && node != "" {
		c.queue.AddAfter(node, settleFor)
	}
}

// NodeHandler returns the informer handler for nodes.
func (c *Controller) NodeHandler() cache.ResourceEventHandler {
	set := func(obj any) {
		node := obj.(*v1.Node)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.books.SetNode(node.Name, resources.NodeAllocatable(node.Status.Allocatable)) {
			c.enqueue(node.Name)
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    set,
		UpdateFunc: func(_, obj any) { set(obj) },
		DeleteFunc: func(obj any) {
			name, err := cache.DeletionHandlingMetaNamespaceKeyFunc(obj) // nodes have no namespace
			if err != nil {
				return
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			c.books.DeleteNode(name)
			metrics.NodeOvercommitted.DeletePartialMatch(prometheus.Labels{"node": name})
		},
	}
}

// PodHandler returns the informer handler for pods.
func (c *Controller) PodHandler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { c.podChanged(obj) },
		UpdateFunc: func(_, obj any) { c.podChanged(obj) },
		DeleteFunc: func(obj any) {
			if t, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = t.Obj
			}
			if pod, ok := obj.(*v1.Pod); ok {
				c.podGone(pod)
			}
		},
	}
}

func (c *Controller) podChanged(obj any) {
	pod, ok := obj.(*v1.Pod)
	switch {
	case !ok || pod.Spec.NodeName == "" || c.mine(pod):
		return
	case pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed:
		c.podGone(pod)
		return
	}
	requests := resources.Requests(pod)
	c.mu.Lock()
	defer c.mu.Unlock()
	changed, left := c.books.SetPod(string(pod.UID), pod.Spec.NodeName, requests)
	c.enqueue(changed)
	c.enqueue(left)
}

func (c *Controller) podGone(pod *v1.Pod) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.enqueue(c.books.DeletePod(string(pod.UID)))
}

// Run works until the context ends.
func (c *Controller) Run(ctx context.Context) {
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[string](time.Second, 5*time.Minute))
	defer queue.ShutDown()
	defer context.AfterFunc(ctx, queue.ShutDown)()
	c.mu.Lock()
	c.queue = queue
	for node := range c.books.agents {
		c.enqueue(node)
	}
	c.mu.Unlock()
	for {
		name, shutdown := queue.Get()
		if shutdown {
			return
		}
		if err := c.sync(ctx, name); err != nil && ctx.Err() == nil {
			c.logger.Error(err, "Cannot tell on a node whether its Mesos agent gives away too much; will try again", "node", name)
			queue.AddRateLimited(name)
		} else {
			queue.Forget(name)
		}
		queue.Done(name)
	}
}

// sync brings the condition and the metric of one node up to date.
func (c *Controller) sync(ctx context.Context, name string) error {
	c.mu.Lock()
	begun, balance := c.begun, c.books.Of(name)
	c.mu.Unlock()
	if !begun {
		return nil
	}
	node, err := c.nodes.Get(name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	count(name, balance)
	want, changed := conditionFor(node, balance, metav1.Now())
	if !changed {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": []v1.NodeCondition{want}}})
	if err != nil {
		return err
	}
	_, err = c.client.CoreV1().Nodes().Patch(ctx, name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("patching the status of node %s: %w", name, err)
	}
	c.logger.Info("Told on a node whether its Mesos agent gives away too much", "node", name, "condition", Condition, "status", want.Status, "message", want.Message)
	return nil
}

// count shows both numbers of an overcommitted node as metrics, and nothing of
// others.
func count(node string, b Balance) {
	metrics.NodeOvercommitted.DeletePartialMatch(prometheus.Labels{"node": node})
	for k, over := range b.Over() {
		if over > 0 {
			name := resources.Kind(k).MesosName()
			metrics.NodeOvercommitted.WithLabelValues(node, name, "advertised").Set(resources.ToMesosScalar(b.Advertised[k]))
			metrics.NodeOvercommitted.WithLabelValues(node, name, "free").Set(resources.ToMesosScalar(b.Free[k]))
		}
	}
}

// conditionFor returns the condition the node should have, and false if it has it
// or needs none.
func conditionFor(node *v1.Node, b Balance, now metav1.Time) (want v1.NodeCondition, changed bool) {
	// An empty message would leave the old one in place: the patch has no member for it.
	want = v1.NodeCondition{
		Type: Condition, Status: v1.ConditionFalse, Reason: ReasonFine, LastHeartbeatTime: now, LastTransitionTime: now,
		Message: "the Mesos agent advertises no more than pods of other schedulers leave",
	}
	if !b.Over().IsZero() {
		want.Status, want.Reason, want.Message = v1.ConditionTrue, ReasonOver, b.message()
	}
	for i := range node.Status.Conditions {
		if has := &node.Status.Conditions[i]; has.Type == Condition {
			if has.Status == want.Status {
				want.LastTransitionTime = has.LastTransitionTime
			}
			return want, has.Status != want.Status || has.Reason != want.Reason || has.Message != want.Message
		}
	}
	return want, want.Status == v1.ConditionTrue
}
