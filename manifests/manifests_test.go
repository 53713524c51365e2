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

package manifests

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	schedconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	schedscheme "k8s.io/kubernetes/pkg/scheduler/apis/config/scheme"
	schedvalidation "k8s.io/kubernetes/pkg/scheduler/apis/config/validation"
	_ "sigs.k8s.io/scheduler-plugins/apis/config/scheme" // CoschedulingArgs
	schedulingv1alpha1 "sigs.k8s.io/scheduler-plugins/apis/scheduling/v1alpha1"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config"
	_ "github.com/kube-mesos/kube-mesos/plugins/apis/config/scheme" // MesosOffersArgs
	"github.com/kube-mesos/kube-mesos/plugins/apis/config/validation"
)

// decode parses all documents of a file; unknown and duplicate fields fail.
func decode(t *testing.T, data []byte) []runtime.Object {
	t.Helper()
	decoder := serializer.NewCodecFactory(clientscheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	var out []runtime.Object
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		obj, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("%v in:\n%s", err, document)
		}
		out = append(out, obj)
	}
}

func files(t *testing.T, from fs.FS, pattern string) map[string][]byte {
	t.Helper()
	paths, err := fs.Glob(from, pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no file is %s: %v", pattern, err)
	}
	out := map[string][]byte{}
	for _, path := range paths {
		if out[path], err = fs.ReadFile(from, path); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestExamples(t *testing.T) {
	kinds := map[string]bool{}
	for path, data := range files(t, Examples, "examples/*.yaml") {
		for _, obj := range decode(t, data) {
			var spec v1.PodSpec
			switch o := obj.(type) {
			case *appsv1.Deployment:
				spec = o.Spec.Template.Spec
			case *appsv1.StatefulSet:
				spec = o.Spec.Template.Spec
			case *batchv1.Job:
				spec = o.Spec.Template.Spec
			case *v1.Pod:
				spec = o.Spec
			case *v1.Service:
				continue
			default:
				t.Errorf("%s: unexpected %T", path, obj)
				continue
			}
			kinds[obj.GetObjectKind().GroupVersionKind().Kind] = true
			if spec.SchedulerName != "kube-mesos" {
				t.Errorf("%s: schedulerName %q", path, spec.SchedulerName)
			}
			for _, c := range spec.Containers {
				if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() {
					t.Errorf("%s: container %s requests %v", path, c.Name, c.Resources.Requests)
				}
			}
		}
	}
	for _, kind := range []string{"Deployment", "StatefulSet", "Job", "Pod"} {
		if !kinds[kind] {
			t.Errorf("no example is a %s", kind)
		}
	}
}

// TestRBAC makes sure that every binding's role is built in or defined here, and
// that all rights go to the service account.
func TestRBAC(t *testing.T) {
	defined := map[string]bool{
		"ClusterRole/system:kube-scheduler": true, "ClusterRole/system:volume-scheduler": true,
		"Role/extension-apiserver-authentication-reader": true,
	}
	account := rbacv1.Subject{Kind: "ServiceAccount", Namespace: "kube-system", Name: "kube-mesos-scheduler"}
	var refs []rbacv1.RoleRef
	var subjects []rbacv1.Subject
	accounts := 0
	for _, obj := range slices.Concat(decode(t, RBAC), decode(t, RBACCoscheduling), decode(t, RBACQuota)) {
		switch o := obj.(type) {
		case *v1.ServiceAccount:
			accounts++
			if o.Namespace != account.Namespace || o.Name != account.Name {
				t.Errorf("service account %s/%s", o.Namespace, o.Name)
			}
		case *rbacv1.ClusterRole:
			defined["ClusterRole/"+o.Name] = true
		case *rbacv1.Role:
			defined["Role/"+o.Name] = true
		case *rbacv1.ClusterRoleBinding:
			refs, subjects = append(refs, o.RoleRef), append(subjects, o.Subjects...)
		case *rbacv1.RoleBinding:
			refs, subjects = append(refs, o.RoleRef), append(subjects, o.Subjects...)
		default:
			t.Errorf("unexpected %T", obj)
		}
	}
	for _, ref := range refs {
		if !defined[ref.Kind+"/"+ref.Name] {
			t.Errorf("no such role: %+v", ref)
		}
	}
	for _, s := range subjects {
		if s != account {
			t.Errorf("rights for %+v", s)
		}
	}
	if accounts != 1 || len(refs) != 7 {
		t.Errorf("%d service accounts, %d bindings", accounts, len(refs))
	}
}

// TestSchedulerConfigs loads the configurations as kube-scheduler does.
func TestSchedulerConfigs(t *testing.T) {
	for path, data := range files(t, SchedulerConfig, "scheduler-config/*.yaml") {
		t.Run(path, func(t *testing.T) {
			obj, _, err := schedscheme.Codecs.UniversalDecoder().Decode(data, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			cfg, ok := obj.(*schedconfig.KubeSchedulerConfiguration)
			if !ok {
				t.Fatalf("it is a %T", obj)
			}
			if err := schedvalidation.ValidateKubeSchedulerConfiguration(cfg); err != nil {
				t.Error(err)
			}
			if cfg.LeaderElection.ResourceName != "kube-mesos-scheduler" || !cfg.LeaderElection.LeaderElect {
				t.Errorf("leader election: %+v", cfg.LeaderElection)
			}
			ours := 0
			for _, profile := range cfg.Profiles {
				for _, plugin := range profile.PluginConfig {
					if args, ok := plugin.Args.(*config.MesosOffersArgs); ok {
						ours++
						if err := validation.ValidateMesosOffersArgs(nil, args); err != nil {
							t.Errorf("profile %s: %v", profile.SchedulerName, err)
						}
					}
				}
			}
			checkOrder(t, cfg.Profiles)
			if ours != len(cfg.Profiles) {
				t.Errorf("%d of %d profiles configure MesosOffers", ours, len(cfg.Profiles))
			}
		})
	}
}

// checkOrder makes sure that MesosOffers sees each pod that Coscheduling turns away:
// it would not wake the others.
func checkOrder(t *testing.T, profiles []schedconfig.KubeSchedulerProfile) {
	t.Helper()
	for _, profile := range profiles {
		var order []string
		for _, plugin := range profile.Plugins.MultiPoint.Enabled {
			order = append(order, plugin.Name)
		}
		mesos, gangs := slices.Index(order, "MesosOffers"), slices.Index(order, "Coscheduling")
		if gangs >= 0 && mesos > gangs {
			t.Errorf("profile %s: Coscheduling comes before MesosOffers", profile.SchedulerName)
		}
	}
}

// TestGang makes sure that the example's pods belong to its PodGroup, which wants
// all of them, and go to a profile that has Coscheduling.
func TestGang(t *testing.T) {
	if err := schedulingv1alpha1.AddToScheme(clientscheme.Scheme); err != nil {
		t.Fatal(err)
	}
	for path, data := range files(t, Examples, "examples/coscheduling/*.yaml") {
		var group *schedulingv1alpha1.PodGroup
		var job *batchv1.Job
		for _, obj := range decode(t, data) {
			switch o := obj.(type) {
			case *schedulingv1alpha1.PodGroup:
				group = o
			case *batchv1.Job:
				job = o
			default:
				t.Errorf("%s: unexpected %T", path, obj)
			}
		}
		if group == nil || job == nil {
			t.Fatalf("%s: group %v, job %v", path, group, job)
		}
		pod := job.Spec.Template
		if pod.Labels[schedulingv1alpha1.PodGroupLabel] != group.Name || group.Namespace != job.Namespace ||
			*job.Spec.Parallelism != group.Spec.MinMember || pod.Spec.SchedulerName != "kube-mesos-gangs" {
			t.Errorf("%s: the pods do not make up the group", path)
		}
	}
}
