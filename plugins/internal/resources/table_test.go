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
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/kubernetes/pkg/scheduler/util"
)

// testTable maps two names to one scalar, one to gpus, and has entries that cannot
// be.
var testTable = NewTable(Options{
	GPU: "nvidia.com/gpu",
	Extended: map[v1.ResourceName]string{
		"example.com/fpga":     "fpgas",
		"example.com/old-fpga": "fpgas",
		"amd.com/gpu":          "gpus",
		"example.com/asic":     "asics",
		"hugepages-2Mi":        "hugepages",
		"nvidia.com/gpu":       "ignored",
		"cpu":                  "ignored",
		"example.com/memory":   "mem",
		"example.com/port":     "ports",
		"example.com/nothing":  "",
		"":                     "ignored",
	},
	HostPorts: true,
})

func withPorts(c v1.Container, ports ...v1.ContainerPort) v1.Container {
	c.Ports = ports
	return c
}

func TestTableForPod(t *testing.T) {
	tcp := func(port int32) v1.ContainerPort {
		return v1.ContainerPort{ContainerPort: 80, HostPort: port, Protocol: v1.ProtocolTCP}
	}
	udp := func(port int32) v1.ContainerPort {
		return v1.ContainerPort{HostPort: port, Protocol: v1.ProtocolUDP, HostIP: "10.0.0.1"}
	}
	base := Vector{100, 200000}
	withInit := podOf(container("nvidia.com/gpu", "1", "example.com/fpga", "2"))
	withInit.Spec.InitContainers = []v1.Container{container("nvidia.com/gpu", "4"), container("example.com/old-fpga", "1")}
	withSidecar := podOf(container("nvidia.com/gpu", "1"))
	withSidecar.Spec.InitContainers = []v1.Container{sidecar("nvidia.com/gpu", "2"), container("nvidia.com/gpu", "2")}
	withOverhead := podOf(container("example.com/asic", "1"))
	withOverhead.Spec.Overhead = list("example.com/asic", "2")
	ported := podOf(withPorts(container(), tcp(8080), tcp(8081), udp(8080)), withPorts(container(), tcp(0), tcp(9000)))
	ported.Spec.InitContainers = []v1.Container{withPorts(container(), tcp(7000)), withPorts(sidecar(), tcp(8082))}
	tests := []struct {
		name string
		pod  *v1.Pod
		want Bundle
	}{
		{"nothing of it", podOf(container("nvidia.com/gpu", "0", "example.com/fpga", "0")), Bundle{Vector: base}},
		{"gpu", podOf(container("nvidia.com/gpu", "1"), container("nvidia.com/gpu", "2")), Bundle{Vector: Vector{100, 200000, 0, 3000}}},
		{"both names of gpus", podOf(container("nvidia.com/gpu", "1", "amd.com/gpu", "2")), Bundle{Vector: Vector{100, 200000, 0, 3000}}},
		{"part of a gpu is a whole one", podOf(container("nvidia.com/gpu", "1500m")), Bundle{Vector: Vector{100, 200000, 0, 2000}}},
		{"extended, in the order of Mesos names", podOf(container("example.com/fpga", "2", "example.com/asic", "1")),
			Bundle{Vector: base, Scalars: Scalars{{"asics", 1000}, {"fpgas", 2000}}}},
		{"two names of one scalar", podOf(container("example.com/fpga", "2", "example.com/old-fpga", "1")),
			Bundle{Vector: base, Scalars: Scalars{{"fpgas", 3000}}}},
		{"hugepages count bytes", podOf(container("hugepages-2Mi", "4Mi")), Bundle{Vector: base, Scalars: Scalars{{"hugepages", 4194304000}}}},
		{"init containers", withInit, Bundle{Vector: Vector{100, 200000, 0, 4000}, Scalars: Scalars{{"fpgas", 3000}}}},
		{"sidecars", withSidecar, Bundle{Vector: Vector{100, 200000, 0, 4000}}},
		{"overhead", withOverhead, Bundle{Vector: base, Scalars: Scalars{{"asics", 3000}}}},
		{"most", podOf(container("example.com/fpga", "9223372036854775")), Bundle{Vector: base, Scalars: Scalars{{"fpgas", 9223372036854775000}}}},
		{"too much saturates", podOf(container("example.com/fpga", "9223372036854776", "nvidia.com/gpu", "100E", "amd.com/gpu", "1")),
			Bundle{Vector: Vector{100, 200000, 0, math.MaxInt64}, Scalars: Scalars{{"fpgas", math.MaxInt64}}}},
		{"host ports of containers and sidecars", ported, Bundle{Vector: base, Ports: Ranges{{8080, 8082}, {9000, 9000}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := tt.pod.DeepCopy()
			got, err := testTable.ForPod(tt.pod, testDefaults)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("ForPod (-want +got):\n%s", diff)
			}
			got.Vector = got.Vector.Sub(base)
			if requests := testTable.Requests(tt.pod); !requests.Equal(&got) {
				t.Errorf("Requests = %v, want %v, which is ForPod without the defaults", requests, got)
			}
			if diff := cmp.Diff(before, tt.pod); diff != "" {
				t.Errorf("the pod was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestTableWithoutHostPorts(t *testing.T) {
	pod := podOf(withPorts(container("cpu", "1"), v1.ContainerPort{HostPort: 80}))
	got, err := NewTable(Options{}).ForPod(pod, nil)
	if want := (Bundle{Vector: Vector{1000}}); err != nil || !got.Equal(&want) {
		t.Errorf("ForPod = %v, %v, want %v", got, err, want)
	}
}

func TestTableUnsupported(t *testing.T) {
	pod := podOf(withPorts(container("nvidia.com/gpu", "1", "example.com/dongle", "2", "example.com/memory", "1"), v1.ContainerPort{HostPort: 80}))
	got, err := testTable.ForPod(pod, testDefaults)
	const message = "pod requests resources that cannot be claimed from Mesos: example.com/dongle, example.com/memory " +
		"(supported are cpu, memory, ephemeral-storage, nvidia.com/gpu, amd.com/gpu, example.com/asic, example.com/fpga, " +
		"example.com/old-fpga and hugepages-2Mi; the scheduler's args resources.gpus and resources.extended add GPUs and extended resources)"
	var unsupported *UnsupportedResourceError
	if !errors.As(err, &unsupported) || err.Error() != message || !got.IsZero() {
		t.Fatalf("ForPod = %v, %v, want nothing and %s", got, err, message)
	}
	if diff := cmp.Diff([]v1.ResourceName{"example.com/dongle", "example.com/memory"}, unsupported.Names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	want := Bundle{Vector: Vector{GPU: 1000}, Ports: Ranges{{80, 80}}}
	if got := testTable.Requests(pod); !got.Equal(&want) {
		t.Errorf("Requests = %v, want %v: what is unsupported is left out", got, want)
	}
}

func TestTableNodeAllocatable(t *testing.T) {
	got := testTable.NodeAllocatable(list("cpu", "1999u", "nvidia.com/gpu", "1999m", "amd.com/gpu", "-1", "pods", "110",
		"example.com/fpga", "3", "example.com/old-fpga", "900m", "example.com/asic", "100E", "example.com/dongle", "1"))
	want := Bundle{Vector: Vector{CPU: 1, GPU: 1000}, Scalars: Scalars{{"asics", math.MaxInt64}, {"fpgas", 3000}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("NodeAllocatable (-want +got):\n%s", diff)
	}
}

func TestTableNames(t *testing.T) {
	for name, want := range map[v1.ResourceName]string{
		"cpu": "cpus", "memory": "mem", "ephemeral-storage": "disk", "nvidia.com/gpu": "gpus", "amd.com/gpu": "gpus",
		"example.com/fpga": "fpgas", "example.com/old-fpga": "fpgas",
		"example.com/dongle": "", "example.com/memory": "", "example.com/port": "", "example.com/nothing": "", "": "", "gpus": "",
	} {
		if got, ok := testTable.MesosNameOf(name); got != want || ok != (want != "") {
			t.Errorf("MesosNameOf(%q) = %q, %t, want %q", name, got, ok, want)
		}
	}
	for mesos, want := range map[string]string{
		"cpus": "cpu", "cpu": "cpu", "mem": "memory", "memory": "memory", "disk": "ephemeral-storage",
		"gpus": "nvidia.com/gpu", "gpu": "nvidia.com/gpu", "ports": "host port",
		"fpgas": "example.com/fpga", "asics": "example.com/asic", "bandwidth": "bandwidth", "ignored": "ignored", "": "",
	} {
		if got := testTable.KubernetesNameOf(mesos); got != want {
			t.Errorf("KubernetesNameOf(%q) = %q, want %q", mesos, got, want)
		}
	}
	plain := NewTable(Options{GPU: "cpu"})
	if got := plain.KubernetesNameOf("gpus") + plain.KubernetesNameOf("gpu") + plain.KubernetesNameOf("cpus"); got != "gpugpucpu" {
		t.Errorf("without GPUs they are called %q", got)
	}
	if got := plain.Supported(); len(got) != 3 {
		t.Errorf("Supported = %v, want cpu, memory and ephemeral-storage", got)
	}
}

// TestHostPortsAsScheduler compares with what kube-scheduler keeps apart.
func TestHostPortsAsScheduler(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 10))
	containers := func() (list []v1.Container) {
		for range rnd.IntN(4) {
			c := container()
			switch rnd.IntN(4) {
			case 0:
				c = sidecar()
			case 1:
				never := v1.ContainerRestartPolicyNever
				c.RestartPolicy = &never
			}
			for range rnd.IntN(4) {
				c.Ports = append(c.Ports, v1.ContainerPort{
					ContainerPort: 80,
					HostPort:      []int32{0, -1, 1, 65535, 31000 + rnd.Int32N(8)}[rnd.IntN(5)],
					Protocol:      []v1.Protocol{v1.ProtocolTCP, v1.ProtocolUDP}[rnd.IntN(2)],
					HostIP:        []string{"", "127.0.0.1"}[rnd.IntN(2)],
				})
			}
			list = append(list, c)
		}
		return list
	}
	for range 10_000 {
		pod := podOf(containers()...)
		pod.Spec.InitContainers = containers()
		want := sets.New[uint64]()
		for _, port := range util.GetHostPorts(pod) {
			want.Insert(uint64(port.HostPort))
		}
		got := hostPorts(pod)
		for _, port := range want.UnsortedList() {
			if !got.Contains(Ranges{{port, port}}) {
				t.Fatalf("%v lacks port %d", got, port)
			}
		}
		if got.Count() != uint64(want.Len()) {
			t.Fatalf("%v, want %v", got, sets.List(want))
		}
	}
}

func BenchmarkTableForPod(b *testing.B) {
	for _, bench := range []struct {
		name string
		pod  *v1.Pod
	}{
		{"plain", podOf(container("cpu", "500m", "memory", "256Mi"))},
		{"port", podOf(withPorts(container("cpu", "500m", "memory", "256Mi"), v1.ContainerPort{HostPort: 8080}))},
		{"gpu", podOf(container("cpu", "500m", "memory", "256Mi", "nvidia.com/gpu", "1"))},
		{"extended", podOf(container("cpu", "500m", "memory", "256Mi", "example.com/fpga", "1"))},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := testTable.ForPod(bench.pod, testDefaults); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestTableForPodAllocates: a table that maps much costs a plain pod nothing.
func TestTableForPodAllocates(t *testing.T) {
	pod := podOf(container("cpu", "500m", "memory", "256Mi"))
	count := func(table *Table) float64 {
		return testing.AllocsPerRun(100, func() {
			if _, err := table.ForPod(pod, testDefaults); err != nil {
				t.Fatal(err)
			}
		})
	}
	// The maps of kube-scheduler's own sum are all that there is.
	if plain, rich := count(defaultTable), count(testTable); rich > plain || plain > 4 {
		t.Errorf("ForPod allocates %v times, %v with the default table, want 4 at most", rich, plain)
	}
}
