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

package quota

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

func TestQuantities(t *testing.T) {
	for _, test := range []struct {
		name  string
		milli int64
		up    bool
		want  string
	}{
		{"cpus", 1500, false, "1500m"},
		{"cpus", 4000, false, "4"},
		{"mem", 8192 * 1000, false, "8Gi"},
		{"mem", 1, false, "1048"},
		{"mem", 1, true, "1049"},
		{"disk", 500, true, "512Ki"},
		{"gpus", 2000, false, "2"},
		{"fpgas", 2500, false, "2500m"},
		{"mem", resources.MaxScalar, false, "2361183241434822606"},
		{"mem", math.MaxInt64, true, "9223372036854775807"},
		{"mem", 0, false, "0"},
	} {
		q := quantityOf(test.name, test.milli, test.up)
		if got := q.String(); got != test.want {
			t.Errorf("%s %d is %s, want %s", test.name, test.milli, got, test.want)
		}
	}
	for _, test := range []struct {
		name, quantity string
		want           int64
	}{
		{"cpus", "1500m", 1500}, {"cpus", "1u", 0}, {"cpus", "1500001u", 1500}, {"cpus", "-1", 0},
		{"mem", "8Gi", 8192 * 1000}, {"mem", "1049", 1}, {"mem", "1048", 0}, {"mem", "1048500m", 0}, {"mem", "1E", 953674316406250},
		{"cpus", "9E", resources.MaxScalar}, {"mem", "99999E", resources.MaxScalar}, {"fpgas", "3", 3000},
	} {
		if got := amountIn(test.name, resource.MustParse(test.quantity)); got != test.want {
			t.Errorf("%s of %s is %d, want %d", test.quantity, test.name, got, test.want)
		}
	}
}

// An amount of Mesos comes back from Kubernetes as it was if it was rounded up, and
// never as more.
func TestQuantitiesThereAndBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		milli := r.Int64N(resources.MaxScalar >> r.IntN(50))
		for _, name := range []string{"cpus", "mem", "disk", "gpus", "fpgas"} {
			if got := amountIn(name, quantityOf(name, milli, true)); got != milli {
				t.Fatalf("%s %d comes back as %d", name, milli, got)
			}
			if got := amountIn(name, quantityOf(name, milli, false)); got > milli || got < milli-1 {
				t.Fatalf("%s %d comes back as %d", name, milli, got)
			}
		}
	}
}

func TestStatus(t *testing.T) {
	var book Book
	book.Set([]Role{
		{Name: "eng", Limit: of(4, 8192), Limited: limited("cpus", "mem", "fpgas"), Guarantee: of(2, 0), Consumed: of(3, 512)},
		{Name: "ops", Limit: scalar("bandwidth", 10).Add(resources.Bundle{Vector: resources.Vector{resources.GPU: 2000, resources.Disk: 1024 * 1000}}), Limited: limited("bandwidth", "gpus", "disk")},
		{Name: "held", Guarantee: of(1, 0)},
		{Name: "idle"},
	}, nil, time.Unix(1, 0))
	names := &Names{Extended: map[string]v1.ResourceName{"fpgas": "example.com/fpga"}}
	for _, test := range []struct {
		name  string
		roles []string
		names *Names
		want  string
	}{
		{"none", nil, names, ""},
		{"no quota", []string{"idle", "nobody/x"}, names, ""},
		{
			"nested", []string{"eng/ads"}, names,
			`{"roles":[{"role":"eng/ads","quotaRole":"eng","hard":{"cpu":"4","example.com/fpga":"0","memory":"8Gi"},"used":{"cpu":"3","example.com/fpga":"0","memory":"512Mi"},"guaranteed":{"cpu":"2"}}]}`,
		},
		{
			"in their order", []string{"held", "idle", "ops"}, names,
			`{"roles":[{"role":"held","quotaRole":"held","guaranteed":{"cpu":"1"}},{"role":"ops","quotaRole":"ops","hard":{"bandwidth":"10","ephemeral-storage":"1Gi","nvidia.com/gpu":"2"},"used":{"bandwidth":"0","ephemeral-storage":"0","nvidia.com/gpu":"0"}}]}`,
		},
		{
			"another name for GPUs", []string{"ops"}, &Names{GPU: "amd.com/gpu"},
			`{"roles":[{"role":"ops","quotaRole":"ops","hard":{"amd.com/gpu":"2","bandwidth":"10","ephemeral-storage":"1Gi"},"used":{"amd.com/gpu":"0","bandwidth":"0","ephemeral-storage":"0"}}]}`,
		},
	} {
		for range 5 {
			if got := book.Status(test.roles, test.names); got != test.want {
				t.Errorf("%s: status is\n%s, want\n%s", test.name, got, test.want)
			}
		}
	}
}
