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

package conformance

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
	"github.com/kube-mesos/kube-mesos/test/recordings"
)

// cluster is what a "start cluster" line says of the master and its agents.
type cluster struct {
	cfg     mesosmaster.Config
	masters int
	auth    bool
	knobs   knobs
	// pings and ping are how often and how long a master waits for agents.
	pings int
	ping  time.Duration
}

// knobs are the recorder's own settings, from which it made the agents' flags.
type knobs map[string]string

// recordedCredentials are the secrets of the recordings' credentials file.
var recordedCredentials = map[string]string{"framework": "framework-secret", "ops": "ops-secret"}

// recordedEstimate is what the recorder's own file for the fixed estimator says.
const recordedEstimate = "cpus:4"

// perAgent is the knob of one agent, numbered from 1, or the one for all.
func (k knobs) perAgent(name string, n int) (string, bool) {
	if v, ok := k[name+"_"+strconv.Itoa(n)]; ok {
		return v, true
	}
	v, ok := k[name]
	return v, ok
}

// machineDisk and machineMem are what the recording machine's agents found, in MB,
// where no flag told them.
const (
	machineDisk = "252899"
	machineMem  = "23081"
)

// parseCluster turns a "start cluster" line into an emulator's configuration.
func parseCluster(l *recordings.Line) (*cluster, error) {
	var k knobs
	if err := json.Unmarshal(l.Knobs, &k); err != nil {
		return nil, fmt.Errorf("line %d: knobs: %w", l.Number, err)
	}
	c := &cluster{masters: 1, auth: k["AUTH"] != "", knobs: k}
	if n, ok := k["MASTERS"]; ok {
		var err error
		if c.masters, err = strconv.Atoi(n); err != nil {
			return nil, fmt.Errorf("line %d: MASTERS: %w", l.Number, err)
		}
	}
	if err := c.masterFlags(l.MasterArgs); err != nil {
		return nil, fmt.Errorf("line %d: %w", l.Number, err)
	}
	for i := 1; i <= l.Agents; i++ {
		a, err := agentConfig(k, l.AgentArgs, i)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", l.Number, err)
		}
		c.cfg.Agents = append(c.cfg.Agents, a)
	}
	return c, nil
}

// masterFlag are the flags of the master that change what it says.
var masterFlag = map[string]func(c *cluster, value string) error{
	"allocation_interval":     func(c *cluster, v string) error { return duration(&c.cfg.AllocationInterval, v) },
	"agent_ping_timeout":      func(c *cluster, v string) error { return duration(&c.ping, v) },
	"max_agent_ping_timeouts": func(c *cluster, v string) error { return number(&c.pings, v) },
	"offer_timeout":           func(c *cluster, v string) error { return duration(&c.cfg.OfferTimeout, v) },
	"port":                    func(c *cluster, v string) error { return number(&c.cfg.Port, v) },
	"roles":                   func(c *cluster, v string) error { c.cfg.Roles = strings.Split(v, ","); return nil },
	"no-root_submissions":     func(c *cluster, _ string) error { c.cfg.NoRootSubmissions = true; return nil },
	"filter_gpu_resources":    func(c *cluster, v string) error { c.cfg.KeepGPUsForAll = v == "false"; return nil },
	"cluster":                 func(c *cluster, v string) error { c.cfg.Cluster = v; return nil },
	"ip":                      func(c *cluster, v string) error { c.cfg.IP = v; return nil },
	"hostname":                func(c *cluster, v string) error { c.cfg.Hostname = v; return nil },
	"domain": func(c *cluster, v string) (err error) {
		c.cfg.Region, c.cfg.Zone, err = parseDomain(v)
		return err
	},
	"authenticate_http_frameworks": func(c *cluster, _ string) error { c.cfg.Authentication.Frameworks = true; return nil },
	"authenticate_http_readwrite":  func(c *cluster, _ string) error { c.cfg.Authentication.Readwrite = true; return nil },
	"authenticate_http_readonly":   func(c *cluster, _ string) error { c.cfg.Authentication.Readonly = true; return nil },
	"credentials": func(c *cluster, _ string) error {
		c.cfg.Authentication.Credentials = recordedCredentials
		return nil
	},
	// The only way to authenticate is the emulator's.
	"http_framework_authenticators": func(*cluster, string) error { return nil },
}

// toldFlag are the flags that a master only tells.
var toldFlag = map[string]bool{"work_dir": true, "webui_dir": true, "log_dir": true, "zk": true, "quorum": true}

// masterFlags reads the flags of a master.
func (c *cluster) masterFlags(args []string) error {
	c.pings, c.ping, c.cfg.Flags = 5, 15*time.Second, map[string]string{}
	for _, arg := range args {
		name, value, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		if toldFlag[name] {
			c.cfg.Flags[name] = value
			continue
		}
		set, ok := masterFlag[name]
		if !ok {
			return fmt.Errorf("master flag %s is not understood", name)
		}
		if err := set(c, value); err != nil {
			return fmt.Errorf("master flag %s: %w", arg, err)
		}
	}
	c.cfg.AgentPingTimeout, c.cfg.AgentPings = c.ping*time.Duration(c.pings), c.pings
	return nil
}

func duration(to *time.Duration, value string) (err error) {
	*to, err = parseDuration(value)
	return err
}

func number(to *int, value string) (err error) {
	*to, err = strconv.Atoi(value)
	return err
}

// agentConfig builds the configuration of agent n, from 1. The line holds the
// flags of the first agent only; the knobs tell what was different for others.
func agentConfig(k knobs, args []string, n int) (mesosmaster.AgentConfig, error) {
	attributes, ok := k.perAgent("ATTRIBUTES", n)
	if !ok {
		attributes = fmt.Sprintf("rack:r%d;zone:z%d;node:node-%d", (n+1)%2+1, n, n)
	}
	a := mesosmaster.AgentConfig{
		Hostname: "node-" + strconv.Itoa(n), Resources: agentResources(k, n), AttributeText: attributes,
		WorkDir: fmt.Sprintf("<workdir>/agent%d/work", n), Port: n - 1,
	}
	for _, arg := range args {
		if err := agentFlag(&a, arg); err != nil {
			return a, err
		}
	}
	return a, nil
}

// agentResources are the resources of agent n: its --resources, what it found on
// its machine, and what the recorder added.
func agentResources(k knobs, n int) string {
	res, ok := k.perAgent("RESOURCES", n)
	if !ok {
		res = "cpus:16;mem:32768;disk:100000;ports:[31000-32000]"
	}
	if strings.HasPrefix(res, "[") {
		return res // JSON tells all
	}
	for _, found := range []struct{ name, value string }{{"mem", machineMem}, {"disk", machineDisk}, {"ports", "[31000-32000]"}} {
		if !strings.Contains(res, found.name) {
			res += ";" + found.name + ":" + found.value
		}
	}
	if r, ok := k["RESERVE"]; ok {
		p := strings.Split(r, ":")
		res += fmt.Sprintf(";cpus(%s):%s;mem(%s):%s", p[0], p[1], p[0], p[2])
	}
	estimate := k["REVOCABLE"]
	if estimate == "" && strings.Contains(k["AGENT_FLAGS"], "FixedResourceEstimator") {
		estimate = recordedEstimate
	}
	if estimate == "" {
		return res
	}
	for _, x := range strings.Split(estimate, ";") {
		name, value, _ := strings.Cut(x, ":")
		res += fmt.Sprintf(";%s{REV}:%s", name, value)
	}
	return res
}

// agentFlag reads a flag of agents that changes what is said of them.
func agentFlag(a *mesosmaster.AgentConfig, arg string) (err error) {
	name, value, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
	switch name {
	case "port": // of the first agent; the others' follow
		var first int
		first, err = strconv.Atoi(value)
		a.Port += first
	case "ip":
		a.IP = value
	case "domain":
		a.Region, a.Zone, err = parseDomain(value)
	case "executor_registration_timeout":
		a.ExecutorRegistrationTimeout, err = parseDuration(value)
	case "executor_reregistration_timeout":
		a.ExecutorReregistrationTimeout, err = parseDuration(value)
	case "oversubscribed_resources_interval":
		a.OversubscribedInterval, err = parseDuration(value)
	case "qos_correction_interval_min":
		a.QoSInterval, err = parseDuration(value)
	case "qos_controller":
		a.LoadThreshold = 0.001 // below the load of any machine
	}
	if err != nil {
		return fmt.Errorf("agent flag %s: %w", arg, err)
	}
	return nil
}

// parseDuration reads stout's form of durations.
func parseDuration(s string) (time.Duration, error) {
	for suffix, unit := range map[string]string{"secs": "s", "mins": "m", "hrs": "h"} {
		if n, ok := strings.CutSuffix(s, suffix); ok {
			return time.ParseDuration(n + unit)
		}
	}
	return time.ParseDuration(s)
}

func parseDomain(s string) (region, zone string, err error) {
	var d struct {
		FaultDomain struct {
			Region, Zone struct {
				Name string `json:"name"`
			}
		} `json:"fault_domain"`
	}
	if err := json.Unmarshal([]byte(s), &d); err != nil {
		return "", "", fmt.Errorf("domain: %w", err)
	}
	return d.FaultDomain.Region.Name, d.FaultDomain.Zone.Name, nil
}
