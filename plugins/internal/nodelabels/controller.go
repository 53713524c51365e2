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

package nodelabels

import (
	"context"
	"fmt"
	"maps"
	"strings"
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

	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
	"github.com/kube-mesos/kube-mesos/plugins/internal/workloop"
)

// ForgetAfter is how long a node keeps its labels when its agent is not there any
// more: as long as Mesos waits by default for agents to come back after a master's
// end (--agent_reregister_timeout).
const ForgetAfter = 10 * time.Minute

// Options says which facts are shown.
type Options struct {
	// Attributes shows agent attributes, FaultDomain region and zone.
	Attributes, FaultDomain bool
}

// Controller keeps the labels of nodes in step with what is known of their agents.
// It does nothing before the first Set: only the replica that leads is told.
type Controller struct {
	options Options
	client  kubernetes.Interface
	nodes   corelisters.NodeLister
	logger  klog.Logger

	loop workloop.Loop[string]

	mu sync.Mutex
	// begun is when Set was first called, zero before.
	begun time.Time
	// agents are what is known of the agent of each node.
	agents map[string]agent
	// told holds the unusable attributes of each node that were told of.
	told map[string]string
}

// agent is what is known of a node's agent, and since when it has been gone; zero
// while it is there.
type agent struct {
	facts Facts
	gone  time.Time
}

// New returns a controller that reads nodes from a synced lister.
func New(options Options, client kubernetes.Interface, nodes corelisters.NodeLister, logger klog.Logger) *Controller {
	return &Controller{
		options: options, client: client, nodes: nodes, logger: logger,
		agents: map[string]agent{}, told: map[string]string{},
	}
}

// Set takes in the facts of all nodes that have an agent now, by node.
func (c *Controller) Set(facts map[string]Facts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.begun.IsZero() {
		c.begun = now
		c.enqueueAll()
	}
	for node, f := range facts {
		if old, ok := c.agents[node]; !ok || !old.gone.IsZero() || !old.facts.same(f) {
			c.agents[node] = agent{facts: f}
			c.loop.Add(node)
		}
	}
	for node, a := range c.agents {
		if _, there := facts[node]; there {
			continue
		}
		switch {
		case a.gone.IsZero():
			a.gone = now
			c.agents[node] = a
			c.loop.Add(node)
		case now.Sub(a.gone) > 2*ForgetAfter:
			// Its labels are gone, or the node is.
			delete(c.agents, node)
			delete(c.told, node)
		}
	}
}

func (f Facts) same(other Facts) bool {
	return f.Region == other.Region && f.Zone == other.Zone && maps.Equal(f.Attributes, other.Attributes)
}

// enqueueAll makes Run look at all nodes.
func (c *Controller) enqueueAll() {
	list, err := c.nodes.List(labels.Everything())
	if err != nil {
		c.logger.Error(err, "Cannot list nodes to label them")
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
			if !maps.Equal(old.Labels, node.Labels) || old.Annotations[TopologyAnnotation] != node.Annotations[TopologyAnnotation] {
				c.loop.Add(node.Name)
			}
		},
	}
}

// Run works until the context ends.
func (c *Controller) Run(ctx context.Context) {
	c.loop.Run(ctx, c.enqueueAll, c.sync, func(node string, err error) {
		c.logger.Error(err, "Cannot label a node with its Mesos agent's attributes; will try again", "node", node)
	})
}

// sync brings one node's labels up to date, or says when to look again.
func (c *Controller) sync(ctx context.Context, name string) (again time.Duration, err error) {
	node, err := c.nodes.Get(name)
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	facts, wait, known := c.factsOf(name, time.Now())
	if !known {
		return 0, nil
	}
	attributes, topology, unusable := facts.labels()
	change := plan(node, attributes, topology)
	if change.empty() {
		return 0, nil
	}
	if wait > 0 {
		return wait, nil
	}
	c.tell(name, unusable)
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
		metrics.NodeLabelUpdates.WithLabelValues("failed").Inc()
		return 0, fmt.Errorf("patching node %s: %w", name, err)
	}
	metrics.NodeLabelUpdates.WithLabelValues("done").Inc()
	c.logger.V(2).Info("Labelled a node with what its Mesos agent is", "node", name, "labels", change.labels)
	return 0, nil
}

// fieldManager is whom the API server notes as the writer.
const fieldManager = "kube-mesos-scheduler"

// factsOf returns what a node is to show. wait is how long what it shows may stay
// nevertheless, because its agent may come back. known is false if nothing is known
// of agents at all.
func (c *Controller) factsOf(node string, now time.Time) (facts Facts, wait time.Duration, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun.IsZero() {
		return Facts{}, 0, false
	}
	since := c.begun
	if a, ok := c.agents[node]; ok {
		if a.gone.IsZero() {
			return c.shown(a.facts), 0, true
		}
		since = a.gone
	}
	return Facts{}, max(since.Add(ForgetAfter).Sub(now), 0), true
}

// shown leaves away what the options do not show.
func (c *Controller) shown(f Facts) Facts {
	if !c.options.Attributes {
		f.Attributes = nil
	}
	if !c.options.FaultDomain {
		f.Region, f.Zone = "", ""
	}
	return f
}

// tell says once of attributes that no label can show.
func (c *Controller) tell(node string, unusable []string) {
	text := strings.Join(unusable, ", ")
	c.mu.Lock()
	before := c.told[node]
	c.told[node] = text
	c.mu.Unlock()
	if text != "" && text != before {
		c.logger.Info("Some attributes of the node's Mesos agent cannot be labels: names and values must be at most 63 letters, digits, '-', '_' and '.'", "node", node, "attributes", text)
	}
}
