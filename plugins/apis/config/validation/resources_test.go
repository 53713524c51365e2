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

package validation_test

import (
	"testing"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config"
	"github.com/kube-mesos/kube-mesos/plugins/apis/config/validation"
)

type fieldsCase struct {
	name string
	set  func(*config.MesosOffersArgs)
	want []string
}

func judgeCases(t *testing.T, tests []fieldsCase) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { judgeFields(t, tt.set, tt.want) })
	}
}

func TestReservationsAndRevocable(t *testing.T) {
	type args = config.MesosOffersArgs
	ride := func(enabled bool, rules ...config.RevocableRule) func(*args) {
		return func(a *args) { a.Revocable = config.Revocable{Enabled: enabled, PriorityClasses: rules} }
	}
	const rules = "revocable.priorityClasses"
	judgeCases(t, []fieldsCase{
		{"unreserved first", func(a *args) { a.Reservations.Policy = "UnreservedFirst" }, nil},
		{"reserved only, not sticky", func(a *args) { a.Reservations = config.Reservations{Policy: "ReservedOnly"} }, nil},
		{"unknown policy", func(a *args) { a.Reservations.Policy = "reservedFirst" }, []string{"FieldValueNotSupported reservations.policy"}},

		{"revocable without rules", ride(true), nil},
		{"one rule of each", ride(true, config.RevocableRule{Name: "a", Use: "Never"}, config.RevocableRule{Name: "b.c", Use: "Allowed"},
			config.RevocableRule{Name: "system-node-critical", Use: "Required"}), nil},
		{"rules that cannot count", ride(false, config.RevocableRule{Name: "a", Use: "Never"}), []string{"FieldValueForbidden " + rules}},
		{"no name", ride(true, config.RevocableRule{Use: "Never"}), []string{"FieldValueInvalid " + rules + "[0].name"}},
		{"name that no PriorityClass has", ride(true, config.RevocableRule{Name: "a_b", Use: "Never"}),
			[]string{"FieldValueInvalid " + rules + "[0].name"}},
		{"no use", ride(true, config.RevocableRule{Name: "a"}), []string{"FieldValueNotSupported " + rules + "[0].use"}},
		{"unknown use", ride(true, config.RevocableRule{Name: "a", Use: "Always"}), []string{"FieldValueNotSupported " + rules + "[0].use"}},
		{"two rules for one class", ride(true, config.RevocableRule{Name: "a", Use: "Never"}, config.RevocableRule{Name: "a", Use: "Allowed"}),
			[]string{"FieldValueDuplicate " + rules + "[1].name"}},
	})
}

func TestResources(t *testing.T) {
	type args = config.MesosOffersArgs
	extended := func(pairs ...string) func(*args) {
		return func(a *args) {
			for i := 0; i < len(pairs); i += 2 {
				a.Resources.Extended = append(a.Resources.Extended, config.ExtendedResource{Kubernetes: pairs[i], Mesos: pairs[i+1]})
			}
		}
	}
	gpu := func(name string) func(*args) { return func(a *args) { a.Resources.GPUs.ResourceName = name } }
	const left, right = "resources.extended[0].kubernetes", "resources.extended[0].mesos"
	const invalid, required, duplicate = "FieldValueInvalid ", "FieldValueRequired ", "FieldValueDuplicate "
	judgeCases(t, []fieldsCase{
		{"host ports ignored", func(a *args) { a.Resources.HostPorts = "Ignore" }, nil},
		{"unknown use of host ports", func(a *args) { a.Resources.HostPorts = "None" }, []string{"FieldValueNotSupported resources.hostPorts"}},

		{"extended resources", extended("example.com/fpga", "fpgas", "vendor.io/nic", "nic-1.x_y", "a.b/c", "ü"), nil},
		{"without domain", extended("fpga", "fpgas"), []string{invalid + left}},
		{"Kubernetes' own", extended("cpu", "a", "memory", "b", "hugepages-2Mi", "c", "ephemeral-storage", "d", "kubernetes.io/x", "e", "x.kubernetes.io/y", "f"),
			[]string{invalid + left, invalid + "resources.extended[1].kubernetes", invalid + "resources.extended[2].kubernetes",
				invalid + "resources.extended[3].kubernetes", invalid + "resources.extended[4].kubernetes", invalid + "resources.extended[5].kubernetes"}},
		{"name of a quota", extended("requests.example.com/fpga", "fpgas"), []string{invalid + left}},
		{"nothing at all", extended("", ""), []string{invalid + left, required + right}},
		{"Mesos' own", extended("a.b/1", "cpus", "a.b/2", "mem", "a.b/3", "disk", "a.b/4", "gpus", "a.b/5", "ports"),
			[]string{invalid + right, invalid + "resources.extended[1].mesos", invalid + "resources.extended[2].mesos",
				invalid + "resources.extended[3].mesos", invalid + "resources.extended[4].mesos"}},
		{"names that part", extended("a.b/1", "a:b", "a.b/2", "a;b", "a.b/3", "a(b)", "a.b/4", "a b", "a.b/5", "a\x00"),
			[]string{invalid + right, invalid + "resources.extended[1].mesos", invalid + "resources.extended[2].mesos",
				invalid + "resources.extended[3].mesos", invalid + "resources.extended[4].mesos"}},
		{"one Kubernetes name twice", extended("a.b/c", "x", "a.b/c", "y"), []string{duplicate + "resources.extended[1].kubernetes"}},
		{"one Mesos name twice", extended("a.b/c", "x", "a.b/d", "x"), []string{duplicate + "resources.extended[1].mesos"}},
		{"the GPUs' name", extended("nvidia.com/gpu", "cards"), []string{duplicate + left}},

		{"GPUs of another vendor", gpu("amd.com/gpu"), nil},
		{"GPUs without name", gpu(""), []string{required + "resources.gpus.resourceName"}},
		{"GPUs without domain", gpu("gpu"), []string{invalid + "resources.gpus.resourceName"}},
		{"GPUs for those that need them", func(a *args) { a.Resources.GPUs.Agents = "ForGPUPods" }, nil},
		{"GPUs for all", func(a *args) { a.Resources.GPUs.Agents = "ForAllPods" }, nil},
		{"unknown use of GPUs", func(a *args) { a.Resources.GPUs.Agents = "All" }, []string{"FieldValueNotSupported resources.gpus.agents"}},
	})
}

func TestQuota(t *testing.T) {
	quota := func(follow, push bool) func(*config.MesosOffersArgs) {
		return func(a *config.MesosOffersArgs) { a.Quota.ResourceQuota, a.Quota.Push = follow, push }
	}
	judgeCases(t, []fieldsCase{
		{"follow", quota(true, false), nil},
		{"push", quota(false, true), nil},
		{"both", quota(true, true), []string{"FieldValueForbidden quota.push"}},
	})
}

// TestMessagesNameTheOtherField: an error about two fields says which the other
// one is.
func TestMessagesNameTheOtherField(t *testing.T) {
	args := validArgs(t)
	args.Revocable.PriorityClasses = []config.RevocableRule{{Name: "a", Use: "Never"}, {Name: "a", Use: "Never"}}
	args.Resources.Extended = []config.ExtendedResource{{Kubernetes: "a.b/c", Mesos: "x"}, {Kubernetes: "nvidia.com/gpu", Mesos: "x"}}
	args.Quota.ResourceQuota, args.Quota.Push = true, true
	want := []string{
		`revocable.priorityClasses: Forbidden: only allowed if revocable.enabled is true`,
		`revocable.priorityClasses[1].name: Duplicate value: "a": names the same PriorityClass as revocable.priorityClasses[0]`,
		`resources.extended[1].kubernetes: Duplicate value: "nvidia.com/gpu": is resources.gpus.resourceName and so claimed as gpus`,
		`resources.extended[1].mesos: Duplicate value: "x": names the same resource as resources.extended[0]`,
		`quota.push: Forbidden: must not be true together with quota.resourceQuota: each quota would follow the other`,
	}
	errs := validation.ValidateMesosOffersArgs(nil, args)
	if len(errs) != len(want) {
		t.Fatalf("got %v, want %q", errs, want)
	}
	for i, err := range errs {
		if err.Error() != want[i] {
			t.Errorf("got %q, want %q", err, want[i])
		}
	}
}
