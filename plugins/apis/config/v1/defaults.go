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

package v1

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SetDefaults_MesosOffersArgs sets every field that was left out to the default
// its documentation names. A field that was set, be it to zero or to nothing, is
// left as it is: validation judges it.
func SetDefaults_MesosOffersArgs(args *MesosOffersArgs) {
	setDefaultRequests(args)
	setDefault(&args.LaunchTimeout, duration(30*time.Second))
	setFrameworkDefaults(&args.Framework)
	setDefault(&args.FrameworkIDConfigMap.Namespace, metav1.NamespaceSystem)
	setDefault(&args.FrameworkIDConfigMap.Name, "kube-mesos-framework")
	setOffersDefaults(&args.Offers)
	setDefault(&args.Preemption.Enabled, true)
	setDefault(&args.Preemption.StarvationTimeout, duration(30*time.Second))
	setSessionDefaults(&args.Session)
	if args.Placeholder.Command == nil {
		args.Placeholder.Command = []string{"sleep", "infinity"}
	}
	setDefault(&args.NodeLabels.Attributes, true)
	setDefault(&args.NodeLabels.FaultDomain, true)
	setRolesDefaults(&args.Roles)
	setEnumDefault(&args.Reservations.Policy, ReservationPolicyReservedFirst)
	setDefault(&args.Reservations.Sticky, true)
	setDefault(&args.Reservations.ReleaseAfter, duration(30*time.Second))
	setDefault(&args.Revocable.Enabled, false)
	setResourcesDefaults(&args.Resources)
	setQuotaDefaults(&args.Quota)
	setDefault(&args.Balance.Cap, false)
	setEnumDefault(&args.Authentication.TokenScheme, TokenSchemeBearer)
	setDefault(&args.TLS.Enabled, false)
	setClaimsDefaults(&args.Claims)
	setMaintenanceDefaults(&args.Maintenance)
}

// setDefaultRequests uses kube-scheduler's own assumptions for pods without
// requests (k8s.io/kubernetes/pkg/scheduler/util, DefaultMilliCPURequest and
// DefaultMemoryRequest), so that its scores and our claims agree.
func setDefaultRequests(args *MesosOffersArgs) {
	if args.DefaultRequests == nil {
		args.DefaultRequests = corev1.ResourceList{}
	}
	if _, ok := args.DefaultRequests[corev1.ResourceCPU]; !ok {
		args.DefaultRequests[corev1.ResourceCPU] = resource.MustParse("100m")
	}
	if _, ok := args.DefaultRequests[corev1.ResourceMemory]; !ok {
		args.DefaultRequests[corev1.ResourceMemory] = resource.MustParse("200Mi")
	}
}

func setFrameworkDefaults(framework *Framework) {
	setDefault(&framework.Name, "kube-mesos")
	setDefault(&framework.User, "root")
	setDefault(&framework.Role, "*")
	setDefault(&framework.FailoverTimeout, duration(7*24*time.Hour))
	setEnumDefault(&framework.OnRemoved, OnFrameworkRemovedNewIdentity)
}

func setOffersDefaults(offers *Offers) {
	setDefault(&offers.MaxHold, duration(10*time.Second))
	setDefault(&offers.RefuseUnused, duration(time.Minute))
	setDefault(&offers.RefuseForeign, duration(time.Hour))
	setDefault(&offers.ReviveEvery, duration(200*time.Millisecond))
	setDefault(&offers.SurplusAfter, duration(200*time.Millisecond))
	setDefault(&offers.RefuseSurplus, duration(30*time.Second))
	setDefault(&offers.WarmAgents, 0)
	setDefault(&offers.IdleGrace, duration(time.Second))
	setDefault(&offers.BatchLinger, duration(2*time.Millisecond))
	setDefault(&offers.MaxBatchLinger, duration(50*time.Millisecond))
	setDefault(&offers.MaxTasksPerAccept, 64)
	setDefault(&offers.CandidateLimit, 128)
	setDefault(&offers.PredictedWait, duration(2*time.Second))
	setEnumDefault(&offers.Constraints, OfferTermsAuto)
	setDefault(&offers.MaxConstraintHosts, 256)
	setEnumDefault(&offers.MinAllocatable, OfferTermsAuto)
}

func setSessionDefaults(session *Session) {
	setEnumDefault(&session.Start, SessionStartLeading)
	setDefault(&session.CallTimeout, duration(10*time.Second))
	setDefault(&session.HeartbeatMisses, 3)
	setDefault(&session.MaxRecordBytes, 256<<20)
	setDefault(&session.BackoffInitial, duration(500*time.Millisecond))
	setDefault(&session.BackoffMax, duration(15*time.Second))
}

func setRolesDefaults(roles *Roles) {
	setDefault(&roles.Annotation, true)
	setDefault(&roles.FallbackAfter, duration(3*time.Second))
	setDefault(&roles.UpdatePeriod, duration(10*time.Second))
	setDefault(&roles.KeepUnused, duration(10*time.Minute))
}

func setResourcesDefaults(resources *Resources) {
	setEnumDefault(&resources.HostPorts, HostPortsClaim)
	setDefault(&resources.GPUs.ResourceName, "nvidia.com/gpu")
	setEnumDefault(&resources.GPUs.Agents, GPUAgentsUnused)
}

func setQuotaDefaults(quota *Quota) {
	setDefault(&quota.PollPeriod, duration(10*time.Second))
	setDefault(&quota.Enforce, true)
	setDefault(&quota.Status, true)
	setDefault(&quota.ResourceQuota, false)
	setDefault(&quota.Push, false)
}

func setClaimsDefaults(claims *Claims) {
	setEnumDefault(&claims.OnLost, OnClaimLostEvict)
	setDefault(&claims.ReacquireTimeout, duration(10*time.Minute))
	setDefault(&claims.PDBDeadline, duration(5*time.Minute))
	setDefault(&claims.EvictionsPerMinute, 30)
	setDefault(&claims.EvictionBurst, 20)
	setDefault(&claims.EvictionPercent, 20)
	setDefault(&claims.EvictionWindow, duration(5*time.Minute))
}

func setMaintenanceDefaults(maintenance *Maintenance) {
	setDefault(&maintenance.Taint, true)
	setDefault(&maintenance.EvictBefore, duration(5*time.Minute))
	setEnumDefault(&maintenance.CordonedNodes, CordonedNodesIgnore)
	setDefault(&maintenance.DrainGrace, duration(10*time.Minute))
}

func setDefault[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

// setEnumDefault sets a field whose empty value means that it was left out.
func setEnumDefault[T ~string](field *T, value T) {
	if *field == "" {
		*field = value
	}
}

func duration(d time.Duration) metav1.Duration {
	return metav1.Duration{Duration: d}
}
