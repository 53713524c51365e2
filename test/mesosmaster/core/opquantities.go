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
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/master"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// The build of the Mesos the emulator follows and was compared with; it presents
// itself as that one.
const (
	GitSHA    = "c1b42f79d157aa900be5cbb0c1023f1479962aa7"
	GitBranch = "refs/heads/local-build"
	BuildDate = "2026-11-23 06:40:47 UTC"
	BuildTime = 1795416047.0
)

func (m *Master) versionInfo() mesos.VersionInfo {
	return mesos.VersionInfo{
		Version: m.cfg.Version, GitSHA: ptr(GitSHA), GitBranch: ptr(GitBranch), BuildDate: ptr(BuildDate), BuildTime: ptr(BuildTime),
	}
}

// VersionObject is the body of GET /version.
func (m *Master) VersionObject() map[string]any {
	return object{
		"version": m.cfg.Version, "git_sha": GitSHA, "git_branch": GitBranch, "build_date": BuildDate, "build_time": BuildTime, "build_user": "",
	}
}

func (m *Master) masterReply() *master.Response_GetMaster {
	return &master.Response_GetMaster{MasterInfo: m.info, StartTime: ptr(seconds(m.begun)), ElectedTime: ptr(seconds(m.begun))}
}

func (m *Master) flagsReply() *master.Response_GetFlags {
	r := &master.Response_GetFlags{}
	flags := m.flags()
	for _, name := range sortedKeys(flags) {
		r.Flags = append(r.Flags, mesos.Flag{Name: name, Value: ptr(flags[name])})
	}
	return r
}

func (m *Master) metricsReply() *master.Response_GetMetrics {
	r := &master.Response_GetMetrics{}
	metrics := m.Metrics()
	for _, name := range sortedKeys(metrics) {
		r.Metrics = append(r.Metrics, mesos.Metric{Name: name, Value: ptr(metrics[name])})
	}
	return r
}

// weightsReply is nil while no weight was ever set: a master then leaves the
// member out altogether.
func (m *Master) weightsReply() *master.Response_GetWeights {
	if len(m.registry.weights) == 0 {
		return nil
	}
	r := &master.Response_GetWeights{}
	for _, role := range sortedKeys(m.registry.weights) {
		r.WeightInfos = append(r.WeightInfos, mesos.WeightInfo{Role: ptr(role), Weight: m.registry.weights[role]})
	}
	return r
}

// roleHoldings is what is known of a role: its own frameworks, and what it and
// the roles below it use, are offered and have reserved.
type roleHoldings struct {
	frameworks              []string
	used, offered, reserved resource.Resources
}

// join adds a framework, once: it is subscribed to the role or uses something in
// it (Mesos master.cpp trackUnderRole). Frameworks come one after another.
func (h *roleHoldings) join(id string) {
	if n := len(h.frameworks); n == 0 || h.frameworks[n-1] != id {
		h.frameworks = append(h.frameworks, id)
	}
}

// knownRoles are the roles with frameworks, resources, reservations, weights or a
// place in the whitelist, and all roles above them (Mesos master.cpp
// Master::knownRoles, RoleResourceBreakdown).
func (m *Master) knownRoles() map[string]*roleHoldings {
	by := map[string]*roleHoldings{}
	// upwards calls do for a role and for those above it, which it makes known.
	upwards := func(role string, do func(*roleHoldings)) {
		for {
			if by[role] == nil {
				by[role] = &roleHoldings{}
			}
			do(by[role])
			i := strings.LastIndexByte(role, '/')
			if i < 0 {
				return
			}
			role = role[:i]
		}
	}
	nothing := func(*roleHoldings) {}
	for _, role := range m.cfg.Roles {
		upwards(role, nothing)
	}
	for role := range m.registry.weights {
		upwards(role, nothing)
	}
	for role := range m.registry.quotas {
		upwards(role, nothing)
	}
	for _, id := range sortedKeys(m.frameworks) {
		m.frameworks[id].holdings(by, upwards)
	}
	for _, a := range m.order {
		for i := range a.total {
			if role := a.total[i].Flavor.Role(); role != "" {
				upwards(role, func(h *roleHoldings) { h.reserved = h.reserved.Add(a.total[i : i+1]) })
			}
		}
	}
	return by
}

// quantities are the scalars of resources by name, whatever their reservations.
func quantities(rs resource.Resources) map[string]float64 {
	out := map[string]float64{}
	for i := range rs {
		if rs[i].Kind == resource.Scalar {
			out[rs[i].Name] = units(rs, rs[i].Name)
		}
	}
	return out
}

// rolesReply shows what a role and those below it hold and are offered.
func (m *Master) rolesReply() *master.Response_GetRoles {
	r := &master.Response_GetRoles{}
	known := m.knownRoles()
	for _, name := range sortedKeys(known) {
		h := known[name]
		role := mesos.Role{Name: name, Weight: m.weightOf(name)}
		for _, id := range h.frameworks {
			role.Frameworks = append(role.Frameworks, mesos.FrameworkID{Value: id})
		}
		sums := quantities(h.used.Add(h.offered))
		for _, res := range sortedKeys(sums) {
			role.Resources = append(role.Resources, mesos.Resource{
				Name: res, Type: mesos.SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: sums[res]},
			})
		}
		r.Roles = append(r.Roles, role)
	}
	return r
}

func (m *Master) weightOf(role string) float64 {
	if w := m.registry.weights[role]; w > 0 {
		return w
	}
	return 1
}

// holdings adds what a framework has to its roles and, by upwards, to those above.
func (f *framework) holdings(by map[string]*roleHoldings, upwards func(role string, do func(*roleHoldings))) {
	for _, role := range sortedKeys(f.roles) {
		upwards(role, func(*roleHoldings) {})
		by[role].join(f.id)
	}
	for _, t := range f.tasks {
		if t.charged {
			upwards(t.role, func(h *roleHoldings) { h.used = h.used.Add(t.res) })
			by[t.role].join(f.id)
		}
	}
	for _, e := range f.executors {
		upwards(e.role, func(h *roleHoldings) { h.used = h.used.Add(e.res) })
		by[e.role].join(f.id)
	}
	for _, o := range f.offers {
		upwards(o.role, func(h *roleHoldings) { h.offered = h.offered.Add(o.res) })
	}
}
