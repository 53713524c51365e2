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

package components

import (
	"fmt"
	"path/filepath"
	"strconv"
	"time"
)

// Addresses inside of the cluster. Nothing routes them: no container runs.
const (
	ServiceCIDR = "10.96.0.0/16"
	PodCIDR     = "10.244.0.0/16"
)

// FrontProxyUser is the only name that may speak for others.
const FrontProxyUser = "front-proxy-client"

// Ports are the TCP ports on 127.0.0.1 the components listen on.
type Ports struct {
	EtcdClient        int `json:"etcdClient"`
	EtcdPeer          int `json:"etcdPeer"`
	APIServer         int `json:"apiServer"`
	ControllerManager int `json:"controllerManager"`
	Scheduler         int `json:"scheduler"`
	MesosMaster       int `json:"mesosMaster"`
}

// Settings is all that the components' arguments depend on.
type Settings struct {
	// DataDir holds the database, PKIDir certificates and kubeconfig files
	// named after the components.
	DataDir, PKIDir string
	Ports           Ports
	// Ephemeral clusters do not flush their database to disk.
	Ephemeral bool
	// Verbosity is the -v of the Kubernetes components.
	Verbosity int
	// SchedulerConfig is the path of the KubeSchedulerConfiguration.
	SchedulerConfig string
	// Emulator describes the emulated Mesos master.
	Emulator Emulator
}

// Emulator describes the emulated Mesos cluster.
type Emulator struct {
	// Agents is how many agents there are, Resources what each has, in Mesos'
	// text form.
	Agents    int
	Resources string
	// NeighbourAgents is how many agents' worth of resources another framework
	// takes, for NeighbourHold each time.
	NeighbourAgents int
	NeighbourHold   time.Duration
}

// Local returns "127.0.0.1:port".
func Local(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

// Args returns the arguments of a component, without its name.
func (s Settings) Args(name Name) ([]string, error) {
	switch name {
	case Etcd:
		return s.etcd(), nil
	case APIServer:
		return s.apiServer(), nil
	case ControllerManager:
		return s.controllerManager(), nil
	case Kwok:
		return s.kwok(), nil
	case MesosMaster:
		return s.mesosMaster(), nil
	case Scheduler:
		return s.scheduler(), nil
	}
	return nil, fmt.Errorf("no arguments are known for component %q", name)
}

func (s Settings) pki(file string) string { return filepath.Join(s.PKIDir, file) }

func (s Settings) kubeconfig(name Name) string { return s.pki(string(name) + ".kubeconfig") }

func (s Settings) verbosity() string { return "-v=" + strconv.Itoa(s.Verbosity) }

func (s Settings) etcd() []string {
	return []string{
		"--data-dir=" + filepath.Join(s.DataDir, "etcd"),
		"--client-url=https://" + Local(s.Ports.EtcdClient),
		"--peer-url=https://" + Local(s.Ports.EtcdPeer),
		"--pki-dir=" + s.PKIDir,
		"--unsafe-no-fsync=" + strconv.FormatBool(s.Ephemeral),
	}
}

func (s Settings) apiServer() []string {
	return []string{
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		// No endpoints of the service "kubernetes": loopback is refused there.
		"--endpoint-reconciler-type=none",
		"--secure-port=" + strconv.Itoa(s.Ports.APIServer),
		"--tls-cert-file=" + s.pki("kube-apiserver.crt"),
		"--tls-private-key-file=" + s.pki("kube-apiserver.key"),
		"--client-ca-file=" + s.pki("ca.crt"),
		"--etcd-servers=https://" + Local(s.Ports.EtcdClient),
		"--etcd-cafile=" + s.pki("ca.crt"),
		"--etcd-certfile=" + s.pki("etcd-client.crt"),
		"--etcd-keyfile=" + s.pki("etcd-client.key"),
		// Who may speak for others, as an aggregating apiserver does. Without it
		// every component that delegates authentication complains for ever.
		"--requestheader-client-ca-file=" + s.pki("ca.crt"),
		"--requestheader-allowed-names=" + FrontProxyUser,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + s.pki("front-proxy.crt"),
		"--proxy-client-key-file=" + s.pki("front-proxy.key"),
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + s.pki("service-accounts.pub"),
		"--service-account-signing-key-file=" + s.pki("service-accounts.key"),
		"--service-cluster-ip-range=" + ServiceCIDR,
		"--allow-privileged=true",
		"--profiling=false",
		s.verbosity(),
	}
}

func (s Settings) controllerManager() []string {
	kubeconfig := s.kubeconfig(ControllerManager)
	return []string{
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(s.Ports.ControllerManager),
		"--tls-cert-file=" + s.pki("kube-controller-manager.crt"),
		"--tls-private-key-file=" + s.pki("kube-controller-manager.key"),
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + s.pki("service-accounts.key"),
		"--root-ca-file=" + s.pki("ca.crt"),
		"--service-cluster-ip-range=" + ServiceCIDR,
		"--leader-elect=false",
		// Everything but what needs a cloud, a metrics server or certificates.
		"--controllers=*,-node-ipam-controller,-node-route-controller,-service-lb-controller," +
			"-cloud-node-lifecycle-controller,-horizontal-pod-autoscaler-controller," +
			"-certificatesigningrequest-signing-controller",
		// One machine serves all controllers: their default of 20 requests a
		// second would be what a user measures.
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
		"--profiling=false",
		s.verbosity(),
	}
}

func (s Settings) kwok() []string {
	return []string{
		"--kubeconfig=" + s.kubeconfig(Kwok),
		"--config=" + s.StagesPath(),
		"--manage-all-nodes=true",
		"--node-lease-duration-seconds=40",
		"--node-ip=127.0.0.1",
		// No kubelet port: it would listen on all addresses.
		"--node-port=0",
		"--cidr=" + PodCIDR,
	}
}

// StagesPath is where KWOK reads Stages.
func (s Settings) StagesPath() string { return filepath.Join(s.DataDir, "kwok-stages.yaml") }

// Env returns what is added to a component's environment, as "KEY=value".
func (s Settings) Env(name Name) []string {
	if name == Kwok {
		// Otherwise a configuration in the user's home folder is read too.
		return []string{"KWOK_WORKDIR=" + filepath.Join(s.DataDir, "kwok")}
	}
	return nil
}

func (s Settings) mesosMaster() []string {
	args := []string{
		"--listen=" + Local(s.Ports.MesosMaster),
		"--agents=" + strconv.Itoa(s.Emulator.Agents),
		"--agent-hostname-format=node-%03d",
		"--agent-resources=" + s.Emulator.Resources,
	}
	if s.Emulator.NeighbourAgents > 0 {
		args = append(args,
			"--neighbour-agents="+strconv.Itoa(s.Emulator.NeighbourAgents),
			"--neighbour-hold="+s.Emulator.NeighbourHold.String())
	}
	return args
}

func (s Settings) scheduler() []string {
	kubeconfig := s.kubeconfig(Scheduler)
	return []string{
		"--config=" + s.SchedulerConfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(s.Ports.Scheduler),
		"--tls-cert-file=" + s.pki("kube-mesos-scheduler.crt"),
		"--tls-private-key-file=" + s.pki("kube-mesos-scheduler.key"),
		s.verbosity(),
	}
}
