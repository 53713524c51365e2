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
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
	"github.com/kube-mesos/kube-mesos/plugins/internal/workloop"
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

// gatherFor is how long changes of what is withheld are gathered before they are
// told: long enough that crowds of pods cost little, and shorter than a pod takes to
// be placed.
const gatherFor = 100 * time.Millisecond

// Config is what a Controller works with.
type Config struct {
	Client kubernetes.Interface
	// The informers are started by the caller. Pods is one of all pods.
	Nodes coreinformers.NodeInformer
	Pods  coreinformers.PodInformer
	// Mine tells which pods are ours: those are the agent's business already.
	Mine func(*v1.Pod) bool
	// Table says which resources of Kubernetes are which of Mesos.
	Table *resources.Table
	// Withhold, if not nil, is told how much of each agent's offers is to be left
	// unused, by node; nodes with nothing to withhold are not in the map. It gets
	// everything anew soon after each change, from one goroutine and under no lock,
	// but never before agents, nodes and pods are known. It may keep the map but not
	// change it, and should return soon.
	Withhold func(map[string]resources.Vector)
}

// Controller keeps the condition of each node. It does nothing before the first
// SetAgents: only the replica that leads is told.
type Controller struct {
	Config
	logger klog.Logger
	loop   workloop.Loop[string]
	synced []cache.InformerSynced
	// wake holds something if withheld changed since Withhold was last told.
	wake chan struct{}

	mu       sync.Mutex
	books    *Books
	begun    bool
	withheld map[string]resources.Vector
}

// New returns a controller that follows the informers. It tells nothing before Run.
func New(config Config, logger klog.Logger) (*Controller, error) {
	c := &Controller{
		Config: config, logger: logger, books: NewBooks(),
		wake: make(chan struct{}, 1), withheld: map[string]resources.Vector{},
	}
	nodes, err := config.Nodes.Informer().AddEventHandler(c.nodeHandler())
	if err != nil {
		return nil, fmt.Errorf("cannot watch nodes: %w", err)
	}
	pods, err := config.Pods.Informer().AddEventHandler(c.podHandler())
	if err != nil {
		return nil, fmt.Errorf("cannot watch pods: %w", err)
	}
	c.synced = []cache.InformerSynced{nodes.HasSynced, pods.HasSynced}
	return c, nil
}

// SetAgents notes what the agents of all nodes that have one advertise.
func (c *Controller) SetAgents(agents map[string]resources.Vector) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = true
	for _, node := range c.books.SetAgents(agents) {
		c.changed(node)
	}
}

// changed takes in that sums of a node changed; "" is none. The mutex is held.
func (c *Controller) changed(node string) {
	if node == "" {
		return
	}
	c.loop.AddAfter(node, settleFor)
	over := c.books.Of(node).Over()
	if over == c.withheld[node] {
		return
	}
	if over.IsZero() {
		delete(c.withheld, node)
	} else {
		c.withheld[node] = over
	}
	select {
	case c.wake <- struct{}{}:
	default: // it is awake
	}
}

func (c *Controller) nodeHandler() cache.ResourceEventHandler {
	set := func(obj any) {
		node := obj.(*v1.Node)
		capacity := CapacityOf(c.Table, node.Status.Allocatable)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.books.SetNode(node.Name, capacity) {
			c.changed(node.Name)
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
			c.changed(name)
			count(name, Balance{})
		},
	}
}

func (c *Controller) podHandler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { c.podChanged(obj.(*v1.Pod)) },
		UpdateFunc: func(was, is any) {
			old, pod := was.(*v1.Pod), is.(*v1.Pod)
			if old.UID != pod.UID {
				// Another pod of the same name, after a gap in what the informer saw: mirror
				// pods and those of StatefulSets come back under their name.
				c.podGone(old)
			}
			c.podChanged(pod)
		},
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

func (c *Controller) podChanged(pod *v1.Pod) {
	switch {
	case pod.Spec.NodeName == "" || c.Mine(pod):
		return
	case pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed:
		c.podGone(pod)
		return
	}
	requests := c.Table.Requests(pod).Vector
	c.mu.Lock()
	defer c.mu.Unlock()
	changed, left := c.books.SetPod(string(pod.UID), pod.Spec.NodeName, requests)
	c.changed(changed)
	c.changed(left)
}

func (c *Controller) podGone(pod *v1.Pod) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed(c.books.DeletePod(string(pod.UID)))
}

// Run works until the context ends. It tells nothing before the informers are
// synced: pods that are not known would seem to leave room.
func (c *Controller) Run(ctx context.Context) {
	if !cache.WaitForCacheSync(ctx.Done(), c.synced...) {
		return
	}
	var tells sync.WaitGroup
	defer tells.Wait()
	if c.Withhold != nil {
		tells.Go(func() { c.tellWithheld(ctx) })
	}
	c.loop.Run(ctx, c.begin, c.sync, func(node string, err error) {
		c.logger.Error(err, "Cannot tell on a node whether its Mesos agent gives away too much; will try again", "node", node)
	})
}

// begin makes Run look at all nodes with agents.
func (c *Controller) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for node := range c.books.agents {
		c.loop.AddAfter(node, settleFor)
	}
}

// tellWithheld tells Withhold what changed until the context ends.
func (c *Controller) tellWithheld(ctx context.Context) {
	var told map[string]resources.Vector
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(gatherFor):
		}
		c.mu.Lock()
		now := maps.Clone(c.withheld)
		c.mu.Unlock()
		if !maps.Equal(now, told) {
			c.Withhold(now)
			told = now
		}
	}
}

// sync brings the condition and the metric of one node up to date.
func (c *Controller) sync(ctx context.Context, name string) (again time.Duration, err error) {
	c.mu.Lock()
	begun, balance := c.begun, c.books.Of(name)
	if begun {
		count(name, balance)
	}
	c.mu.Unlock()
	if !begun {
		return 0, nil
	}
	node, err := c.Nodes.Lister().Get(name)
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	want, changed := conditionFor(node, balance, c.Withhold != nil, metav1.Now())
	if !changed {
		return 0, nil
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": []v1.NodeCondition{want}}})
	if err != nil {
		return 0, err
	}
	_, err = c.Client.CoreV1().Nodes().Patch(ctx, name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("patching the status of node %s: %w", name, err)
	}
	c.logger.Info("Told on a node whether its Mesos agent gives away too much", "node", name, "condition", Condition, "status", want.Status, "message", want.Message)
	return 0, nil
}

// count shows both numbers of an overcommitted node as metrics, and nothing of
// others. Its callers hold the mutex: otherwise a node that goes meanwhile would be
// shown for ever.
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
func conditionFor(node *v1.Node, b Balance, withheld bool, now metav1.Time) (want v1.NodeCondition, changed bool) {
	// An empty message would leave the old one in place: the patch has no member for it.
	want = v1.NodeCondition{
		Type: Condition, Status: v1.ConditionFalse, Reason: ReasonFine, LastHeartbeatTime: now, LastTransitionTime: now,
		Message: "the Mesos agent advertises no more than pods of other schedulers leave",
	}
	if !b.Over().IsZero() {
		want.Status, want.Reason, want.Message = v1.ConditionTrue, ReasonOver, b.message(withheld)
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
