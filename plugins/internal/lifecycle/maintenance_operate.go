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

package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kube-mesos/kube-mesos/plugins/internal/maintenance"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
)

// runOperations takes the agents of cordoned nodes out of service, and puts them back,
// until the context ends. One call is made after the other: operators do not cordon
// thousands of nodes in a second, and the master has other things to do.
func (m *Manager) runOperations(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.upkeep.operate:
		}
		for _, o := range m.dueOperations() {
			m.operateOn(ctx, o)
		}
	}
}

func (m *Manager) dueOperations() []maintenance.Operation {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.subscribed || !m.agentsKnown || m.stopping || m.upkeep.operator == nil {
		return nil
	}
	var held map[string]maintenance.Holding
	return m.upkeep.book.Operations(time.Now(), func(agent string) maintenance.Holding {
		if held == nil {
			held = m.holdings()
		}
		return held[agent]
	})
}

// operateOn does one thing and tells the node of it.
func (m *Manager) operateOn(ctx context.Context, o maintenance.Operation) {
	err := m.operation(ctx, o)
	if ctx.Err() != nil {
		return
	}
	if o.Act != maintenance.Note && o.Act != maintenance.Forget {
		result := metrics.OperationDone
		if err != nil {
			result = metrics.OperationFailed
		}
		metrics.AgentOperations.WithLabelValues(strings.ToLower(string(o.Act)), result).Inc()
	}
	logger := m.logger.WithValues("node", o.Node, "agent", o.AgentID, "operation", o.Act)
	if err != nil {
		logger.Error(err, "Cannot change the agent of a cordoned or uncordoned node; will try again")
		m.tellNode(o.Node, v1.EventTypeWarning, EventAgentRefused, fmt.Sprintf("%s of Mesos agent %s failed; it is tried again: %v", o.Act, o.AgentID, err))
	} else {
		logger.Info("Changed the agent of a cordoned or uncordoned node")
		switch o.Act {
		case maintenance.Off:
			m.tellNode(o.Node, v1.EventTypeNormal, EventAgentDeactivated, "Deactivated Mesos agent "+o.AgentID+", as the node is cordoned")
		case maintenance.DrainOff:
			m.tellNode(o.Node, v1.EventTypeNormal, EventAgentDrained, "Mesos drains agent "+o.AgentID+", as the node is cordoned and our pods are gone")
		case maintenance.Reactivate:
			m.tellNode(o.Node, v1.EventTypeNormal, EventAgentReactivated, "Reactivated Mesos agent "+o.AgentID)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		var call *mesos.CallError
		doubtful := !errors.As(err, &call) || call.OutcomeUnknown()
		m.upkeep.book.Failed(o, doubtful, time.Now())
		return
	}
	m.upkeep.book.Done(o, time.Now())
	m.relist = true
	m.soonUpkeep()
}

func (m *Manager) tellNode(node, kind, reason, text string) {
	if node != "" {
		m.recorder.Eventf(&v1.Node{TypeMeta: nodeType, ObjectMeta: nodeMeta(node)}, nil, kind, reason, actionMaintain, "%s", note(text))
	}
}

func (m *Manager) operation(ctx context.Context, o maintenance.Operation) error {
	m.mu.Lock()
	operator := m.upkeep.operator
	m.mu.Unlock()
	switch o.Act {
	case maintenance.Note:
		return m.noteDeactivated(ctx, o.Node, o.AgentID)
	case maintenance.Forget:
		return m.noteDeactivated(ctx, o.Node, nil)
	case maintenance.Off:
		return operator.DeactivateAgent(ctx, o.AgentID)
	case maintenance.DrainOff:
		return operator.DrainAgent(ctx, o.AgentID, m.cfg.Maintenance.DrainGrace, false)
	}
	err := operator.ReactivateAgent(ctx, o.AgentID)
	var refusal *mesos.CallError
	if errors.As(err, &refusal) && refusal.Status == http.StatusBadRequest &&
		(strings.Contains(refusal.Body, "is not deactivated") || strings.Contains(refusal.Body, "Unknown agent")) {
		// What was to be, or what cannot be any more (Mesos master/http.cpp
		// _reactivateAgent).
		return nil
	}
	return err
}

// noteDeactivated writes on a node which agent we took out of service, nil for none.
func (m *Manager) noteDeactivated(ctx context.Context, node string, agent any) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{maintenance.AnnotationDeactivated: agent}}})
	if err != nil {
		return err
	}
	_, err = m.client.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("cannot write the annotation %s of node %s: %w", maintenance.AnnotationDeactivated, node, err)
	}
	return nil
}
