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

package v1_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config/scheme"
	configv1 "github.com/kube-mesos/kube-mesos/plugins/apis/config/v1"
)

func duration(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

func defaulted() *configv1.MesosOffersArgs {
	return &configv1.MesosOffersArgs{
		Framework: configv1.Framework{
			Name: ptr.To("kube-mesos"), User: ptr.To("root"), Role: ptr.To("*"), FailoverTimeout: duration(168 * time.Hour),
			OnRemoved: "NewIdentity",
		},
		FrameworkIDConfigMap: configv1.ConfigMapReference{Namespace: ptr.To("kube-system"), Name: ptr.To("kube-mesos-framework")},
		DefaultRequests: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("200Mi"),
		},
		LaunchTimeout: duration(30 * time.Second),
		Offers: configv1.Offers{
			MaxHold: duration(10 * time.Second), RefuseUnused: duration(time.Minute), RefuseForeign: duration(time.Hour),
			IdleGrace: duration(time.Second), BatchLinger: duration(2 * time.Millisecond), MaxBatchLinger: duration(50 * time.Millisecond),
			MaxTasksPerAccept: ptr.To[int32](64), CandidateLimit: ptr.To[int32](128),
			ReviveEvery: duration(200 * time.Millisecond), SurplusAfter: duration(200 * time.Millisecond), RefuseSurplus: duration(30 * time.Second), WarmAgents: ptr.To[int32](0),
			PredictedWait: duration(2 * time.Second), Constraints: "Auto", MaxConstraintHosts: ptr.To[int32](256), MinAllocatable: "Auto",
		},
		Preemption: configv1.Preemption{Enabled: ptr.To(true), StarvationTimeout: duration(30 * time.Second)},
		Session: configv1.Session{
			Start: configv1.SessionStartLeading, CallTimeout: duration(10 * time.Second), HeartbeatMisses: ptr.To[int32](3),
			MaxRecordBytes: ptr.To[int64](268435456), BackoffInitial: duration(500 * time.Millisecond), BackoffMax: duration(15 * time.Second),
		},
		Placeholder: configv1.Placeholder{Command: []string{"sleep", "infinity"}},
		NodeLabels:  configv1.NodeLabels{Attributes: ptr.To(true), FaultDomain: ptr.To(true)},
		Roles: configv1.Roles{
			Annotation: ptr.To(true), FallbackAfter: duration(3 * time.Second), UpdatePeriod: duration(10 * time.Second),
			KeepUnused: duration(10 * time.Minute),
		},
		Reservations: configv1.Reservations{Policy: "ReservedFirst", Sticky: ptr.To(true), ReleaseAfter: duration(30 * time.Second)},
		Revocable:    configv1.Revocable{Enabled: ptr.To(false)},
		Resources: configv1.Resources{
			HostPorts: "Claim", GPUs: configv1.GPUs{ResourceName: ptr.To("nvidia.com/gpu"), Agents: "Unused"},
		},
		Quota: configv1.Quota{
			PollPeriod: duration(10 * time.Second), Enforce: ptr.To(true), Status: ptr.To(true),
			ResourceQuota: ptr.To(false), Push: ptr.To(false),
		},
		Balance:        configv1.Balance{Cap: ptr.To(false)},
		Authentication: configv1.Authentication{TokenScheme: "Bearer"},
		TLS:            configv1.TLS{Enabled: ptr.To(false)},
		Claims: configv1.Claims{
			OnLost: "Evict", ReacquireTimeout: duration(10 * time.Minute), PDBDeadline: duration(5 * time.Minute),
			EvictionsPerMinute: ptr.To[int32](30), EvictionBurst: ptr.To[int32](20), EvictionPercent: ptr.To[int32](20),
			EvictionWindow: duration(5 * time.Minute),
		},
		Maintenance: configv1.Maintenance{
			Taint: ptr.To(true), EvictBefore: duration(5 * time.Minute), CordonedNodes: "Ignore", DrainGrace: duration(10 * time.Minute),
		},
	}
}

func TestDefaults(t *testing.T) {
	zeros := &configv1.MesosOffersArgs{
		Framework:            configv1.Framework{Name: ptr.To(""), User: ptr.To(""), Role: ptr.To(""), FailoverTimeout: duration(0), OnRemoved: "x"},
		FrameworkIDConfigMap: configv1.ConfigMapReference{Namespace: ptr.To(""), Name: ptr.To("")},
		DefaultRequests:      corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("0"), corev1.ResourceMemory: resource.MustParse("0")},
		LaunchTimeout:        duration(0),
		Offers: configv1.Offers{
			MaxHold: duration(0), RefuseUnused: duration(0), RefuseForeign: duration(0), IdleGrace: duration(0),
			BatchLinger: duration(0), MaxBatchLinger: duration(0), MaxTasksPerAccept: ptr.To[int32](0), CandidateLimit: ptr.To[int32](0),
			ReviveEvery: duration(0), SurplusAfter: duration(0), RefuseSurplus: duration(0), WarmAgents: ptr.To[int32](-1),
			PredictedWait: duration(0), Constraints: "x", MaxConstraintHosts: ptr.To[int32](0), MinAllocatable: "x",
		},
		Preemption: configv1.Preemption{Enabled: ptr.To(false), StarvationTimeout: duration(0)},
		Session: configv1.Session{
			Start: "x", CallTimeout: duration(0), HeartbeatMisses: ptr.To[int32](0), MaxRecordBytes: ptr.To[int64](0),
			BackoffInitial: duration(0), BackoffMax: duration(0),
		},
		Placeholder: configv1.Placeholder{Command: []string{}},
		NodeLabels:  configv1.NodeLabels{Attributes: ptr.To(false), FaultDomain: ptr.To(false)},
		Roles: configv1.Roles{
			Annotation: ptr.To(false), Rules: []configv1.RoleRule{{}}, FallbackAfter: duration(0), UpdatePeriod: duration(0),
			KeepUnused: duration(0),
		},
		Reservations: configv1.Reservations{Policy: "x", Sticky: ptr.To(false), ReleaseAfter: duration(0)},
		Revocable:    configv1.Revocable{Enabled: ptr.To(true), PriorityClasses: []configv1.RevocableRule{{}}},
		Resources: configv1.Resources{
			HostPorts: "x", Extended: []configv1.ExtendedResource{{}}, GPUs: configv1.GPUs{ResourceName: ptr.To(""), Agents: "x"},
		},
		Quota: configv1.Quota{
			PollPeriod: duration(0), Enforce: ptr.To(false), Status: ptr.To(false), ResourceQuota: ptr.To(true), Push: ptr.To(true),
		},
		Balance:        configv1.Balance{Cap: ptr.To(true)},
		Authentication: configv1.Authentication{TokenScheme: "x"},
		TLS:            configv1.TLS{Enabled: ptr.To(true)},
		Claims: configv1.Claims{
			OnLost: "x", ReacquireTimeout: duration(0), PDBDeadline: duration(0), EvictionsPerMinute: ptr.To[int32](0),
			EvictionBurst: ptr.To[int32](0), EvictionPercent: ptr.To[int32](0), EvictionWindow: duration(0),
		},
		Maintenance: configv1.Maintenance{Taint: ptr.To(false), EvictBefore: duration(0), CordonedNodes: "x", DrainGrace: duration(0)},
	}
	onlyCPU := defaulted()
	onlyCPU.DefaultRequests[corev1.ResourceCPU] = resource.MustParse("1")
	tests := []struct {
		name string
		in   *configv1.MesosOffersArgs
		want *configv1.MesosOffersArgs
	}{
		{"everything left out", &configv1.MesosOffersArgs{}, defaulted()},
		{"defaults stay", defaulted(), defaulted()},
		{"what is set stays, even to zero", zeros.DeepCopy(), zeros},
		{"default requests are completed", &configv1.MesosOffersArgs{
			DefaultRequests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}}, onlyCPU},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			scheme.Scheme.Default(tt.in)
			if diff := cmp.Diff(tt.want, tt.in); diff != "" {
				t.Errorf("defaults (-want +got):\n%s", diff)
			}
		})
	}
}
