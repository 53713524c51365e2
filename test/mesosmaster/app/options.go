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

package app

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/allocator"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// Options are the command's flags.
type Options struct {
	Listen          string
	Masters         int
	ZooKeeperListen string
	SessionTimeout  time.Duration
	ControlListen   string
	PortFile        string
	Seed            int64

	Agents              int
	AgentHostnameFormat string
	AgentResources      string
	AgentsFromFile      string
	RunExecutors        string
	Users               []string

	AllocationInterval time.Duration
	OfferTimeout       time.Duration
	MinAllocatable     string
	FilterGPUs         bool
	Roles              []string
	Weights            map[string]string
	QuotaLimits        []string
	QuotaGuarantees    []string
	PingTimeout        time.Duration
	Region, Zone       string

	AuthFrameworks, AuthReadonly, AuthReadwrite bool
	Credentials                                 string
	SSLCertFile, SSLKeyFile, SSLCAFile          string

	LaunchDelay     time.Duration
	KillDelay       time.Duration
	NeighbourAgents int
	NeighbourHold   time.Duration
	NeighbourRest   time.Duration
}

func (o *Options) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.Listen, "listen", "127.0.0.1:5050", "host:port to listen on; port 0 takes any free one; further masters take the ports after it")
	fs.IntVar(&o.Masters, "masters", 1, "number of masters, of which ZooKeeper elects one")
	fs.StringVar(&o.ZooKeeperListen, "zookeeper-listen", "127.0.0.1:2181", "host:port of the emulated ZooKeeper of several masters")
	fs.DurationVar(&o.SessionTimeout, "zk-session-timeout", 10*time.Second, "time ZooKeeper waits for a master that is silent")
	fs.StringVar(&o.ControlListen, "control-listen", "", "host:port of an interface without credentials that kills masters, agents and tasks on demand, see the README; none by default")
	fs.StringVar(&o.PortFile, "port-file", "", "file to write the addresses listened on to, one a line: the masters', the ZooKeeper's if there are several masters, the control interface's if there is one")
	fs.Int64Var(&o.Seed, "seed", 0, "seed of ids and of the order of agents; 0 takes a random one")

	fs.IntVar(&o.Agents, "agents", 3, "number of emulated agents")
	fs.StringVar(&o.AgentHostnameFormat, "agent-hostname-format", "node-%03d", "host names of the agents, numbered from 0")
	fs.StringVar(&o.AgentResources, "agent-resources", "cpus:4;mem:16384;disk:100000;ports:[31000-32000]",
		"resources of each agent, in the form of the Mesos agent's --resources; (role) reserves, {REV} makes revocable")
	fs.StringVar(&o.AgentsFromFile, "agents-from-file", "", "JSON list of agents to use instead of --agents: hostname, resources, attributes, region, zone, ip, port, load_threshold")
	fs.StringSliceVar(&o.Users, "users", currentUser(), "users of the agents' machines, besides root, nobody and the like; tasks of others are dropped")
	fs.StringVar(&o.RunExecutors, "run-executors", "", "directory for sandboxes: run the commands of custom executors as processes of this machine and let them use the executor API; only for frameworks you trust")

	fs.DurationVar(&o.AllocationInterval, "allocation-interval", time.Second, "time between allocation runs")
	fs.DurationVar(&o.OfferTimeout, "offer-timeout", 0, "time after which offers are rescinded; 0 for never")
	fs.StringVar(&o.MinAllocatable, "min-allocatable-resources", "", "what an offer must hold at least, in the form cpus:0.01|mem:32, which is the default")
	fs.BoolVar(&o.FilterGPUs, "filter-gpu-resources", true, "offer agents with GPUs only to frameworks with GPU_RESOURCES")
	fs.StringSliceVar(&o.Roles, "roles", nil, "the roles allowed; all if none is named")
	fs.StringToStringVar(&o.Weights, "weights", nil, "weights of roles, such as batch=2,web=1.5")
	fs.StringArrayVar(&o.QuotaLimits, "quota-limit", nil, "upper bound of a top-level role, such as batch=cpus:4;mem:1024; may be repeated")
	fs.StringArrayVar(&o.QuotaGuarantees, "quota-guarantee", nil, "what a top-level role is promised, in the same form")
	fs.DurationVar(&o.PingTimeout, "agent-ping-timeout", 75*time.Second, "time after which a silent agent is unreachable")
	fs.StringVar(&o.Region, "region", "", "region of the masters' fault domain")
	fs.StringVar(&o.Zone, "zone", "", "zone of the masters' fault domain")

	fs.BoolVar(&o.AuthFrameworks, "authenticate-http-frameworks", false, "ask schedulers for credentials")
	fs.BoolVar(&o.AuthReadonly, "authenticate-http-readonly", false, "ask readers of state for credentials")
	fs.BoolVar(&o.AuthReadwrite, "authenticate-http-readwrite", false, "ask users of the operator API for credentials")
	fs.StringVar(&o.Credentials, "credentials", "", `file with principals and secrets, in the form of Mesos: {"credentials":[{"principal":"p","secret":"s"}]}`)

	fs.StringVar(&o.SSLCertFile, "ssl-cert-file", "", "PEM file with the masters' certificate: they speak https, alone; also needs --ssl-key-file")
	fs.StringVar(&o.SSLKeyFile, "ssl-key-file", "", "PEM file with the certificate's private key")
	fs.StringVar(&o.SSLCAFile, "ssl-ca-file", "", "PEM file with authorities, one of which must vouch for the certificate that every client then has to show; none is asked for by default")

	fs.DurationVar(&o.LaunchDelay, "launch-delay", 0, "time an agent takes to start a task")
	fs.DurationVar(&o.KillDelay, "kill-delay", 0, "time a task takes to die")
	fs.IntVar(&o.NeighbourAgents, "neighbour-agents", 0, "number of agents a neighbour framework takes whole; 0 for none")
	fs.DurationVar(&o.NeighbourHold, "neighbour-hold", time.Minute, "time the neighbour keeps an agent; 0 for ever")
	fs.DurationVar(&o.NeighbourRest, "neighbour-rest", 10*time.Second, "time the neighbour waits before it takes an agent again")
}

// config is what the flags say of masters and agents.
func (o *Options) config() (mesosmaster.Config, error) {
	var none mesosmaster.Config
	if o.Agents < 0 || o.NeighbourAgents < 0 {
		return none, errors.New("--agents and --neighbour-agents must not be negative")
	}
	if o.Masters < 1 {
		return none, errors.New("--masters must be at least 1")
	}
	if o.Masters > 1 && o.NeighbourAgents > 0 {
		return none, errors.New("--neighbour-agents works with one master only")
	}
	cfg := mesosmaster.Config{
		AllocationInterval: o.AllocationInterval, LaunchDelay: o.LaunchDelay, KillDelay: o.KillDelay, Seed: o.Seed,
		OfferTimeout: o.OfferTimeout, KeepGPUsForAll: !o.FilterGPUs, Roles: o.Roles, Users: o.Users, AgentPingTimeout: o.PingTimeout,
		Region: o.Region, Zone: o.Zone,
	}
	if cfg.Seed == 0 {
		cfg.Seed = time.Now().UnixNano()
	}
	var err error
	if cfg.Agents, err = o.agents(); err != nil {
		return none, err
	}
	if cfg.MinAllocatable, err = minAllocatable(o.MinAllocatable); err != nil {
		return none, err
	}
	if cfg.Weights, err = weights(o.Weights); err != nil {
		return none, err
	}
	if cfg.Quotas, err = quotas(o.QuotaLimits, o.QuotaGuarantees); err != nil {
		return none, err
	}
	if cfg.TLS, err = o.tls(); err != nil {
		return none, err
	}
	cfg.Authentication, err = o.authentication()
	return cfg, err
}

// scalars reads "cpus:0.01;mem:32" as thousandths by name.
func scalars(text string) (map[string]int64, error) {
	rs, err := resource.Parse(text)
	if err != nil {
		return nil, err
	}
	out := map[string]int64{}
	for i := range rs {
		if rs[i].Kind != resource.Scalar || rs[i].Flavor.Role() != "" || rs[i].Flavor.Revocable() {
			return nil, fmt.Errorf("%q: want plain scalars only, such as cpus:4;mem:1024", text)
		}
		out[rs[i].Name] += rs[i].Milli
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%q names no resource", text)
	}
	return out, nil
}

func minAllocatable(text string) ([]map[string]int64, error) {
	if text == "" {
		return nil, nil
	}
	var out []map[string]int64
	for _, set := range strings.Split(text, "|") {
		milli, err := scalars(set)
		if err != nil {
			return nil, fmt.Errorf("--min-allocatable-resources: %w", err)
		}
		out = append(out, milli)
	}
	return out, nil
}

func weights(text map[string]string) (map[string]float64, error) {
	out := map[string]float64{}
	for role, value := range text {
		w, err := strconv.ParseFloat(value, 64)
		if err != nil || !(w > 0) {
			return nil, fmt.Errorf("--weights: %s=%s: want a number above zero", role, value)
		}
		out[role] = w
	}
	return out, nil
}

func quotas(limits, guarantees []string) (map[string]allocator.Quota, error) {
	out := map[string]allocator.Quota{}
	read := func(flag string, list []string, set func(q *allocator.Quota, milli map[string]int64)) error {
		for _, text := range list {
			role, rest, _ := strings.Cut(text, "=")
			milli, err := scalars(rest)
			if err == nil && (role == "" || strings.Contains(role, "/")) {
				err = fmt.Errorf("%q: want a top-level role", role)
			}
			if err != nil {
				return fmt.Errorf("%s %q: %w", flag, text, err)
			}
			q := out[role]
			set(&q, milli)
			out[role] = q
		}
		return nil
	}
	err := errors.Join(
		read("--quota-limit", limits, func(q *allocator.Quota, milli map[string]int64) { q.Limits = allocator.LimitsOf(milli) }),
		read("--quota-guarantee", guarantees, func(q *allocator.Quota, milli map[string]int64) { q.Guarantees = allocator.QuantitiesOf(milli) }),
	)
	return out, err
}

// currentUser is who runs this process, if that is known: the user whom a
// framework on the same machine most likely names.
func currentUser() []string {
	u, err := user.Current()
	if err != nil || u.Username == "" {
		return nil
	}
	return []string{u.Username}
}
