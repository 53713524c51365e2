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

package scheme_test

import (
	"bytes"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	schedconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	schedscheme "k8s.io/kubernetes/pkg/scheduler/apis/config/scheme"
	"sigs.k8s.io/randfill"
	schedpluginsconfig "sigs.k8s.io/scheduler-plugins/apis/config"
	_ "sigs.k8s.io/scheduler-plugins/apis/config/scheme"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config"
	"github.com/kube-mesos/kube-mesos/plugins/apis/config/scheme"
	configv1 "github.com/kube-mesos/kube-mesos/plugins/apis/config/v1"
	"github.com/kube-mesos/kube-mesos/plugins/apis/config/validation"
)

// fullArgs sets every field, none to its default but those that its others
// exclude: quota.push, authentication.tokenFile, zookeeper.
const fullArgs = `
      masters: ["mesos-1.example.com:5050", "https://mesos-2.example.com:5050"]
      framework:
        name: pods
        user: nobody
        role: engineering/batch
        principal: kube
        hostname: scheduler.example.com
        webUIURL: https://ui.example.com
        failoverTimeout: 24h
        onRemoved: Wait
      authentication: {secretFile: /etc/mesos/secret, tokenScheme: Token}
      tls:
        enabled: true
        caFile: /etc/mesos/ca.crt
        certFile: /etc/mesos/tls.crt
        keyFile: /etc/mesos/tls.key
        serverName: mesos.example.com
      frameworkIDConfigMap: {namespace: mesos, name: framework}
      defaultRequests: {cpu: 50m, memory: 64Mi, ephemeral-storage: 1Gi}
      launchTimeout: 20s
      offers:
        maxHold: 3s
        refuseUnused: 0s
        refuseForeign: 2h
        idleGrace: 0s
        batchLinger: 0s
        maxBatchLinger: 20ms
        maxTasksPerAccept: 10
        candidateLimit: 0
        reviveEvery: 5s
        surplusAfter: 1s
        refuseSurplus: 1m
        warmAgents: 2
        predictedWait: 0s
        constraints: Never
        maxConstraintHosts: 10
        minAllocatable: Never
      preemption: {enabled: false, starvationTimeout: 1m}
      session:
        start: Immediately
        callTimeout: 5s
        heartbeatMisses: 5
        maxRecordBytes: 1048576
        backoffInitial: 100ms
        backoffMax: 1m
      placeholder:
        command: [/bin/cat]
      nodeLabels:
        attributes: true
        faultDomain: false
      roles:
        annotation: false
        rules:
        - namespaceSelector: {matchLabels: {team: ads}}
          roles: ["eng/ads/{namespace}", eng/ads]
        - namespaceSelector: {matchExpressions: [{key: tier, operator: In, values: [web]}]}
          roles: [web]
        - roles: ["k8s/{namespace}"]
        fallbackAfter: 0s
        updatePeriod: 5s
        keepUnused: 1h
      reservations: {policy: UnreservedFirst, sticky: false, releaseAfter: 1m}
      revocable:
        enabled: true
        priorityClasses:
        - {name: batch-low, use: Required}
        - {name: batch, use: Allowed}
      resources:
        hostPorts: Ignore
        extended:
        - {kubernetes: example.com/fpga, mesos: fpgas}
        gpus: {resourceName: amd.com/gpu, agents: ForGPUPods}
      quota: {pollPeriod: 1m, enforce: false, status: false, resourceQuota: true, push: false}
      balance: {cap: true}
      claims:
        onLost: Reacquire
        reacquireTimeout: 0s
        pdbDeadline: 1m
        evictionsPerMinute: 60
        evictionBurst: 10
        evictionPercent: 50
        evictionWindow: 1m
      maintenance: {taint: false, evictBefore: 1m, cordonedNodes: Drain, drainGrace: 0s}
`

func fullInternalArgs() *config.MesosOffersArgs {
	d := func(d time.Duration) metav1.Duration { return metav1.Duration{Duration: d} }
	return &config.MesosOffersArgs{
		Masters: []string{"mesos-1.example.com:5050", "https://mesos-2.example.com:5050"},
		Framework: config.Framework{
			Name: "pods", User: "nobody", Role: "engineering/batch", Principal: "kube", Hostname: "scheduler.example.com",
			WebUIURL: "https://ui.example.com", FailoverTimeout: d(24 * time.Hour), OnRemoved: config.OnFrameworkRemovedWait,
		},
		Authentication: config.Authentication{SecretFile: "/etc/mesos/secret", TokenScheme: config.TokenSchemeToken},
		TLS: config.TLS{
			Enabled: true, CAFile: "/etc/mesos/ca.crt", CertFile: "/etc/mesos/tls.crt", KeyFile: "/etc/mesos/tls.key",
			ServerName: "mesos.example.com",
		},
		FrameworkIDConfigMap: config.ConfigMapReference{Namespace: "mesos", Name: "framework"},
		DefaultRequests: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("64Mi"),
			corev1.ResourceEphemeralStorage: resource.MustParse("1Gi"),
		},
		LaunchTimeout: d(20 * time.Second),
		Offers: config.Offers{
			MaxHold: d(3 * time.Second), RefuseForeign: d(2 * time.Hour), MaxBatchLinger: d(20 * time.Millisecond), MaxTasksPerAccept: 10,
			ReviveEvery: d(5 * time.Second), SurplusAfter: d(time.Second), RefuseSurplus: d(time.Minute), WarmAgents: 2,
			Constraints: config.OfferTermsNever, MaxConstraintHosts: 10, MinAllocatable: config.OfferTermsNever,
		},
		Preemption: config.Preemption{StarvationTimeout: d(time.Minute)},
		Session: config.Session{
			Start: config.SessionStartImmediately, CallTimeout: d(5 * time.Second), HeartbeatMisses: 5, MaxRecordBytes: 1 << 20,
			BackoffInitial: d(100 * time.Millisecond), BackoffMax: d(time.Minute),
		},
		Placeholder: config.Placeholder{Command: []string{"/bin/cat"}},
		NodeLabels:  config.NodeLabels{Attributes: true},
		Roles: config.Roles{
			Rules: []config.RoleRule{
				{
					NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "ads"}},
					Roles:             []string{"eng/ads/{namespace}", "eng/ads"},
				},
				{
					NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
						{Key: "tier", Operator: metav1.LabelSelectorOpIn, Values: []string{"web"}},
					}},
					Roles: []string{"web"},
				},
				{Roles: []string{"k8s/{namespace}"}},
			},
			UpdatePeriod: d(5 * time.Second), KeepUnused: d(time.Hour),
		},
		Reservations: config.Reservations{Policy: config.ReservationPolicyUnreservedFirst, ReleaseAfter: d(time.Minute)},
		Revocable: config.Revocable{Enabled: true, PriorityClasses: []config.RevocableRule{
			{Name: "batch-low", Use: config.RevocableUseRequired}, {Name: "batch", Use: config.RevocableUseAllowed},
		}},
		Resources: config.Resources{
			HostPorts: config.HostPortsIgnore,
			Extended:  []config.ExtendedResource{{Kubernetes: "example.com/fpga", Mesos: "fpgas"}},
			GPUs:      config.GPUs{ResourceName: "amd.com/gpu", Agents: config.GPUAgentsForGPUPods},
		},
		Quota:   config.Quota{PollPeriod: d(time.Minute), ResourceQuota: true},
		Balance: config.Balance{Cap: true},
		Claims: config.Claims{
			OnLost: config.OnClaimLostReacquire, PDBDeadline: d(time.Minute), EvictionsPerMinute: 60, EvictionBurst: 10,
			EvictionPercent: 50, EvictionWindow: d(time.Minute),
		},
		Maintenance: config.Maintenance{EvictBefore: d(time.Minute), CordonedNodes: config.CordonedNodesDrain},
	}
}

// configuration is a KubeSchedulerConfiguration with one profile that has these
// arguments, or none if args is empty.
func configuration(args string) []byte {
	const head = `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- schedulerName: kube-mesos
  plugins:
    multiPoint:
      enabled:
      - name: MesosOffers
`
	if args == "" {
		return []byte(head)
	}
	return []byte(head + "  pluginConfig:\n  - name: MesosOffers\n    args:\n" + args)
}

// decode reads a configuration as kube-scheduler does: with its own codecs, not
// ours.
func decode(data []byte) (runtime.Object, error) {
	object, _, err := schedscheme.Codecs.UniversalDecoder().Decode(data, nil, nil)
	return object, err
}

func pluginArgs(t *testing.T, object runtime.Object) *config.MesosOffersArgs {
	t.Helper()
	cfg, ok := object.(*schedconfig.KubeSchedulerConfiguration)
	if !ok {
		t.Fatalf("decoded a %T", object)
	}
	for _, plugin := range cfg.Profiles[0].PluginConfig {
		if plugin.Name == "MesosOffers" {
			args, ok := plugin.Args.(*config.MesosOffersArgs)
			if !ok {
				t.Fatalf("the arguments are a %T", plugin.Args)
			}
			return args
		}
	}
	t.Fatal("the configuration has no arguments of MesosOffers")
	return nil
}

// TestDecodeZooKeeper has what fullArgs cannot have.
func TestDecodeZooKeeper(t *testing.T) {
	object, err := decode(configuration(`
      masters: ["zk://a:2181,b:2181/mesos"]
      zookeeper: {authFile: /etc/mesos/zookeeper}
      authentication: {tokenFile: /etc/mesos/token}
`))
	if err != nil {
		t.Fatal(err)
	}
	want, err := scheme.DefaultArgs("zk://a:2181,b:2181/mesos")
	if err != nil {
		t.Fatal(err)
	}
	want.ZooKeeper.AuthFile, want.Authentication.TokenFile = "/etc/mesos/zookeeper", "/etc/mesos/token"
	got := pluginArgs(t, object)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
	if errs := validation.ValidateMesosOffersArgs(nil, got); len(errs) != 0 {
		t.Error(errs)
	}
}

func TestDecode(t *testing.T) {
	defaults, err := scheme.DefaultArgs("a:5050")
	if err != nil {
		t.Fatal(err)
	}
	noMasters := defaults.DeepCopy()
	noMasters.Masters = nil
	tests := []struct {
		name string
		args string
		want *config.MesosOffersArgs
	}{
		{"every field", fullArgs, fullInternalArgs()},
		{"defaults", "      masters: [\"a:5050\"]\n", defaults},
		{"with its type", "      apiVersion: kubescheduler.config.k8s.io/v1\n      kind: MesosOffersArgs\n      masters: [\"a:5050\"]\n", defaults},
		{"no pluginConfig", "", noMasters},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			object, err := decode(configuration(tt.args))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, pluginArgs(t, object)); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFullArgsAreValid(t *testing.T) {
	if errs := validation.ValidateMesosOffersArgs(nil, fullInternalArgs()); len(errs) != 0 {
		t.Error(errs)
	}
}

func TestDecodeIsStrict(t *testing.T) {
	tests := []struct {
		name string
		args string
		want string
	}{
		{"unknown field", "      mastres: [\"a:5050\"]\n", `unknown field "mastres"`},
		{"unknown nested field", "      offers: {maxhold: 1s}\n", `unknown field "offers.maxhold"`},
		{"unknown field of a rule", "      roles: {rules: [{role: web}]}\n", `unknown field "roles.rules[0].role"`},
		{"unknown field of a selector", "      roles: {rules: [{namespaceSelector: {labels: {}}}]}\n", `unknown field "roles.rules[0].namespaceSelector.labels"`},
		{"duplicate field", "      launchTimeout: 1s\n      launchTimeout: 2s\n", `key "launchTimeout" already set in map`},
		{"wrong type", "      offers: {maxTasksPerAccept: many}\n", "cannot unmarshal string into Go struct field"},
		{"no duration", "      launchTimeout: 30 seconds\n", "unknown unit"},
		{"wrong kind", "      apiVersion: kubescheduler.config.k8s.io/v1\n      kind: NodeAffinityArgs\n", "args for plugin MesosOffers were not of type MesosOffersArgs"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decode(configuration(tt.args))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestEncode covers what --write-config-to and /configz show.
func TestEncode(t *testing.T) {
	object, err := decode(configuration(fullArgs))
	if err != nil {
		t.Fatal(err)
	}
	info, ok := runtime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), runtime.ContentTypeYAML)
	if !ok {
		t.Fatal("no YAML serializer")
	}
	var written bytes.Buffer
	if err := scheme.Codecs.EncoderForVersion(info.Serializer, configv1.SchemeGroupVersion).Encode(object, &written); err != nil {
		t.Fatal(err)
	}
	again, err := decode(written.Bytes())
	if err != nil {
		t.Fatalf("cannot read what was written: %v\n%s", err, written.String())
	}
	if diff := cmp.Diff(fullInternalArgs(), pluginArgs(t, again)); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
}

// TestConversionRoundTrip fills the internal form at random and converts it to
// v1 and back: a field that one form has and the other has not, or that a
// conversion forgets, does not survive.
func TestConversionRoundTrip(t *testing.T) {
	const seed = 1
	filler := randfill.New().RandSource(rand.NewSource(seed)).NilChance(0).Funcs(
		func(q *resource.Quantity, c randfill.Continue) {
			*q = *resource.NewMilliQuantity(c.Int63(), resource.DecimalSI)
		},
		// Type meta is no part of the internal form.
		func(*metav1.TypeMeta, randfill.Continue) {},
	)
	for range 200 {
		before := &config.MesosOffersArgs{}
		filler.Fill(before)
		versioned := &configv1.MesosOffersArgs{}
		if err := scheme.Scheme.Convert(before.DeepCopy(), versioned, nil); err != nil {
			t.Fatal(err)
		}
		after := &config.MesosOffersArgs{}
		if err := scheme.Scheme.Convert(versioned, after, nil); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Fatalf("round trip (-before +after):\n%s", diff)
		}
	}
}

func TestAddToScheme(t *testing.T) {
	if err := scheme.AddToScheme(runtime.NewScheme()); err != nil {
		t.Errorf("a new scheme: %v", err)
	}
	if err := scheme.AddToScheme(scheme.Scheme); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

// TestOtherPluginsArgs guards the order of initialization: arguments of plugins
// from other modules in the same binary must still be known everywhere.
func TestOtherPluginsArgs(t *testing.T) {
	data := string(configuration(fullArgs)) + "  - name: Coscheduling\n    args: {permitWaitingTimeSeconds: 7}\n"
	object, err := decode([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	pluginArgs(t, object)
	plugins := object.(*schedconfig.KubeSchedulerConfiguration).Profiles[0].PluginConfig
	i := slices.IndexFunc(plugins, func(p schedconfig.PluginConfig) bool { return p.Name == "Coscheduling" })
	if args, ok := plugins[i].Args.(*schedpluginsconfig.CoschedulingArgs); !ok || args.PermitWaitingTimeSeconds != 7 {
		t.Errorf("the arguments of Coscheduling are %#v", plugins[i].Args)
	}
}
