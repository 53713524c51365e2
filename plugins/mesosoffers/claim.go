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
	"errors"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/lifecycle"
	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
)

// Reserve implements framework.ReservePlugin. It takes the pod's part out of the
// node's offers, under their lock: nothing before it is binding.
func (p *Plugin) Reserve(ctx context.Context, cycle fwk.CycleState, pod *v1.Pod, node string) *fwk.Status {
	s, err := getState(cycle)
	if err != nil {
		return fwk.AsStatus(err)
	}
	if s.role == nil {
		return reject(fwk.Unschedulable, reasonNoOffer)
	}
	s.taskID, err = p.manager.Reserve(pod, node, s.role.Name(), &s.want)
	if err == nil {
		return nil
	}
	if logger := klog.FromContext(ctx).V(3); logger.Enabled() {
		logger.Info("Cannot reserve Mesos resources", "pod", klog.KObj(pod), "node", node, "need", s.want.Need.String(), "err", err)
	}
	reason := reasonMasterBusy
	var short *offers.ShortError
	var over *lifecycle.QuotaError
	switch {
	case errors.As(err, &short):
		reason = p.reasons.short(short.Lacks)
	case errors.As(err, &over):
		reason = over.Error()
	case errors.Is(err, offers.ErrKept):
		reason = reasonKept
	case errors.Is(err, offers.ErrLeaving):
		reason = reasonLeaving
	case errors.Is(err, offers.ErrNoOffer):
		reason = reasonNoOffer
	case errors.Is(err, lifecycle.ErrNotConnected):
		reason = reasonNotConnected
	}
	metrics.Rejections.WithLabelValues("Reserve", reason).Inc()
	if s.mode == modeSkipped {
		// The other plugins may like best, again and again, a node that we never
		// judged: judge each from now on.
		p.manager.Widen(pod)
	} else {
		p.again(pod)
	}
	return reject(fwk.Unschedulable, reason)
}

// again tries a pod again that was turned away without fault of its own: after the
// scheduler's back-off, or earlier if an offer comes.
func (p *Plugin) again(pod *v1.Pod) {
	p.manager.Retry(pod)
	p.manager.Park(pod, p.manager.Version())
}

// Unreserve implements framework.ReservePlugin. It gives the claim up at whatever
// stage it is.
func (p *Plugin) Unreserve(_ context.Context, cycle fwk.CycleState, _ *v1.Pod, _ string) {
	if s, err := getState(cycle); err == nil && s.taskID != "" {
		p.manager.Cancel(s.taskID)
	}
}

// PreBindPreFlight implements framework.PreBindPlugin.
func (p *Plugin) PreBindPreFlight(context.Context, fwk.CycleState, *v1.Pod, string) *fwk.Status {
	return nil
}

// PreBind implements framework.PreBindPlugin. It waits, on a channel, until Mesos
// confirmed the claim or the launch failed. The pod is tried again after the
// scheduler's back-off; earlier, if an offer comes and neither the pod nor its agent
// was at fault.
func (p *Plugin) PreBind(ctx context.Context, cycle fwk.CycleState, pod *v1.Pod, node string) *fwk.Status {
	s, err := getState(cycle)
	if err != nil {
		return fwk.AsStatus(err)
	}
	// The ledger times a launch out from its ACCEPT on; this bounds the rest.
	ctx, cancel := context.WithTimeout(ctx, claims.StagingFactor*p.args.LaunchTimeout.Duration+launchSlack)
	defer cancel()
	start := time.Now()
	outcome, err := p.manager.Await(ctx, s.taskID)
	if err != nil {
		outcome.Cause = claims.CauseTimeout
	}
	if outcome.OK {
		metrics.LaunchSeconds.WithLabelValues("held").Observe(time.Since(start).Seconds())
		return nil
	}
	metrics.LaunchSeconds.WithLabelValues("failed").Observe(time.Since(start).Seconds())
	klog.FromContext(ctx).V(2).Info("Mesos claim failed", "pod", klog.KObj(pod), "node", node, "task", s.taskID, "cause", outcome.Cause)
	if outcome.Cause.Blameless() {
		p.again(pod)
	} else {
		// No event of the cluster or of Mesos will tell that another try may do.
		p.manager.Retry(pod)
	}
	return reject(fwk.Unschedulable, reasonOfCause(outcome.Cause))
}

// launchSlack is how much longer than the launch timeout PreBind waits at most:
// the batch's linger and the ledger's tick.
const launchSlack = 15 * time.Second

// Bind implements framework.BindPlugin. It writes the claim into the binding
// itself, so that no moment exists in which a bound pod does not name its task.
func (p *Plugin) Bind(ctx context.Context, cycle fwk.CycleState, pod *v1.Pod, node string) *fwk.Status {
	s, err := getState(cycle)
	if err != nil {
		return fwk.AsStatus(err)
	}
	claim, held := p.manager.Confirmed(s.taskID)
	if !held {
		metrics.Rejections.WithLabelValues("Bind", "ClaimLost").Inc()
		p.again(pod)
		return reject(fwk.Unschedulable, reasonClaimLost)
	}
	binding := &v1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, Annotations: claim.Annotations()},
		Target:     v1.ObjectReference{Kind: "Node", Name: node},
	}
	err = p.handle.ClientSet().CoreV1().Pods(pod.Namespace).Bind(ctx, binding, metav1.CreateOptions{})
	if err == nil || p.boundAfterAll(ctx, pod, node, s.taskID, err) {
		return nil
	}
	return fwk.AsStatus(fmt.Errorf("cannot bind the pod to node %s: %w", node, err))
}

// boundAfterAll tells whether a binding whose answer was an error took effect all
// the same: then the claim must stay.
func (p *Plugin) boundAfterAll(ctx context.Context, pod *v1.Pod, node, taskID string, err error) bool {
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || apierrors.IsInvalid(err) {
		return false
	}
	// The binding cycle's own context may be what ended the call.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	now, err := p.handle.ClientSet().CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
	return err == nil && now.UID == pod.UID && now.Spec.NodeName == node && now.Annotations[lifecycle.AnnotationTask] == taskID
}

// PostBind implements framework.PostBindPlugin.
func (p *Plugin) PostBind(_ context.Context, cycle fwk.CycleState, _ *v1.Pod, _ string) {
	if s, err := getState(cycle); err == nil {
		p.manager.Bound(s.taskID)
	}
}
