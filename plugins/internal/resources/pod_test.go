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

package resources

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

var testDefaults = v1.ResourceList{
	v1.ResourceCPU:    resource.MustParse("100m"),
	v1.ResourceMemory: resource.MustParse("200Mi"),
	// No claim can hold it, so it must be ignored.
	"example.com/dongle": resource.MustParse("1"),
}

// list reads name, quantity pairs.
func list(pairs ...string) v1.ResourceList {
	rl := v1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		rl[v1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return rl
}

func container(pairs ...string) v1.Container {
	return v1.Container{Name: "c", Resources: v1.ResourceRequirements{Requests: list(pairs...)}}
}

func sidecar(pairs ...string) v1.Container {
	c := container(pairs...)
	always := v1.ContainerRestartPolicyAlways
	c.RestartPolicy = &always
	return c
}

func podOf(containers ...v1.Container) *v1.Pod {
	return &v1.Pod{Spec: v1.PodSpec{Containers: containers}}
}

func TestForPod(t *testing.T) {
	withInit := podOf(container("cpu", "1", "memory", "1Gi"), container("cpu", "500m"))
	withInit.Spec.InitContainers = []v1.Container{container("cpu", "4", "memory", "1Mi"), container("cpu", "2")}
	withSidecar := podOf(container("cpu", "1", "memory", "64Mi"))
	withSidecar.Spec.InitContainers = []v1.Container{sidecar("cpu", "250m", "memory", "64Mi"), container("cpu", "3")}
	withOverhead := podOf(container("memory", "10Mi"))
	withOverhead.Spec.Overhead = list("cpu", "20m", "memory", "5Mi")
	podLevel := podOf(container("cpu", "1", "memory", "64Mi"))
	podLevel.Spec.Resources = &v1.ResourceRequirements{Requests: list("cpu", "2")}
	resized := podOf(container("cpu", "100m", "memory", "64Mi"))
	resized.Status.ContainerStatuses = []v1.ContainerStatus{{
		Name:               "c",
		AllocatedResources: list("cpu", "300m", "memory", "32Mi"),
		Resources:          &v1.ResourceRequirements{Requests: list("cpu", "300m", "memory", "32Mi")},
	}}
	tests := []struct {
		name string
		pod  *v1.Pod
		want Vector
	}{
		{"no containers: the defaults", podOf(), Vector{100, 200000}},
		{"no requests: the defaults", podOf(container(), container()), Vector{100, 200000}},
		{"zero requests: the defaults", podOf(container("cpu", "0", "memory", "0")), Vector{100, 200000}},
		{"default per resource", podOf(container("cpu", "1")), Vector{1000, 200000}},
		{"no default once one container asks", podOf(container("cpu", "10m", "memory", "1Mi"), container()), Vector{10, 1000}},
		{"sum", podOf(container("cpu", "1", "memory", "1Gi", "ephemeral-storage", "2Gi"), container("cpu", "1m")), Vector{1001, 1024000, 2048000}},
		{"one byte is a whole 1/1000 MiB", podOf(container("cpu", "1", "memory", "1")), Vector{1000, 1}},
		{"one byte above", podOf(container("cpu", "1", "memory", "1048577")), Vector{1000, 1001}},
		{"decimal suffix", podOf(container("cpu", "1", "memory", "1M")), Vector{1000, 954}},
		{"sub-milli cpu rounds up", podOf(container("cpu", "1500u", "memory", "1Mi")), Vector{2, 1000}},
		{"sub-byte memory rounds up", podOf(container("cpu", "1", "memory", "1048576500m")), Vector{1000, 1001}},
		{"init containers run one by one", withInit, Vector{4000, 1024000}},
		{"sidecars run beside init containers", withSidecar, Vector{3250, 128000}},
		{"overhead counts, so no default for cpu", withOverhead, Vector{20, 15000}},
		{"pod level replaces containers", podLevel, Vector{2000, 64000}},
		{"resize in place: the larger", resized, Vector{300, 64000}},
		{"zero of something else is no request", podOf(container("cpu", "1", "memory", "1Mi", "example.com/dongle", "0")), Vector{1000, 1000}},
		{"largest memory", podOf(container("cpu", "1", "memory", "9223372036854775806")), Vector{1000, 8796093022208000}},
		{"too much memory saturates", podOf(container("cpu", "1", "memory", "100E")), Vector{1000, math.MaxInt64}},
		{"too much cpu saturates", podOf(container("cpu", "10P", "memory", "1Mi")), Vector{math.MaxInt64, 1000}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := tt.pod.DeepCopy()
			got, err := ForPod(tt.pod, testDefaults)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("ForPod = %v, want %v", got, tt.want)
			}
			if diff := cmp.Diff(before, tt.pod); diff != "" {
				t.Errorf("ForPod changed the pod (-before +after):\n%s", diff)
			}
		})
	}
}

func TestForPodUnsupported(t *testing.T) {
	pod := podOf(container("cpu", "1", "nvidia.com/gpu", "1", "hugepages-2Mi", "4Mi"), container("example.com/dongle", "2"))
	got, err := ForPod(pod, testDefaults)
	var unsupported *UnsupportedResourceError
	if !errors.As(err, &unsupported) {
		t.Fatalf("ForPod = %v, %v, want an UnsupportedResourceError", got, err)
	}
	want := []v1.ResourceName{"example.com/dongle", "hugepages-2Mi", "nvidia.com/gpu"}
	if diff := cmp.Diff(want, unsupported.Names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	const message = "pod requests resources that cannot be claimed from Mesos: example.com/dongle, " +
		"hugepages-2Mi, nvidia.com/gpu (supported are cpu, memory and ephemeral-storage; " +
		"the scheduler's args resources.gpus and resources.extended add GPUs and extended resources)"
	if err.Error() != message {
		t.Errorf("error = %q, want %q", err, message)
	}
	if !got.IsZero() {
		t.Errorf("ForPod = %v beside an error, want nothing", got)
	}
}

func TestNodeAllocatable(t *testing.T) {
	tests := []struct {
		name string
		in   v1.ResourceList
		want Vector
	}{
		{"nothing", nil, Vector{}},
		{"exact", list("cpu", "8", "memory", "32Gi", "ephemeral-storage", "100Gi", "pods", "110"), Vector{8000, 32768000, 102400000}},
		{"rounds down", list("cpu", "1999u", "memory", "2097151"), Vector{1, 1999}},
		{"fraction of a byte rounds down", list("memory", "1048575999m"), Vector{0, 999}},
		{"negative is nothing", list("cpu", "-1", "memory", "-1Gi"), Vector{}},
		{"saturates", list("cpu", "10P", "memory", "100E"), Vector{math.MaxInt64, math.MaxInt64}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := NodeAllocatable(tt.in); got != tt.want {
				t.Errorf("NodeAllocatable = %v, want %v", got, tt.want)
			}
		})
	}
}

// FuzzRounding checks requests and allocatable against exact arithmetic: a claim
// covers the bytes asked for, exceeds them by less than 1/1000 MiB, and what a
// node has is never exceeded.
func FuzzRounding(f *testing.F) {
	for _, n := range []int64{0, 1, 1048, 1049, 1 << 20, 1<<20 + 1, 123456789, math.MaxInt64 - 1, math.MaxInt64} {
		f.Add(n, n)
	}
	f.Fuzz(func(t *testing.T, milliCores, bytes int64) {
		if milliCores <= 0 || bytes <= 0 || milliCores == math.MaxInt64 || bytes == math.MaxInt64 {
			return // Nothing is asked for, or it saturates: see the tables.
		}
		rl := v1.ResourceList{
			v1.ResourceCPU:    *resource.NewMilliQuantity(milliCores, resource.DecimalSI),
			v1.ResourceMemory: *resource.NewQuantity(bytes, resource.BinarySI),
		}
		need, err := ForPod(podOf(v1.Container{Resources: v1.ResourceRequirements{Requests: rl}}), testDefaults)
		if err != nil {
			t.Fatal(err)
		}
		has := NodeAllocatable(rl)
		if need[CPU] != milliCores || has[CPU] != milliCores {
			t.Errorf("cpu %dm became %d requested and %d allocatable", milliCores, need[CPU], has[CPU])
		}
		// In units of 2^-20 byte/1000: exact = bytes*1000, one 1/1000 MiB = 2^20.
		unit := big.NewInt(1 << 20)
		exact := new(big.Int).Mul(big.NewInt(bytes), big.NewInt(1000))
		claimed := new(big.Int).Mul(big.NewInt(need[Memory]), unit)
		if over := claimed.Sub(claimed, exact); over.Sign() < 0 || over.Cmp(unit) >= 0 {
			t.Errorf("%d bytes claim %d/1000 MiB: off by %v/2^20", bytes, need[Memory], over)
		}
		held := new(big.Int).Mul(big.NewInt(has[Memory]), unit)
		if under := exact.Sub(exact, held); under.Sign() < 0 || under.Cmp(unit) >= 0 {
			t.Errorf("%d bytes are %d/1000 MiB allocatable: off by %v/2^20", bytes, has[Memory], under)
		}
	})
}

func BenchmarkForPod(b *testing.B) {
	for n := range 4 {
		containers := make([]v1.Container, n)
		for i := range containers {
			containers[i] = container("cpu", "500m", "memory", "256Mi")
		}
		pod := podOf(containers...)
		b.Run(fmt.Sprintf("containers=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ForPod(pod, testDefaults); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
