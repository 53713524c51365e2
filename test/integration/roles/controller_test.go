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

package roles

import (
	"context"
	"sync"

	"k8s.io/apiserver/pkg/quota/v1/generic"
	"k8s.io/client-go/informers"
	"k8s.io/kubernetes/pkg/controller"
	"k8s.io/kubernetes/pkg/controller/resourcequota"
	quotainstall "k8s.io/kubernetes/pkg/quota/v1/install"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
)

// startQuotaController starts the controller of kube-controller-manager that makes
// ResourceQuotas count: the API server admits by their status, which it writes.
func startQuotaController(c *cluster.Cluster) {
	c.T.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	factory := informers.NewSharedInformerFactory(c.Client, 0)
	discover := c.Client.Discovery().ServerPreferredNamespacedResources
	evaluators := quotainstall.NewQuotaConfigurationForControllers(generic.ListerFuncForResourceFunc(factory.ForResource))
	started := make(chan struct{})
	quotas, err := resourcequota.NewController(ctx, &resourcequota.ControllerOptions{
		QuotaClient: c.Client.CoreV1(), ResourceQuotaInformer: factory.Core().V1().ResourceQuotas(),
		ResyncPeriod: controller.NoResyncPeriodFunc, ReplenishmentResyncPeriod: controller.NoResyncPeriodFunc,
		InformerFactory: factory, InformersStarted: started,
		DiscoveryFunc: discover, IgnoredResourcesFunc: evaluators.IgnoredResources,
		Registry: generic.NewRegistry(evaluators.Evaluators()),
	})
	c.Must(err)
	var running sync.WaitGroup
	running.Go(func() { quotas.Run(ctx, 1) })
	factory.Start(ctx.Done())
	close(started)
	c.T.Cleanup(func() {
		cancel()
		running.Wait()
		factory.Shutdown()
	})
}
