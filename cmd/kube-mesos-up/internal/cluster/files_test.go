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

package cluster

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sigs.k8s.io/yaml"

	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/components"
	"github.com/kube-mesos/kube-mesos/manifests"
)

func TestFitSchedulerConfig(t *testing.T) {
	got, err := fitSchedulerConfig([]byte(`
kind: KubeSchedulerConfiguration
clientConnection: {qps: 7}
parallelism: 3
profiles:
- schedulerName: one
  pluginConfig:
  - name: Other
    args: {masters: [untouched]}
  - name: MesosOffers
    args: {masters: [a, b], framework: {name: mine, role: r}}
- schedulerName: two
  pluginConfig:
  - name: MesosOffers
`), "127.0.0.1:5", "/k")
	if err != nil {
		t.Fatal(err)
	}
	var config any
	if err := yaml.Unmarshal(got.yaml, &config); err != nil {
		t.Fatal(err)
	}
	masters := []any{"127.0.0.1:5"}
	want := map[string]any{
		"kind": "KubeSchedulerConfiguration", "parallelism": 3.0,
		"clientConnection": map[string]any{"qps": 7.0, "kubeconfig": "/k"},
		"profiles": []any{
			map[string]any{"schedulerName": "one", "pluginConfig": []any{
				map[string]any{"name": "Other", "args": map[string]any{"masters": []any{"untouched"}}},
				map[string]any{"name": "MesosOffers", "args": map[string]any{
					"masters": masters, "framework": map[string]any{"name": "mine", "role": "r"},
				}},
			}},
			map[string]any{"schedulerName": "two", "pluginConfig": []any{
				map[string]any{"name": "MesosOffers", "args": map[string]any{"masters": masters}},
			}},
		},
	}
	if diff := cmp.Diff(any(want), config); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if got.frameworkName != "mine" {
		t.Errorf("framework name %q", got.frameworkName)
	}
}

func TestFitSchedulerConfigRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"not YAML":          "{",
		"a list":            "[]",
		"no profile":        "kind: KubeSchedulerConfiguration",
		"another plugin":    "profiles: [{pluginConfig: [{name: Other}]}]",
		"args no object":    "profiles: [{pluginConfig: [{name: MesosOffers, args: 3}]}]",
		"connection a text": "clientConnection: x",
		"duplicate key":     "a: 1\na: 2",
	} {
		if got, err := fitSchedulerConfig([]byte(text), "m", "k"); err == nil {
			t.Errorf("%s: accepted as %s", name, got.yaml)
		}
	}
}

func TestChoosePorts(t *testing.T) {
	dir := t.TempDir()
	first, err := choosePorts(dir)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, port := range []int{
		first.EtcdClient, first.EtcdPeer, first.APIServer, first.ControllerManager, first.Scheduler, first.MesosMaster,
	} {
		if port == 0 || seen[port] {
			t.Errorf("port %d is unusable or comes twice in %+v", port, first)
		}
		seen[port] = true
	}
	again, err := choosePorts(dir)
	if err != nil || again != first {
		t.Errorf("second run has other ports: %+v, %v", again, err)
	}
	l, err := net.Listen("tcp", components.Local(first.APIServer))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	moved, err := choosePorts(dir)
	if err != nil || moved.APIServer == first.APIServer || moved.EtcdClient != first.EtcdClient {
		t.Errorf("with the apiserver's port taken: %+v, %v", moved, err)
	}
	if err := os.WriteFile(filepath.Join(dir, portsFile), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := choosePorts(dir); err == nil || !strings.Contains(err.Error(), portsFile) {
		t.Errorf("broken file: %v", err)
	}
}

func TestDecode(t *testing.T) {
	objects, err := Decode(manifests.RBAC)
	if err != nil {
		t.Fatal(err)
	}
	if len(objects) < 5 || objects[0].GetKind() != "ServiceAccount" ||
		objects[0].GetName() != schedulerAccount || objects[0].GetNamespace() != schedulerNamespace {
		t.Errorf("RBAC manifests: %v", objects)
	}
	if _, err := Decode([]byte("a: 1\n---\na: [")); err == nil {
		t.Error("broken YAML was accepted")
	}
	for _, tc := range []struct {
		yaml string
		want bool
	}{
		{"status: {conditions: null}", false},
		{"spec: {}", false},
		{"status: {conditions: [{type: NamesAccepted, status: 'True'}]}", false},
		{"status: {conditions: [{type: Established, status: 'False'}]}", false},
		{"status: {conditions: [{type: NamesAccepted, status: 'True'}, {type: Established, status: 'True'}]}", true},
	} {
		crd, err := Decode([]byte(tc.yaml))
		if err != nil || established(crd[0]) != tc.want {
			t.Errorf("established with %s: %v, want %v; %v", tc.yaml, !tc.want, tc.want, err)
		}
	}
	if objects, err := Decode([]byte("# nothing\n---\n")); err != nil || len(objects) != 0 {
		t.Errorf("comments alone: %v, %v", objects, err)
	}
}

// TestFitEveryProfile fits all configurations that users start from: one of several
// profiles whose arguments are written once.
func TestFitEveryProfile(t *testing.T) {
	for name, profiles := range map[string]int{"kube-mesos.yaml": 1, "coscheduling.yaml": 2} {
		data, err := manifests.SchedulerConfig.ReadFile("scheduler-config/" + name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := fitSchedulerConfig(data, "127.0.0.1:7", "/k")
		if err != nil {
			t.Fatal(err)
		}
		if masters := strings.Count(string(got.yaml), "127.0.0.1:"); masters != profiles ||
			strings.Count(string(got.yaml), "127.0.0.1:7\n") != profiles {
			t.Errorf("%s: %d masters, want that of the cluster in %d profiles:\n%s", name, masters, profiles, got.yaml)
		}
	}
}

// TestNewWritesOnlyPrivateFiles prepares a cluster and looks at its files: keys,
// tokens and kubeconfig files must be readable by their owner only.
func TestNewWritesOnlyPrivateFiles(t *testing.T) {
	dir := t.TempDir()
	config, err := manifests.SchedulerConfig.ReadFile("scheduler-config/kube-mesos.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Options{
		Program: "/bin/false", DataDir: dir, Kubeconfig: filepath.Join(dir, "kubeconfig"),
		SchedulerConfig: config, Manifests: [][]byte{manifests.RBAC}, Progress: func(string) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.FrameworkName != defaultFrameworkName || c.Config.Host != c.Server() {
		t.Errorf("framework %q, host %q", c.FrameworkName, c.Config.Host)
	}
	keys := 0
	err = filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		secret := strings.HasSuffix(path, ".key") || strings.HasSuffix(path, "kubeconfig")
		if secret {
			keys++
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
		}
		return nil
	})
	if err != nil || keys < 8 {
		t.Errorf("%d secret files, %v", keys, err)
	}
}

func TestPoll(t *testing.T) {
	last, over := errors.New("still starting"), errors.New("time is over")
	ctx, cancel := context.WithCancelCause(t.Context())
	calls := 0
	err := poll(ctx, func(context.Context) error {
		if calls++; calls == 3 {
			cancel(over)
		}
		return last
	}, always)
	if calls != 3 || !errors.Is(err, last) || !errors.Is(err, over) {
		t.Errorf("after %d calls: %v, want both errors", calls, err)
	}
	never := func(error) bool { return false }
	if err := poll(t.Context(), func(context.Context) error { return last }, never); !errors.Is(err, last) {
		t.Errorf("an error not worth a retry: %v", err)
	}
	if err := poll(t.Context(), func(context.Context) error { return nil }, never); err != nil {
		t.Errorf("success: %v", err)
	}
}
