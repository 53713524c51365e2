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
	"time"

	"github.com/google/go-cmp/cmp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config"
	"github.com/kube-mesos/kube-mesos/plugins/apis/config/scheme"
	"github.com/kube-mesos/kube-mesos/plugins/apis/config/validation"
)

func validArgs(t *testing.T) *config.MesosOffersArgs {
	t.Helper()
	args, err := scheme.DefaultArgs("mesos-1.example.com:5050")
	if err != nil {
		t.Fatal(err)
	}
	return args
}

// summary is what a test expects of an error: type and path.
func summary(errs field.ErrorList) []string {
	var lines []string
	for _, err := range errs {
		lines = append(lines, string(err.Type)+" "+err.Field)
	}
	return lines
}

type durationCase struct {
	path      string
	field     func(*config.MesosOffersArgs) *metav1.Duration
	low, high time.Duration
}

func durationCases() []durationCase {
	type args = config.MesosOffersArgs
	const year = 8760 * time.Hour
	return []durationCase{
		{"launchTimeout", func(a *args) *metav1.Duration { return &a.LaunchTimeout }, time.Second, 10 * time.Minute},
		{"framework.failoverTimeout", func(a *args) *metav1.Duration { return &a.Framework.FailoverTimeout }, time.Minute, 1<<63 - 1},
		{"offers.maxHold", func(a *args) *metav1.Duration { return &a.Offers.MaxHold }, 100 * time.Millisecond, 5 * time.Minute},
		{"offers.refuseUnused", func(a *args) *metav1.Duration { return &a.Offers.RefuseUnused }, 0, time.Hour},
		{"offers.refuseForeign", func(a *args) *metav1.Duration { return &a.Offers.RefuseForeign }, time.Second, year},
		{"offers.reviveEvery", func(a *args) *metav1.Duration { return &a.Offers.ReviveEvery }, 10 * time.Millisecond, time.Hour},
		{"offers.surplusAfter", func(a *args) *metav1.Duration { return &a.Offers.SurplusAfter }, time.Millisecond, time.Minute},
		{"offers.refuseSurplus", func(a *args) *metav1.Duration { return &a.Offers.RefuseSurplus }, time.Second, time.Hour},
		{"offers.predictedWait", func(a *args) *metav1.Duration { return &a.Offers.PredictedWait }, 0, time.Minute},
		{"preemption.starvationTimeout", func(a *args) *metav1.Duration { return &a.Preemption.StarvationTimeout }, 0, time.Hour},
		{"offers.idleGrace", func(a *args) *metav1.Duration { return &a.Offers.IdleGrace }, 0, time.Minute},
		{"offers.batchLinger", func(a *args) *metav1.Duration { return &a.Offers.BatchLinger }, 0, time.Second},
		{"offers.maxBatchLinger", func(a *args) *metav1.Duration { return &a.Offers.MaxBatchLinger }, 0, 5 * time.Second},
		{"session.callTimeout", func(a *args) *metav1.Duration { return &a.Session.CallTimeout }, 100 * time.Millisecond, 10 * time.Minute},
		{"session.backoffInitial", func(a *args) *metav1.Duration { return &a.Session.BackoffInitial }, 10 * time.Millisecond, time.Minute},
		{"session.backoffMax", func(a *args) *metav1.Duration { return &a.Session.BackoffMax }, 10 * time.Millisecond, time.Hour},
		{"roles.fallbackAfter", func(a *args) *metav1.Duration { return &a.Roles.FallbackAfter }, 0, 10 * time.Minute},
		{"roles.updatePeriod", func(a *args) *metav1.Duration { return &a.Roles.UpdatePeriod }, time.Second, 10 * time.Minute},
		{"roles.keepUnused", func(a *args) *metav1.Duration { return &a.Roles.KeepUnused }, 0, 24 * time.Hour},
		{"reservations.releaseAfter", func(a *args) *metav1.Duration { return &a.Reservations.ReleaseAfter }, 0, 24 * time.Hour},
		{"claims.reacquireTimeout", func(a *args) *metav1.Duration { return &a.Claims.ReacquireTimeout }, 0, 24 * time.Hour},
		{"claims.pdbDeadline", func(a *args) *metav1.Duration { return &a.Claims.PDBDeadline }, 0, 24 * time.Hour},
		{"claims.evictionWindow", func(a *args) *metav1.Duration { return &a.Claims.EvictionWindow }, 10 * time.Second, time.Hour},
		{"maintenance.evictBefore", func(a *args) *metav1.Duration { return &a.Maintenance.EvictBefore }, 0, 24 * time.Hour},
		{"maintenance.drainGrace", func(a *args) *metav1.Duration { return &a.Maintenance.DrainGrace }, 0, 24 * time.Hour},
		{"quota.pollPeriod", func(a *args) *metav1.Duration { return &a.Quota.PollPeriod }, time.Second, 10 * time.Minute},
	}
}

func TestDurations(t *testing.T) {
	for _, tt := range durationCases() {
		t.Run(tt.path, func(t *testing.T) {
			judge := func(value time.Duration) []string {
				args := validArgs(t)
				// The limits that are fields themselves must not come in between.
				args.Offers.BatchLinger, args.Offers.MaxBatchLinger = metav1.Duration{}, metav1.Duration{Duration: 5 * time.Second}
				args.Session.BackoffInitial, args.Session.BackoffMax = metav1.Duration{Duration: 10 * time.Millisecond}, metav1.Duration{Duration: time.Hour}
				tt.field(args).Duration = value
				return summary(validation.ValidateMesosOffersArgs(nil, args))
			}
			for _, allowed := range []time.Duration{tt.low, tt.high} {
				if got := judge(allowed); got != nil {
					t.Errorf("%v is refused: %v", allowed, got)
				}
			}
			refused := []time.Duration{tt.low - 1}
			if tt.high+1 > tt.high { // Not for the largest duration there is.
				refused = append(refused, tt.high+1)
			}
			for _, value := range refused {
				got := judge(value)
				if len(got) == 0 || got[0] != "FieldValueInvalid "+tt.path {
					t.Errorf("%v is not refused: %v", value, got)
				}
			}
		})
	}
}

func TestIntegers(t *testing.T) {
	type args = config.MesosOffersArgs
	tests := []struct {
		path      string
		set       func(*args, int64)
		low, high int64
	}{
		{"offers.maxTasksPerAccept", func(a *args, n int64) { a.Offers.MaxTasksPerAccept = int32(n) }, 1, 500},
		{"offers.warmAgents", func(a *args, n int64) { a.Offers.WarmAgents = int32(n) }, 0, 10000},
		{"offers.maxConstraintHosts", func(a *args, n int64) { a.Offers.MaxConstraintHosts = int32(n) }, 1, 10000},
		{"offers.candidateLimit", func(a *args, n int64) { a.Offers.CandidateLimit = int32(n) }, 0, 1024},
		{"claims.evictionsPerMinute", func(a *args, n int64) { a.Claims.EvictionsPerMinute = int32(n) }, 1, 10000},
		{"claims.evictionBurst", func(a *args, n int64) { a.Claims.EvictionBurst = int32(n) }, 1, 10000},
		{"claims.evictionPercent", func(a *args, n int64) { a.Claims.EvictionPercent = int32(n) }, 1, 100},
		{"session.heartbeatMisses", func(a *args, n int64) { a.Session.HeartbeatMisses = int32(n) }, 1, 20},
		{"session.maxRecordBytes", func(a *args, n int64) { a.Session.MaxRecordBytes = n }, 65536, 1<<63 - 1},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			judge := func(n int64) []string {
				args := validArgs(t)
				tt.set(args, n)
				return summary(validation.ValidateMesosOffersArgs(nil, args))
			}
			if got := append(judge(tt.low), judge(tt.high)...); got != nil {
				t.Errorf("%d or %d is refused: %v", tt.low, tt.high, got)
			}
			refused := []int64{tt.low - 1}
			if tt.high+1 > tt.high {
				refused = append(refused, tt.high+1)
			}
			for _, n := range refused {
				if diff := cmp.Diff([]string{"FieldValueInvalid " + tt.path}, judge(n)); diff != "" {
					t.Errorf("%d (-want +got):\n%s", n, diff)
				}
			}
		})
	}
}

func TestFields(t *testing.T) {
	type args = config.MesosOffersArgs
	tests := []struct {
		name string
		set  func(*args)
		want []string
	}{
		{"defaults", func(*args) {}, nil},
		{"no name", func(a *args) { a.Framework.Name = "" }, []string{"FieldValueRequired framework.name"}},
		{"no user", func(a *args) { a.Framework.User = "" }, []string{"FieldValueRequired framework.user"}},
		{"host name", func(a *args) { a.Framework.Hostname = "Node-1.example.com" }, nil},
		{"IP as host name", func(a *args) { a.Framework.Hostname = "fd00::1" }, nil},
		{"host name with space", func(a *args) { a.Framework.Hostname = "node 1" }, []string{"FieldValueInvalid framework.hostname"}},
		{"web UI", func(a *args) { a.Framework.WebUIURL = "https://ui.example.com:8443/mesos" }, nil},
		{"web UI without scheme", func(a *args) { a.Framework.WebUIURL = "ui.example.com" }, []string{"FieldValueInvalid framework.webUIURL"}},
		{"web UI without host", func(a *args) { a.Framework.WebUIURL = "http:///x" }, []string{"FieldValueInvalid framework.webUIURL"}},
		{"web UI that runs script", func(a *args) { a.Framework.WebUIURL = "javascript:alert(1)" }, []string{"FieldValueInvalid framework.webUIURL"}},
		{"namespace", func(a *args) { a.FrameworkIDConfigMap.Namespace = "Kube.System" }, []string{"FieldValueInvalid frameworkIDConfigMap.namespace"}},
		{"no namespace", func(a *args) { a.FrameworkIDConfigMap.Namespace = "" }, []string{"FieldValueInvalid frameworkIDConfigMap.namespace"}},
		{"ConfigMap name with dots", func(a *args) { a.FrameworkIDConfigMap.Name = "a.b" }, nil},
		{"ConfigMap name", func(a *args) { a.FrameworkIDConfigMap.Name = "a_b" }, []string{"FieldValueInvalid frameworkIDConfigMap.name"}},
		{"cpu of zero", func(a *args) { a.DefaultRequests[corev1.ResourceCPU] = resource.Quantity{} }, []string{"FieldValueInvalid defaultRequests[cpu]"}},
		{"negative memory", func(a *args) { a.DefaultRequests[corev1.ResourceMemory] = resource.MustParse("-1") }, []string{"FieldValueInvalid defaultRequests[memory]"}},
		{"no default requests", func(a *args) { a.DefaultRequests = nil },
			[]string{"FieldValueRequired defaultRequests[cpu]", "FieldValueRequired defaultRequests[memory]"}},
		{"ephemeral-storage of zero", func(a *args) { a.DefaultRequests[corev1.ResourceEphemeralStorage] = resource.Quantity{} }, nil},
		{"default of a GPU", func(a *args) { a.DefaultRequests["nvidia.com/gpu"] = resource.MustParse("1") },
			[]string{"FieldValueNotSupported defaultRequests[nvidia.com/gpu]"}},
		{"linger above its bound", func(a *args) { a.Offers.BatchLinger.Duration = 51 * time.Millisecond }, []string{"FieldValueInvalid offers.maxBatchLinger"}},
		{"linger at its bound", func(a *args) { a.Offers.BatchLinger.Duration = 50 * time.Millisecond }, nil},
		{"backoff above its bound", func(a *args) { a.Session.BackoffInitial.Duration = 16 * time.Second }, []string{"FieldValueInvalid session.backoffMax"}},
		{"no terms", func(a *args) {
			a.Offers.Constraints, a.Offers.MinAllocatable = config.OfferTermsNever, config.OfferTermsNever
		}, nil},
		{"unknown terms", func(a *args) { a.Offers.Constraints, a.Offers.MinAllocatable = "Always", "auto" },
			[]string{"FieldValueNotSupported offers.constraints", "FieldValueNotSupported offers.minAllocatable"}},
		{"no preemption", func(a *args) { a.Preemption = config.Preemption{} }, nil},
		{"start at once", func(a *args) { a.Session.Start = config.SessionStartImmediately }, nil},
		{"unknown start", func(a *args) { a.Session.Start = "leading" }, []string{"FieldValueNotSupported session.start"}},
		{"no command", func(a *args) { a.Placeholder.Command = []string{} }, []string{"FieldValueRequired placeholder.command"}},
		{"empty program", func(a *args) { a.Placeholder.Command = []string{"", "x"} }, []string{"FieldValueInvalid placeholder.command[0]"}},
		{"empty argument", func(a *args) { a.Placeholder.Command = []string{"x", ""} }, nil},
		{"all errors at once", func(a *args) { *a = args{} }, []string{
			"FieldValueRequired masters", "FieldValueNotSupported authentication.tokenScheme", "FieldValueRequired framework.name", "FieldValueRequired framework.user",
			"FieldValueRequired framework.role", "FieldValueInvalid framework.failoverTimeout", "FieldValueNotSupported framework.onRemoved",
			"FieldValueInvalid frameworkIDConfigMap.namespace", "FieldValueInvalid frameworkIDConfigMap.name",
			"FieldValueRequired defaultRequests[cpu]", "FieldValueRequired defaultRequests[memory]",
			"FieldValueInvalid launchTimeout", "FieldValueInvalid offers.maxHold", "FieldValueInvalid offers.refuseForeign",
			"FieldValueInvalid offers.reviveEvery", "FieldValueInvalid offers.surplusAfter", "FieldValueInvalid offers.refuseSurplus",
			"FieldValueInvalid offers.maxTasksPerAccept", "FieldValueNotSupported offers.constraints",
			"FieldValueInvalid offers.maxConstraintHosts", "FieldValueNotSupported offers.minAllocatable", "FieldValueNotSupported session.start",
			"FieldValueInvalid session.callTimeout", "FieldValueInvalid session.heartbeatMisses",
			"FieldValueInvalid session.maxRecordBytes", "FieldValueInvalid session.backoffInitial",
			"FieldValueInvalid session.backoffMax", "FieldValueRequired placeholder.command",
			"FieldValueInvalid roles.updatePeriod", "FieldValueNotSupported reservations.policy",
			"FieldValueNotSupported resources.hostPorts", "FieldValueRequired resources.gpus.resourceName",
			"FieldValueNotSupported resources.gpus.agents", "FieldValueInvalid quota.pollPeriod",
			"FieldValueNotSupported claims.onLost", "FieldValueInvalid claims.evictionsPerMinute", "FieldValueInvalid claims.evictionBurst",
			"FieldValueInvalid claims.evictionPercent", "FieldValueInvalid claims.evictionWindow",
			"FieldValueNotSupported maintenance.cordonedNodes"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { judgeFields(t, tt.set, tt.want) })
	}
}

// judgeFields changes valid arguments and compares the errors, and checks that
// validation leaves them as they are.
func judgeFields(t *testing.T, set func(*config.MesosOffersArgs), want []string) {
	t.Helper()
	args := validArgs(t)
	set(args)
	before := args.DeepCopy()
	errs := validation.ValidateMesosOffersArgs(nil, args)
	if diff := cmp.Diff(want, summary(errs)); diff != "" {
		t.Errorf("errors (-want +got):\n%s\n%v", diff, errs)
	}
	if diff := cmp.Diff(before, args); diff != "" {
		t.Errorf("validation changed the arguments (-before +after):\n%s", diff)
	}
}

func TestPathPrefix(t *testing.T) {
	args := validArgs(t)
	args.Framework.Role = "/a"
	path := field.NewPath("profiles").Index(1).Child("pluginConfig").Index(0).Child("args")
	errs := validation.ValidateMesosOffersArgs(path, args)
	const want = `profiles[1].pluginConfig[0].args.framework.role: Invalid value: "/a": must not begin or end with a slash nor have two in a row`
	if len(errs) != 1 || errs[0].Error() != want {
		t.Errorf("got %v, want %q", errs, want)
	}
}

func TestRole(t *testing.T) {
	tests := map[string]bool{
		"*": true, "batch": true, "engineering/batch": true, "a-b": true, "a.b/..c/...": true, "ü": true, "a*": true,
		"": false, "/": false, "/a": false, "a/": false, "a//b": false, ".": false, "..": false, "a/./b": false, "a/..": false,
		"-": false, "-a": false, "a/-b": false, "a/*": false, "*/a": false,
		"a\tb": false, "a\nb": false, "a\vb": false, "a\fb": false, "a\rb": false, "a b": false, "a\x7fb": false,
	}
	for role, valid := range tests {
		args := validArgs(t)
		args.Framework.Role = role
		errs := validation.ValidateMesosOffersArgs(nil, args)
		if got := len(errs) == 0; got != valid {
			t.Errorf("role %q valid: %t, want %t: %v", role, got, valid, errs)
		}
		for _, err := range errs {
			if err.Field != "framework.role" {
				t.Errorf("role %q: error of %s", role, err.Field)
			}
		}
	}
}
