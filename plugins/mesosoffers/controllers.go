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

package mesosoffers

import (
	"context"
	"fmt"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config"
	"github.com/kube-mesos/kube-mesos/plugins/internal/lifecycle"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/quota"
	"github.com/kube-mesos/kube-mesos/plugins/internal/reservations"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// controllers keep objects of the API in step with Mesos, beside the placing of pods.
type controllers struct {
	reservations *reservations.Controller
	quota        *quota.Controller
}

// newControllers returns controllers that follow the informers. They do nothing
// before they run.
func newControllers(args *config.MesosOffersArgs, handle framework.Handle, settings *lifecycle.Config,
	manager *lifecycle.Manager, session *mesos.Session, logger klog.Logger,
) (*controllers, error) {
	c := &controllers{}
	if err := c.addReservations(args, handle, settings, manager, logger); err != nil {
		return nil, err
	}
	return c, c.addQuota(args, handle, settings, manager, session, logger)
}

func (c *controllers) addReservations(args *config.MesosOffersArgs, handle framework.Handle, settings *lifecycle.Config,
	manager *lifecycle.Manager, logger klog.Logger,
) (err error) {
	core, pods := handle.SharedInformerFactory().Core().V1(), handle.SharedInformerFactory().Core().V1().Pods()
	c.reservations, err = reservations.New(reservations.Config{
		Registry: settings.Registry, Client: handle.ClientSet(), Recorder: handle.EventRecorder(),
		StatefulSets: handle.SharedInformerFactory().Apps().V1().StatefulSets(),
		Claims:       core.PersistentVolumeClaims(), Nodes: core.Nodes(),
		Pod: func(namespace, name string) *v1.Pod {
			pod, err := pods.Lister().Pods(namespace).Get(name)
			if err != nil {
				return nil
			}
			return pod
		},
		AgentOf: manager.AgentOf, Grace: args.Reservations.ReleaseAfter.Duration,
	}, logger)
	if err != nil {
		return err
	}
	if _, err := pods.Informer().AddEventHandler(c.reservations.PodHandler()); err != nil {
		return fmt.Errorf("cannot watch pods: %w", err)
	}
	return nil
}

func (c *controllers) addQuota(args *config.MesosOffersArgs, handle framework.Handle, settings *lifecycle.Config,
	manager *lifecycle.Manager, session *mesos.Session, logger klog.Logger,
) error {
	core := handle.SharedInformerFactory().Core().V1()
	options := quota.Options{
		Status: args.Quota.Status, ResourceQuota: args.Quota.ResourceQuota, Push: args.Quota.Push,
		Names: quota.Names{GPU: v1.ResourceName(args.Resources.GPUs.ResourceName), Extended: map[string]v1.ResourceName{}},
	}
	for _, e := range args.Resources.Extended {
		options.Names.Extended[e.Mesos] = v1.ResourceName(e.Kubernetes)
	}
	from := quota.Sources{Book: settings.Book, Ours: settings.Usage, Roles: rolesOf{manager}, Claims: manager, Pusher: pusher{session}}
	spaces := core.Namespaces()
	// ResourceQuotas are watched only for those who use them: it takes a right that
	// others need not give.
	var lister corelisters.ResourceQuotaLister
	if options.ResourceQuota || options.Push {
		lister = core.ResourceQuotas().Lister()
	}
	c.quota = quota.New(options, from, handle.ClientSet(), spaces.Lister(), lister, handle.EventRecorder(), logger)
	if _, err := spaces.Informer().AddEventHandler(c.quota.NamespaceHandler()); err != nil {
		return fmt.Errorf("cannot watch namespaces: %w", err)
	}
	if lister == nil {
		return nil
	}
	if _, err := core.ResourceQuotas().Informer().AddEventHandler(c.quota.ResourceQuotaHandler()); err != nil {
		return fmt.Errorf("cannot watch ResourceQuotas: %w", err)
	}
	return nil
}

// setQuotas takes in a reading of the quotas.
func (c *controllers) setQuotas(list []quota.Role, ours map[string]resources.Bundle, at time.Time) {
	c.quota.Set(list, ours, at)
}

// run works until the context ends.
func (c *controllers) run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { c.reservations.Run(ctx) })
	wg.Go(func() { c.quota.Run(ctx) })
	wg.Wait()
}

// rolesOf tells the quota controller of the roles of namespaces.
type rolesOf struct{ manager *lifecycle.Manager }

// Of implements quota.Roles.
func (r rolesOf) Of(namespace string) []string { return r.manager.RolesOf(namespace) }
