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

package core

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/master"
	"github.com/mesos/mesos-go/api/v1/lib/quota"
)

func scalars(cpus, mem float64) map[string]mesos.Value_Scalar {
	out := map[string]mesos.Value_Scalar{}
	if cpus != 0 {
		out["cpus"] = mesos.Value_Scalar{Value: cpus}
	}
	if mem != 0 {
		out["mem"] = mesos.Value_Scalar{Value: mem}
	}
	return out
}

// offered sums up a scalar over offers.
func offered(offers []mesos.Offer, name string) (sum float64) {
	for i := range offers {
		for _, r := range offers[i].Resources {
			if r.Name == name {
				sum += r.GetScalar().GetValue()
			}
		}
	}
	return sum
}

func (c *cluster) updateQuota(force bool, configs ...quota.QuotaConfig) Response {
	c.t.Helper()
	return c.operate(&master.Call{Type: master.Call_UPDATE_QUOTA, UpdateQuota: &master.Call_UpdateQuota{Force: &force, QuotaConfigs: configs}})
}

// Refusals of UPDATE_QUOTA leave everything as it was.
func TestUpdateQuotaRefused(t *testing.T) {
	c := newCluster(t, Config{Roles: []string{"a", "b", "*", "a/b", "-x"}}, node(1))
	limit := func(role string, limits map[string]mesos.Value_Scalar) quota.QuotaConfig {
		return quota.QuotaConfig{Role: role, Limits: limits}
	}
	for _, tc := range []struct {
		config quota.QuotaConfig
		want   string
	}{
		{limit("zzz", nil), "Invalid QuotaConfig: 'zzz' is not on the roles whitelist"},
		{limit("a/b", nil), "Updating quota on nested role 'a/b' is not supported yet"},
		{limit("-x", nil), "Invalid QuotaConfig: Invalid 'QuotaConfig.role': Role component '-x' is invalid because it starts with a dash"},
		{limit("a", scalars(-1, 0)), "Invalid QuotaConfig: Invalid limit configuration {'cpus': -1}: Negative values not supported"},
		{limit("a", scalars(math.NaN(), 0)), "Invalid QuotaConfig: Invalid limit configuration {'cpus': nan}: NaN not supported"},
		{limit("a", scalars(5e-324, 0)), "Invalid QuotaConfig: Invalid limit configuration {'cpus': 0}: Subnormal values not supported"},
		{limit("a", scalars(2e12, 0)), "Invalid QuotaConfig: Invalid 'QuotaConfig.limits': {'cpus': 2000000000000} is invalid: values greater than 1 trillion (1000000000000) are not supported"},
		{limit("a", scalars(0, 1<<41)), "Invalid QuotaConfig: Invalid 'QuotaConfig.limits': {'mem': 2199023255552} is invalid: values greater than 1 exabyte (1099511627776) are not supported"},
		{quota.QuotaConfig{Role: "a", Guarantees: scalars(math.Inf(1), 0)}, "Invalid QuotaConfig: Invalid 'QuotaConfig.guarantees': {'cpus': inf} is invalid: values greater than 1 trillion (1000000000000) are not supported"},
		{
			quota.QuotaConfig{Role: "a", Guarantees: scalars(2, 64), Limits: scalars(1, 64)},
			"Invalid QuotaConfig: 'QuotaConfig.guarantees' { cpus: 2, mem: 64 } is not contained within the 'QuotaConfig.limits' { cpus: 1, mem: 64 }",
		},
		{
			quota.QuotaConfig{Role: "a", Guarantees: scalars(17, 0)},
			"Invalid QuotaConfig: total quota guarantees 'cpus:17' exceed cluster capacity 'cpus:16; disk:100000; mem:32768' (use 'force' flag to bypass this check)",
		},
	} {
		if r := c.updateQuota(false, limit("b", scalars(1, 0)), tc.config); r.Status != 400 || r.Body != tc.want {
			t.Errorf("got %d %s\nwant %s", r.Status, r.Body, tc.want)
		}
	}
	if len(c.m.registry.quotas) != 0 {
		t.Errorf("refused, but %v is in force", c.m.registry.quotas)
	}
	if r := c.updateQuota(true, quota.QuotaConfig{Role: "a", Guarantees: scalars(17, 0)}); r.Status != 200 {
		t.Errorf("forced: %v", r)
	}
}

// Offers are taken back until a role, with those below it, is within its limit;
// and from others, until a guarantee could be met.
func TestQuotaRescinds(t *testing.T) {
	c := newCluster(t, Config{}, node(1), node(2), node(3))
	f := c.subscribe(info("eng/dev"))
	if n := len(f.offers()); n != 3 {
		t.Fatalf("%d offers", n)
	}
	if r := c.updateQuota(false, quota.QuotaConfig{Role: "eng", Limits: scalars(20, 0)}); r.Status != 200 {
		t.Fatal(r)
	}
	if got := f.types(); !slices.Equal(got, []string{"RESCIND", "RESCIND"}) {
		t.Fatalf("48 cpus offered, 20 allowed: %v", got)
	}
	if r := c.updateQuota(false, quota.QuotaConfig{Role: "ops", Guarantees: scalars(0, 40_000)}); r.Status != 200 {
		t.Fatal(r)
	}
	if got := f.types(); !slices.Equal(got, []string{"RESCIND"}) {
		t.Fatalf("for the guarantee of another: %v", got)
	}
	c.pass(time.Second)
	if mem := offered(f.offers(), "mem"); mem != 3*32768-40_000 {
		t.Fatalf("%v MB are offered beside a guarantee of 40000", mem)
	}
}

// What a role uses counts against its limit; force puts it below.
func TestQuotaBelowUse(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	f := c.subscribe(info("a"))
	f.runTask("t", f.oneOffer(), "cpus:2;mem:512")
	f.take()
	low := quota.QuotaConfig{Role: "a", Limits: scalars(1, 0)}
	want := "Invalid QuotaConfig: Role 'a' is already consuming 'cpus:2; mem:512'; this is more than the requested limits 'cpus:1' (use 'force' flag to bypass this check)"
	if r := c.updateQuota(false, low); r.Status != 400 || r.Body != want {
		t.Fatalf("got %v", r)
	}
	if r := c.updateQuota(true, low); r.Status != 200 {
		t.Fatal(r)
	}
	c.pass(time.Second)
	if got := f.offers(); len(got) != 1 || offered(got, "cpus") != 0 {
		t.Fatalf("cpus are offered beyond the limit: %v", got)
	}
}

// Quotas outlive the master; the new one waits for most of its agents.
func TestQuotaSurvivesFailOver(t *testing.T) {
	c := newCluster(t, Config{}, node(1), node(2))
	if r := c.updateQuota(false, quota.QuotaConfig{Role: "a", Limits: scalars(3, 0)}, quota.QuotaConfig{Role: "b"}); r.Status != 200 {
		t.Fatal(r)
	}
	if got := c.m.quotaStatus().Configs; len(got) != 2 || got[1].Role != "b" {
		t.Fatalf("a role keeps its entry: %v", got)
	}
	c.m.FailOver(c.now)
	c.settle()
	if got := c.m.quotaStatus().Configs; len(got) != 1 || got[0].Limits["cpus"].Value != 3 {
		t.Fatalf("got %v", got)
	}
	f := c.subscribe(info("a"))
	c.pass(10 * time.Second)
	if got := f.offers(); len(got) != 2 || offered(got, "cpus") != 3 {
		t.Fatalf("got %v", got)
	}
}

// The older calls: a guarantee is a limit as well.
func TestLegacyQuota(t *testing.T) {
	c := newCluster(t, Config{Roles: []string{"a", "b", "a/b"}}, node(1), node(2))
	f := c.subscribe(info("b"))
	f.take()
	body := func(role, guarantee string, more string) []byte {
		return []byte(`{"role":"` + role + `","guarantee":[` + guarantee + `]` + more + `}`)
	}
	cpus := func(n string) string { return `{"name":"cpus","type":"SCALAR","scalar":{"value":` + n + `}}` }
	const failed = "Failed to validate set quota request: "
	for _, tc := range []struct {
		body   []byte
		status int
		want   string
	}{
		{[]byte("x"), 400, "Failed to parse set quota request JSON 'x': "},
		{[]byte(`{"role":1}`), 400, "Failed to validate set quota request JSON '{\"role\":1}': "},
		{[]byte(`{"guarantee":[` + cpus("1") + `]}`), 400, failed + "QuotaInfo must specify a role"},
		{body("a//b", cpus("1"), ""), 400, failed + "QuotaInfo with invalid role: Role 'a//b' cannot contain two adjacent slashes"},
		{body("a", "", ""), 400, failed + "QuotaInfo with empty 'guarantee'"},
		{body("a", cpus("-1"), ""), 400, "Failed to validate set quota request: QuotaInfo with invalid resource: Resource 'cpus:-1' is invalid: Invalid scalar resource: value <= 0"},
		{body("a", `{"name":"cpus","type":"SCALAR","scalar":{"value":1},"revocable":{}}`, ""), 400, failed + "QuotaInfo must not contain RevocableInfo"},
		{body("a", `{"name":"cpus","type":"SCALAR","scalar":{"value":1},"role":"x"}`, ""), 400, failed + "QuotaInfo must not contain any ReservationInfo"},
		{body("a", `{"name":"disk","type":"SCALAR","scalar":{"value":1},"disk":{}}`, ""), 400, failed + "QuotaInfo must not contain DiskInfo"},
		{body("a", `{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":1,"end":2}]}}`, ""), 400, failed + "QuotaInfo must not include non-scalar resources"},
		{body("a", cpus("1")+","+cpus("2"), ""), 400, failed + "QuotaInfo contains duplicate resource name 'cpus'"},
		{body("zzz", cpus("1"), ""), 400, failed + "Unknown role 'zzz'"},
		{body("a/b", cpus("1"), ""), 400, "Setting quota on nested role 'a/b' is not supported yet"},
		{body("a", cpus("33"), ""), 409, "Quota guarantees overcommit the cluster (use 'force' to bypass this check): Total quota guarantees 'cpus:33' exceed cluster capacity 'cpus:32; disk:200000; mem:65536'"},
		{body("a", cpus("16"), ""), 200, ""},
		{body("a", cpus("1"), ""), 400, failed + "Cannot set quota for role 'a' which already has quota"},
		{body("b", cpus("33"), `,"force":true`), 200, ""},
	} {
		r := c.m.SetQuota(c.now, tc.body)
		if r.Status != tc.status || !strings.HasPrefix(r.Body, tc.want) || tc.want == "" && r.Body != "" {
			t.Errorf("%s: got %d %s\nwant %d %s", tc.body, r.Status, r.Body, tc.status, tc.want)
		}
	}
	c.settle()
	if got := f.types(); !slices.Equal(got, []string{"RESCIND", "RESCIND"}) {
		t.Errorf("offers of one agent for the first, of the other for the second: %v", got)
	}
}

func TestLegacyQuotaRemoved(t *testing.T) {
	c := newCluster(t, Config{Roles: []string{"a", "b", "a/b"}}, node(1))
	for _, role := range []string{"a", "b"} {
		if r := c.updateQuota(false, quota.QuotaConfig{Role: role, Guarantees: scalars(1, 0)}); r.Status != 200 {
			t.Fatal(r)
		}
	}
	for _, tc := range []struct {
		path string
		want string
	}{
		{"/master/quota", "Failed to parse remove quota request for path '/master/quota': expected 3 tokens, found 2 tokens"},
		{"/master/quota/zzz", "Failed to validate remove quota request for path '/master/quota/zzz': Unknown role 'zzz'"},
		{"/master/quota/a/b", "Failed to remove quota for path '/master/quota/a/b': Role 'a/b' has no quota set"},
		{"/master/quota/a", ""},
	} {
		if r := c.m.RemoveQuota(c.now, tc.path); r.Body != tc.want || (r.Status == 200) != (tc.want == "") {
			t.Errorf("%s: got %v, want %s", tc.path, r, tc.want)
		}
	}
	remove := &master.Call{Type: master.Call_REMOVE_QUOTA, RemoveQuota: &master.Call_RemoveQuota{Role: "b"}}
	if r := c.operate(remove); r.Status != 200 {
		t.Error(r)
	}
	if r := c.operate(remove); r.Status != 400 || r.Body != "Failed to remove quota: Role 'b' has no quota set" {
		t.Error(r)
	}
	if b, err := json.Marshal(c.m.QuotaStatus()); err != nil || string(b) != "{}" {
		t.Errorf("%s %v", b, err)
	}
}

// Weights: refusals, and RESCINDs of everything if a role is in use.
func TestWeights(t *testing.T) {
	c := newCluster(t, Config{Roles: []string{"a", "b"}}, node(1), node(2))
	f := c.subscribe(info("a"))
	f.take()
	const failed = "Failed to validate update weights request JSON"
	for body, want := range map[string]string{
		"x":                           "Failed to parse update weights request JSON 'x': ",
		"{}":                          "Failed to parse update weights request JSON '{}': ",
		`[{"weight":"x"}]`:            "Failed to convert weights JSON array to protobuf '[{\"weight\":\"x\"}]': ",
		`[{"role":"","weight":1}]`:    failed + ": Invalid role '': Role names cannot be the empty string",
		`[{"role":"zzz","weight":1}]`: failed + ": Unknown role 'zzz'",
		`[{"role":"a","weight":0}]`:   failed + " for role 'a': Invalid weight '0': Weights must be positive",
		`[{"role":"b","weight":1.5},{"role":"a","weight":-1}]`: failed + " for role 'a': Invalid weight '-1': Weights must be positive",
	} {
		if r := c.m.UpdateWeights(c.now, []byte(body)); r.Status != 400 || !strings.HasPrefix(r.Body, want) {
			t.Errorf("%s: got %v\nwant %s", body, r, want)
		}
	}
	if r := c.m.UpdateWeights(c.now, []byte(`[{"role":"b","weight":1.5}]`)); r.Status != 200 {
		t.Fatal(r)
	}
	c.settle()
	if got := f.types(); len(got) != 0 {
		t.Fatalf("a role that is not in use: %v", got)
	}
	if r := c.m.UpdateWeights(c.now, []byte(`[{"role":" a ","weight":2}]`)); r.Status != 200 {
		t.Fatal(r)
	}
	c.settle()
	if got := f.types(); !slices.Equal(got, []string{"RESCIND", "RESCIND"}) {
		t.Fatalf("got %v", got)
	}
	b, err := json.Marshal(c.m.Weights())
	if want := `[{"weight":2.0,"role":"a"},{"weight":1.5,"role":"b"}]`; err != nil || string(b) != want {
		t.Errorf("got %s %v, want %s", b, err, want)
	}
}

// Resources excluded from fair sharing do not count for shares.
func TestFairSharingExcluded(t *testing.T) {
	for _, excluded := range [][]string{nil, {"gpus"}} {
		c := newCluster(t, Config{FairSharingExcluded: excluded})
		add := func(host, resources string) {
			if _, err := c.m.AddAgent(c.now, AgentConfig{Hostname: host, Resources: resources}); err != nil {
				t.Fatal(err)
			}
			c.settle()
		}
		a, b := info("a"), info("b")
		for _, f := range []*mesos.FrameworkInfo{a, b} {
			withCaps(f, mesos.FrameworkInfo_Capability_GPU_RESOURCES)
		}
		f, g := c.subscribe(a), c.subscribe(b)
		add("n1", "cpus:1;gpus:8") // to a, by name
		add("n2", "cpus:4")        // to b
		f.take()
		g.take()
		add("n3", "cpus:4")
		// a has all gpus but fewer cpus than b.
		if got := len(f.offers()) == 1; got != (excluded != nil) {
			t.Errorf("excluded %v: offered to a: %t", excluded, got)
		}
	}
}
