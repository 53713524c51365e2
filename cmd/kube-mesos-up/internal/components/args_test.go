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
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	cliflag "k8s.io/component-base/cli/flag"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	controllermanagerapp "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	"sigs.k8s.io/kwok/pkg/config"
	"sigs.k8s.io/kwok/pkg/kwok/cmd"
)

var settings = Settings{
	DataDir: "/data", PKIDir: "/data/pki", Ephemeral: true, Verbosity: 3, SchedulerConfig: "/data/scheduler.yaml",
	Ports: Ports{EtcdClient: 1, EtcdPeer: 2, APIServer: 3, ControllerManager: 4, Scheduler: 5, MesosMaster: 6},
	Emulator: Emulator{
		Agents: 7, Resources: "cpus:1;mem:2", NeighbourAgents: 3, NeighbourHold: 90 * time.Second,
	},
}

func arguments(t *testing.T, name Name) []string {
	t.Helper()
	args, err := settings.Args(name)
	if err != nil {
		t.Fatal(err)
	}
	return args
}

// parse checks that a component knows its flags.
func parse(t *testing.T, name Name, flags cliflag.NamedFlagSets) {
	t.Helper()
	command := &cobra.Command{}
	for _, set := range flags.FlagSets {
		command.Flags().AddFlagSet(set)
	}
	if err := command.ParseFlags(arguments(t, name)); err != nil {
		t.Error(err)
	}
}

// isolated runs the calling test in a process of its own and returns false
// there; elsewhere it returns true when that process is done. Kubernetes
// components cannot share one: they add their feature gates to it.
func isolated(t *testing.T) bool {
	t.Helper()
	const env = "KUBE_MESOS_UP_TEST_ISOLATED"
	if os.Getenv(env) == t.Name() {
		return false
	}
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	command.Env = append(os.Environ(), env+"="+t.Name())
	out, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in a process of its own: %v\n%s", err, out)
	}
	return true
}

func TestAPIServerArgs(t *testing.T) {
	if isolated(t) {
		return
	}
	options := apiserver.NewServerRunOptions()
	parse(t, APIServer, options.Flags())
	if options.SecureServing.BindPort != 3 || options.SecureServing.BindAddress.String() != "127.0.0.1" {
		t.Errorf("serves on %s:%d", options.SecureServing.BindAddress, options.SecureServing.BindPort)
	}
	if modes := options.Authorization.Modes; !slices.Equal(modes, []string{"RBAC"}) {
		t.Errorf("authorization modes %v", modes)
	}
	if servers := options.Etcd.StorageConfig.Transport.ServerList; !slices.Equal(servers, []string{"https://127.0.0.1:1"}) {
		t.Errorf("etcd at %v", servers)
	}
}

// TestControllerManagerArgs makes sure that the controllers the workloads need
// run, and that the names of the excluded ones are known.
func TestControllerManagerArgs(t *testing.T) {
	if isolated(t) {
		return
	}
	options, err := controllermanager.NewKubeControllerManagerOptions()
	if err != nil {
		t.Fatal(err)
	}
	all := controllermanagerapp.KnownControllers()
	off := controllermanagerapp.ControllersDisabledByDefault()
	parse(t, ControllerManager, options.Flags(all, off, controllermanagerapp.ControllerAliases()))
	for _, name := range options.Generic.Controllers {
		if excluded, ok := strings.CutPrefix(name, "-"); ok && !slices.Contains(all, excluded) {
			t.Errorf("unknown controller %s", excluded)
		}
	}
	for _, needed := range []string{
		"deployment-controller", "replicaset-controller", "job-controller", "cronjob-controller", "statefulset-controller",
		"daemonset-controller", "endpointslice-controller", "namespace-controller", "serviceaccount-controller",
		"root-ca-certificate-publisher-controller", "pod-garbage-collector-controller", "garbage-collector-controller",
		"node-lifecycle-controller", "taint-eviction-controller", "disruption-controller", "resourcequota-controller",
	} {
		if !slices.Contains(all, needed) || slices.Contains(options.Generic.Controllers, "-"+needed) {
			t.Errorf("%s does not run", needed)
		}
	}
}

func TestKwokArgs(t *testing.T) {
	ctx, err := config.InitFlags(t.Context(), cmd.NewCommand(t.Context()).Flags())
	if err != nil {
		t.Fatal(err)
	}
	command := cmd.NewCommand(ctx)
	command.Flags().String("config", "", "read before the command is built")
	if err := command.ParseFlags(arguments(t, Kwok)); err != nil {
		t.Error(err)
	}
	want := []string{"KWOK_WORKDIR=/data/kwok"}
	if got := settings.Env(Kwok); !slices.Equal(got, want) {
		t.Errorf("environment %v", got)
	}
	if got := settings.Env(Etcd); got != nil {
		t.Errorf("environment of etcd %v", got)
	}
}

func TestMesosMasterArgs(t *testing.T) {
	want := []string{
		"--listen=127.0.0.1:6", "--agents=7", "--agent-hostname-format=node-%03d",
		"--agent-resources=cpus:1;mem:2", "--neighbour-agents=3", "--neighbour-hold=1m30s",
	}
	if diff := cmp.Diff(want, arguments(t, MesosMaster)); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
	alone := settings
	alone.Emulator.NeighbourAgents = 0
	args, err := alone.Args(MesosMaster)
	if diff := cmp.Diff(want[:4], args); err != nil || diff != "" {
		t.Errorf("without neighbours (-want +got): %v\n%s", err, diff)
	}
}

func TestEtcdConfig(t *testing.T) {
	cfg, err := etcdConfig(etcdFlags{
		dataDir: t.TempDir(), clientURL: "https://127.0.0.1:1", peerURL: "https://127.0.0.1:2", pkiDir: "/pki", noFsync: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
	if !cfg.UnsafeNoFsync || !cfg.ClientTLSInfo.ClientCertAuth || !cfg.PeerTLSInfo.ClientCertAuth {
		t.Errorf("fsync off: %v, client certificates: %v, %v", cfg.UnsafeNoFsync, cfg.ClientTLSInfo, cfg.PeerTLSInfo)
	}
	for _, f := range []etcdFlags{{clientURL: "%"}, {peerURL: "%"}} {
		if _, err := etcdConfig(f); err == nil {
			t.Errorf("%+v was accepted", f)
		}
	}
}

func TestRegistry(t *testing.T) {
	var got []string
	r := Registry{Etcd: func(args []string) int { got = args; return 7 }}
	if code, err := r.Run(Etcd, []string{"a", "b"}); code != 7 || err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("code %d, error %v, arguments %v", code, err, got)
	}
	if _, err := r.Run("x", nil); err == nil || !strings.Contains(err.Error(), "use one of etcd") {
		t.Errorf("unknown component: %v", err)
	}
	if _, err := settings.Args("x"); err == nil {
		t.Error("arguments of an unknown component")
	}
	for name := range Default() {
		if _, err := settings.Args(name); err != nil {
			t.Error(err)
		}
	}
}
