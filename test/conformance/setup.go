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

// masterFlags reads the flags of the master that change what it says.
func (c *cluster) masterFlags(args []string) error {
	pings, ping := 5, 15*time.Second
	for _, arg := range args {
		name, value, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		var err error
		switch name {
		case "allocation_interval":
			c.cfg.AllocationInterval, err = parseDuration(value)
		case "agent_ping_timeout":
			ping, err = parseDuration(value)
		case "max_agent_ping_timeouts":
			pings, err = strconv.Atoi(value)
		case "offer_timeout":
			c.cfg.OfferTimeout, err = parseDuration(value)
		case "roles":
			c.cfg.Roles = strings.Split(value, ",")
		case "no-root_submissions":
			c.cfg.NoRootSubmissions = true
		case "filter_gpu_resources":
			c.cfg.KeepGPUsForAll = value == "false"
		case "domain":
			c.cfg.Region, c.cfg.Zone, err = parseDomain(value)
		case "cluster":
			c.cfg.Cluster = value
		case "ip":
			c.cfg.IP = value
		case "hostname":
			c.cfg.Hostname = value
		case "port":
			c.cfg.Port, err = strconv.Atoi(value)
		case "work_dir", "webui_dir", "log_dir", "zk", "quorum":
			if c.cfg.Flags == nil {
				c.cfg.Flags = map[string]string{}
			}
			c.cfg.Flags[name] = value
		case
			"http_framework_authenticators", "no-authenticate_agents", "authenticate_agents":
		case "authenticate_http_frameworks":
			c.cfg.Authentication.Frameworks = true
		case "authenticate_http_readwrite":
			c.cfg.Authentication.Readwrite = true
		case "authenticate_http_readonly":
			c.cfg.Authentication.Readonly = true
		case "credentials":
			c.cfg.Authentication.Credentials = recordedCredentials
		default:
			err = fmt.Errorf("master flag %s is not understood", name)
		}
		if err != nil {
			return err
		}
	}
	c.cfg.AgentPingTimeout, c.cfg.AgentPings = ping*time.Duration(pings), pings
	return nil
}

// agentConfig builds the configuration of agent n, from 1. The line holds the
// flags of the first agent only; the knobs tell what was different for others.
func agentConfig(k knobs, args []string, n int) (mesosmaster.AgentConfig, error) {
	a := mesosmaster.AgentConfig{Hostname: "node-" + strconv.Itoa(n)}
	for _, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--port="); ok {
			port, err := strconv.Atoi(value)
			if err != nil {
				return a, fmt.Errorf("agent flag %s: %w", arg, err)
			}
			a.Port = port + n - 1
		}
		if value, ok := strings.CutPrefix(arg, "--ip="); ok {
			a.IP = value
		}
	}
	res, ok := k.perAgent("RESOURCES", n)
	if !ok {
		res = "cpus:16;mem:32768;disk:100000;ports:[31000-32000]"
	}
	if !strings.HasPrefix(res, "[") {
		if !strings.Contains(res, "mem") {
			res += ";mem:" + machineMem
		}
		if !strings.Contains(res, "disk") {
			res += ";disk:" + machineDisk
		}
		if !strings.Contains(res, "ports") {
			res += ";ports:[31000-32000]"
		}
		if r, ok := k["RESERVE"]; ok {
			p := strings.Split(r, ":")
			res += fmt.Sprintf(";cpus(%s):%s;mem(%s):%s", p[0], p[1], p[0], p[2])
		}
		r, ok := k["REVOCABLE"]
		if !ok && strings.Contains(k["AGENT_FLAGS"], "FixedResourceEstimator") {
			r, ok = recordedEstimate, true
		}
		if ok {
			for _, x := range strings.Split(r, ";") {
				name, value, _ := strings.Cut(x, ":")
				res += fmt.Sprintf(";%s{REV}:%s", name, value)
			}
		}
	}
	a.Resources = res
	attributes, ok := k.perAgent("ATTRIBUTES", n)
	if !ok {
		attributes = fmt.Sprintf("rack:r%d;zone:z%d;node:node-%d", (n+1)%2+1, n, n)
	}
	a.AttributeText = attributes
	a.WorkDir = fmt.Sprintf("<workdir>/agent%d/work", n)
	for _, arg := range args {
		if err := agentFlag(&a, arg); err != nil {
			return a, err
		}
	}
	return a, nil
}

// agentFlag reads a flag of agents that changes what is said of them.
func agentFlag(a *mesosmaster.AgentConfig, arg string) (err error) {
	name, value, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
	switch name {
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
