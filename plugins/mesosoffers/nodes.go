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
	"github.com/kube-mesos/kube-mesos/plugins/internal/lifecycle"
	"github.com/kube-mesos/kube-mesos/plugins/internal/maintenance"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/nodebalance"
	"github.com/kube-mesos/kube-mesos/plugins/internal/nodelabels"
	"github.com/kube-mesos/kube-mesos/plugins/internal/nodetaints"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// nodeControllers show on nodes what is known of their agents. They place no pod,
// and nothing waits for them.
type nodeControllers struct {
	labels  *nodelabels.Controller
	balance *nodebalance.Controller
	taints  *nodetaints.Controller
	// tainted tells that nodes are to show when their machines leave the service.
	tainted bool
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
		taints:  nodetaints.New(handle.ClientSet(), informers.Nodes().Lister(), logger),
		tainted: args.Maintenance.Taint,
	}
	if _, err := informers.Nodes().Informer().AddEventHandler(c.taints.NodeHandler()); err != nil {
		return nil, fmt.Errorf("cannot watch nodes: %w", err)
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

// showMaintenance takes in which machines leave the service, by node. Without the
// argument maintenance.taint, what was shown before is removed.
func (c *nodeControllers) showMaintenance(marks map[string]maintenance.Mark, complete bool) {
	if !c.tainted {
		marks = nil
	}
	c.taints.Set(marks, complete)
}

// maintenanceConfig says how machines are dealt with that leave the service.
func maintenanceConfig(args *config.MesosOffersArgs, nodes *nodeControllers) lifecycle.MaintenanceConfig {
	return lifecycle.MaintenanceConfig{
		Config: maintenance.Config{
			EvictBefore: args.Maintenance.EvictBefore.Duration, BudgetFor: args.Claims.PDBDeadline.Duration,
			Cordoned: maintenance.Cordoned(args.Maintenance.CordonedNodes),
		},
		DrainGrace: args.Maintenance.DrainGrace.Duration, Show: nodes.showMaintenance,
	}
}

// run works until the context ends.
func (c *nodeControllers) run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { c.labels.Run(ctx) })
	wg.Go(func() { c.balance.Run(ctx) })
	wg.Go(func() { c.taints.Run(ctx) })
	wg.Wait()
}
