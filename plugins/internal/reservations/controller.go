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
	"fmt"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	appsinformers "k8s.io/client-go/informers/apps/v1"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"

	"github.com/kube-mesos/kube-mesos/plugins/internal/workloop"
)

// SweepEvery is how often all owners are judged anew, whatever is told of them.
const SweepEvery = 30 * time.Second

// Config is what a Controller works with.
type Config struct {
	Registry *Registry
	Client   kubernetes.Interface
	Recorder events.EventRecorder
	// The informers are started by the caller.
	StatefulSets appsinformers.StatefulSetInformer
	Claims       coreinformers.PersistentVolumeClaimInformer
	Nodes        coreinformers.NodeInformer
	// Pod returns the pod of a name as the caller's informer knows it, nil if there
	// is none.
	Pod func(namespace, name string) *v1.Pod
	// AgentOf returns the agent of a node, "" if it has none now.
	AgentOf func(node string) string
	// Grace is how long an owner must seem to need nothing before the API server is
	// asked: who deletes a pod with its volume claims gets both again at once.
	Grace time.Duration
}

// Controller judges the owners of all reservations that the Registry knows, and
// does what annotations of nodes ask for. Only the replica that leads runs it.
type Controller struct {
	Config
	logger klog.Logger
	synced []cache.InformerSynced
	loop   workloop.Loop[item]

	// The rest is the worker's own. deadSince is since when owners seem to need
	// nothing; begun and told are the annotations of nodes that were begun with, or
	// told to be invalid.
	deadSince   map[string]time.Time
	begun, told map[string]string
}

// item is an owner to judge or, if that is zero, a node to look at.
type item struct {
	owner Owner
	node  string
}

// New returns a controller that follows the informers. It does nothing before Run.
func New(config Config, logger klog.Logger) (*Controller, error) {
	c := &Controller{
		Config: config, logger: logger,
		deadSince: map[string]time.Time{}, begun: map[string]string{}, told: map[string]string{},
	}
	for _, watch := range []struct {
		kind     string
		informer cache.SharedIndexInformer
		handler  cache.ResourceEventHandler
	}{
		{"StatefulSets", config.StatefulSets.Informer(), c.setHandler()},
		{"PersistentVolumeClaims", config.Claims.Informer(), c.claimHandler()},
		{"Nodes", config.Nodes.Informer(), c.nodeHandler()},
	} {
		registration, err := watch.informer.AddEventHandler(watch.handler)
		if err != nil {
			return nil, fmt.Errorf("cannot watch %s: %w", watch.kind, err)
		}
		c.synced = append(c.synced, registration.HasSynced)
	}
	return c, nil
}

func (c *Controller) enqueueOwners(fits func(Owner) bool) {
	for _, owner := range c.Registry.Owners(fits) {
		c.loop.Add(item{owner: owner})
	}
}

// last returns the object of a deletion.
func last[T any](obj any) (object T, ok bool) {
	if t, stale := obj.(cache.DeletedFinalStateUnknown); stale {
		obj = t.Obj
	}
	object, ok = obj.(T)
	return object, ok
}

func (c *Controller) setHandler() cache.ResourceEventHandler {
	changed := func(set *appsv1.StatefulSet) {
		c.enqueueOwners(func(o Owner) bool { return o.StatefulSet == set.Name && o.Namespace == set.Namespace })
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { changed(obj.(*appsv1.StatefulSet)) },
		UpdateFunc: func(was, is any) {
			// Its status changes all the time.
			if old, set := was.(*appsv1.StatefulSet), is.(*appsv1.StatefulSet); old.UID != set.UID || old.Generation != set.Generation {
				changed(set)
			}
		},
		DeleteFunc: func(obj any) {
			if set, ok := last[*appsv1.StatefulSet](obj); ok {
				changed(set)
			}
		},
	}
}

func (c *Controller) claimHandler() cache.ResourceEventHandler {
	changed := func(claim *v1.PersistentVolumeClaim) {
		c.enqueueOwners(func(o Owner) bool { return o.Namespace == claim.Namespace && strings.HasSuffix(claim.Name, "-"+o.Pod) })
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { changed(obj.(*v1.PersistentVolumeClaim)) },
		DeleteFunc: func(obj any) {
			if claim, ok := last[*v1.PersistentVolumeClaim](obj); ok {
				changed(claim)
			}
		},
	}
}

// PodHandler returns the informer handler for the pods of our scheduler. A pod that
// comes saves its reservation before the scheduler looks for it.
func (c *Controller) PodHandler() cache.ResourceEventHandler {
	changed := func(pod *v1.Pod, comes bool) {
		if !Asked(pod) {
			return
		}
		if owner, err := OwnerOf(pod); err == nil {
			if comes && holds(owner, pod) {
				c.Registry.Spare(owner.Key())
			}
			c.loop.Add(item{owner: owner})
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { changed(obj.(*v1.Pod), true) },
		DeleteFunc: func(obj any) {
			if pod, ok := last[*v1.Pod](obj); ok {
				changed(pod, false)
			}
		},
	}
}

// Run works until the context ends. It judges nobody before the informers are
// synced.
func (c *Controller) Run(ctx context.Context) {
	if !cache.WaitForCacheSync(ctx.Done(), c.synced...) {
		return
	}
	var sweeps sync.WaitGroup
	defer sweeps.Wait()
	c.loop.Run(ctx, func() { sweeps.Go(func() { c.sweep(ctx) }) }, c.sync, func(i item, err error) {
		c.logger.Error(err, "Cannot decide on reservations; will try again", "owner", i.owner.Key(), "node", i.node)
	})
}

// sweep looks at everything from time to time: what Mesos tells of is no event of
// Kubernetes.
func (c *Controller) sweep(ctx context.Context) {
	ticker := time.NewTicker(SweepEvery)
	defer ticker.Stop()
	for {
		for _, owner := range c.Registry.Owners(nil) {
			// What failed comes again on its own, ever later.
			if i := (item{owner: owner}); !c.loop.Failing(i) {
				c.loop.Add(i)
			}
		}
		if nodes, err := c.Nodes.Lister().List(labels.Everything()); err == nil {
			for _, node := range nodes {
				if i := (item{node: node.Name}); node.Annotations[ReleaseAnnotation] != "" && !c.loop.Failing(i) {
					c.loop.Add(i)
				}
			}
		}
		c.report()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// sync does one piece of work, or says when to look again.
func (c *Controller) sync(ctx context.Context, i item) (again time.Duration, err error) {
	if i.node != "" {
		return c.syncNode(ctx, i.node)
	}
	return c.syncOwner(ctx, i.owner)
}

// syncOwner judges one owner.
func (c *Controller) syncOwner(ctx context.Context, owner Owner) (again time.Duration, err error) {
	key, now := owner.Key(), time.Now()
	reason, err := c.judgeCached(owner)
	if err != nil {
		return 0, err
	}
	known := len(c.Registry.Owners(func(o Owner) bool { return o == owner })) > 0
	if reason == "" || !known {
		delete(c.deadSince, key)
		c.Registry.Spare(key)
		return 0, nil
	}
	if c.Registry.Condemned(key) {
		return 0, nil
	}
	since, seen := c.deadSince[key]
	if !seen {
		since = now
		c.deadSince[key] = now
	}
	if wait := since.Add(c.Grace).Sub(now); wait > 0 {
		return wait, nil
	}
	if reason, err = c.judgeLive(ctx, owner); err != nil {
		return 0, err
	}
	if reason == "" {
		// The informers lag behind; the next sweep sees what they say then.
		delete(c.deadSince, key)
		return 0, nil
	}
	// A pod that came between the question and the verdict put its owner into the
	// queue once more.
	c.Registry.Condemn(key, reason, time.Now())
	c.logger.Info("A pod needs its reserved resources no more; they will be given back", "pod", klog.KRef(owner.Namespace, owner.Pod),
		"statefulSet", owner.StatefulSet, "uid", owner.StatefulSetUID, "reason", reason)
	return 0, nil
}

// judgeCached judges by what the informers know.
func (c *Controller) judgeCached(owner Owner) (Reason, error) {
	set, err := c.StatefulSets.Lister().StatefulSets(owner.Namespace).Get(owner.StatefulSet)
	if err != nil && !apierrors.IsNotFound(err) {
		return "", err
	}
	return judge(owner, set, c.Pod(owner.Namespace, owner.Pod), func(name string) (bool, error) {
		_, err := c.Claims.Lister().PersistentVolumeClaims(owner.Namespace).Get(name)
		return exists(err)
	})
}

// judgeLive judges by what the API server answers now.
func (c *Controller) judgeLive(ctx context.Context, owner Owner) (Reason, error) {
	pod, err := c.Client.CoreV1().Pods(owner.Namespace).Get(ctx, owner.Pod, metav1.GetOptions{})
	if there, err := exists(err); err != nil {
		return "", fmt.Errorf("looking up pod %s/%s: %w", owner.Namespace, owner.Pod, err)
	} else if !there {
		pod = nil
	}
	set, err := c.Client.AppsV1().StatefulSets(owner.Namespace).Get(ctx, owner.StatefulSet, metav1.GetOptions{})
	if there, err := exists(err); err != nil {
		return "", fmt.Errorf("looking up StatefulSet %s/%s: %w", owner.Namespace, owner.StatefulSet, err)
	} else if !there {
		set = nil
	}
	return judge(owner, set, pod, func(name string) (bool, error) {
		_, err := c.Client.CoreV1().PersistentVolumeClaims(owner.Namespace).Get(ctx, name, metav1.GetOptions{})
		there, err := exists(err)
		if err != nil {
			return false, fmt.Errorf("looking up PersistentVolumeClaim %s/%s: %w", owner.Namespace, name, err)
		}
		return there, nil
	})
}

// exists tells "not found" from other errors.
func exists(err error) (bool, error) {
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}
