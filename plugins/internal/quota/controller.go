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

package quota

import (
	"context"
	"maps"
	"strings"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
	"github.com/kube-mesos/kube-mesos/plugins/internal/workloop"
)

// settleFor is how long a namespace is left alone after an event of it: its roles
// follow the same event, and our own writes are events too.
const settleFor = 5 * time.Second

// Options says what a Controller does. What is switched off is taken back where it
// was done before, but quotas that were pushed to Mesos stay.
type Options struct {
	// Status keeps StatusAnnotation, ResourceQuota the ResourceQuotas named
	// ResourceQuotaName; Push makes quotas in Mesos follow ResourceQuotas labelled
	// PushLabel.
	Status, ResourceQuota, Push bool
	Names                       Names
}

// Roles knows the roles of namespaces.
type Roles interface {
	// Of returns the roles of a namespace in their order, none if it has none.
	Of(namespace string) []string
}

// Claims knows what the pods of namespaces hold.
type Claims interface {
	// OfNamespace returns what the claims of a namespace hold of Mesos, reserved and
	// revocable resources too.
	OfNamespace(namespace string) resources.Bundle
}

// Pusher sets quotas in Mesos.
type Pusher interface {
	// UpdateQuota replaces the quota of a top-level role by limits without guarantees;
	// no limits reset it. The error tells people why the master refused.
	UpdateQuota(ctx context.Context, role string, limits Limits, force bool) error
}

// Sources are what a Controller asks. Claims may be nil without
// Options.ResourceQuota, Pusher without Options.Push.
type Sources struct {
	Book   *Book
	Ours   *Usage
	Roles  Roles
	Claims Claims
	Pusher Pusher
}

// Controller shows quotas on namespaces and keeps those of Mesos and Kubernetes in
// step. It does nothing before the first Set: only the replica that leads is told.
type Controller struct {
	options    Options
	from       Sources
	client     kubernetes.Interface
	namespaces corelisters.NamespaceLister
	quotas     corelisters.ResourceQuotaLister
	recorder   events.EventRecorder
	logger     klog.Logger

	// spaces works on namespaces by name, pushes on top-level roles and planAll.
	spaces, pushes workloop.Loop[string]

	mu    sync.Mutex
	begun bool
	// told is what was told last of each subject.
	told map[string]string
	// tries is what was last tried to push, by role. Only the push worker uses it.
	tries map[string]try
}

// New returns a controller that reads from synced listers. quotas may be nil without
// Options.ResourceQuota and Options.Push: ResourceQuotas that an earlier
// configuration made stay then.
func New(options Options, from Sources, client kubernetes.Interface, namespaces corelisters.NamespaceLister,
	quotas corelisters.ResourceQuotaLister, recorder events.EventRecorder, logger klog.Logger) *Controller {
	return &Controller{
		options: options, from: from, client: client, namespaces: namespaces, quotas: quotas, recorder: recorder, logger: logger,
		told: map[string]string{}, tries: map[string]try{},
	}
}

// Set is Book.Set, and makes Run show the reading. The roles of all namespaces must
// be known before the first call.
func (c *Controller) Set(list []Role, ours map[string]resources.Bundle, at time.Time) (roomier []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	had := c.from.Book.Any()
	roomier = c.from.Book.Set(list, ours, at)
	if !c.begun || had || c.from.Book.Any() {
		c.begun = true
		c.enqueueAll()
	}
	c.plan(0)
	return roomier
}

// enqueueAll makes Run look at all namespaces.
func (c *Controller) enqueueAll() {
	list, err := c.namespaces.List(labels.Everything())
	if err != nil {
		c.logger.Error(err, "Cannot list namespaces to show quotas of Mesos on them")
		return
	}
	for _, ns := range list {
		c.spaces.Add(ns.Name)
	}
}

// plan makes Run look at what is to be pushed.
func (c *Controller) plan(after time.Duration) {
	if c.options.Push {
		c.pushes.AddAfter(planAll, after)
	}
}

func (c *Controller) changed(namespace string, pushes bool) {
	c.spaces.AddAfter(namespace, settleFor)
	if pushes {
		c.plan(settleFor)
	}
}

// NamespaceHandler returns the informer handler for namespaces.
func (c *Controller) NamespaceHandler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { c.changed(obj.(*v1.Namespace).Name, true) },
		UpdateFunc: func(was, is any) {
			old, ns := was.(*v1.Namespace), is.(*v1.Namespace)
			if !maps.Equal(old.Labels, ns.Labels) || !maps.Equal(old.Annotations, ns.Annotations) {
				c.changed(ns.Name, true)
			}
		},
		DeleteFunc: func(obj any) {
			if name, err := cache.DeletionHandlingMetaNamespaceKeyFunc(obj); err == nil { // namespaces have none
				c.changed(name, true)
			}
		},
	}
}

// ResourceQuotaHandler returns the informer handler for resource quotas.
func (c *Controller) ResourceQuotaHandler() cache.ResourceEventHandler {
	concern := func(q *v1.ResourceQuota) {
		pushes := q.Labels[PushLabel] == "true"
		if pushes || q.Name == ResourceQuotaName {
			c.changed(q.Namespace, pushes)
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { concern(obj.(*v1.ResourceQuota)) },
		UpdateFunc: func(was, is any) {
			old, q := was.(*v1.ResourceQuota), is.(*v1.ResourceQuota)
			// Their status changes with every pod.
			if maps.Equal(old.Labels, q.Labels) && apiequality.Semantic.DeepEqual(old.Spec, q.Spec) {
				return
			}
			concern(old)
			concern(q)
		},
		DeleteFunc: func(obj any) {
			if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			if q, ok := obj.(*v1.ResourceQuota); ok {
				c.mu.Lock()
				maps.DeleteFunc(c.told, func(subject, _ string) bool { return strings.HasSuffix(subject, "/"+q.Namespace+"/"+q.Name) })
				c.mu.Unlock()
				concern(q)
			}
		},
	}
}

// Run works until the context ends.
func (c *Controller) Run(ctx context.Context) {
	var workers sync.WaitGroup
	workers.Go(func() {
		c.spaces.Run(ctx, c.enqueueAll, c.onceBegun(c.syncNamespace), func(name string, err error) {
			c.logger.Error(err, "Cannot show the quota of Mesos on a namespace; will try again", "namespace", name)
		})
	})
	workers.Go(func() {
		c.pushes.Run(ctx, func() { c.plan(0) }, c.onceBegun(c.syncPush), func(role string, err error) {
			c.logger.Error(err, "Cannot push a quota to Mesos; will try again", "role", role)
		})
	})
	workers.Wait()
}

// onceBegun is work that does nothing before the first Set.
func (c *Controller) onceBegun(work func(context.Context, string) error) func(context.Context, string) (time.Duration, error) {
	return func(ctx context.Context, name string) (time.Duration, error) {
		c.mu.Lock()
		begun := c.begun
		c.mu.Unlock()
		if !begun {
			return 0, nil
		}
		return 0, work(ctx, name)
	}
}

// maxNote is how long the API server lets the note of an event be.
const maxNote = 1024

// tell makes an event on an object, once for each text in a row about a subject. An
// empty text is no event: it lets the next one be told again.
func (c *Controller) tell(subject string, object runtime.Object, kind, reason, text string) {
	c.mu.Lock()
	before := c.told[subject]
	if text == "" {
		delete(c.told, subject)
	} else {
		c.told[subject] = text
	}
	c.mu.Unlock()
	if text == "" || text == before {
		return
	}
	if len(text) > maxNote {
		text = strings.ToValidUTF8(text[:maxNote-3], "") + "..."
	}
	c.recorder.Eventf(object, nil, kind, reason, "FollowMesosQuota", "%s", text)
}
