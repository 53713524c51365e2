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

	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/nodebalance"
	"github.com/kube-mesos/kube-mesos/plugins/internal/nodelabels"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// nodeControllers show on nodes what is known of their agents. They place no pod,
// and nothing waits for them.
type nodeControllers struct {
	labels  *nodelabels.Controller
	balance *nodebalance.Controller
}

// newNodeControllers returns controllers that follow the informers. They write
// nothing before they run and are shown agents. withhold is told what of nodes'
// agents must not be used, if that is to be.
func newNodeControllers(args *config.MesosOffersArgs, handle framework.Handle, mine func(*v1.Pod) bool,
	withhold func(map[string]resources.Vector), logger klog.Logger,
) (*nodeControllers, error) {
	informers := handle.SharedInformerFactory().Core().V1()
	if !args.Balance.Cap {
		withhold = nil
	}
	balance, err := nodebalance.New(nodebalance.Config{
		Client: handle.ClientSet(), Nodes: informers.Nodes(), Pods: informers.Pods(), Mine: mine,
		Table: resources.NewTable(tableOptions(&args.Resources)), Withhold: withhold,
	}, logger)
	if err != nil {
		return nil, err
	}
	c := &nodeControllers{
		labels:  nodelabels.New(nodelabels.Options(args.NodeLabels), handle.ClientSet(), informers.Nodes().Lister(), logger),
		balance: balance,
	}
	if _, err := informers.Nodes().Informer().AddEventHandler(c.labels.NodeHandler()); err != nil {
		return nil, fmt.Errorf("cannot watch nodes: %w", err)
	}
	return c, nil
}

// show takes in the agents of all nodes that have one, by node.
func (c *nodeControllers) show(agents map[string]mesos.Agent) {
	facts, totals := make(map[string]nodelabels.Facts, len(agents)), make(map[string]resources.Vector, len(agents))
	for node, a := range agents {
		facts[node] = nodelabels.Facts{Attributes: a.Attributes, Region: a.Region, Zone: a.Zone}
		totals[node] = a.Total
	}
	c.labels.Set(facts)
	c.balance.SetAgents(totals)
}

// run works until the context ends.
func (c *nodeControllers) run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { c.labels.Run(ctx) })
	wg.Go(func() { c.balance.Run(ctx) })
	wg.Wait()
}
