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

package constraints

import (
	"encoding/json"
	"fmt"
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/nodelabels"
)

// FuzzRequire reads pod specs and keys as JSON. Whatever they are, a key stands for
// what its pod requires, and another compiler understands it.
func FuzzRequire(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"nodeSelector":{"zone":"a"}}`, `{"tolerations":[{"operator":"Exists"},{"key":"gpu","value":"x"}]}`,
		`{"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[]}}}}`,
		`{"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"attribute.kube-mesos.io/rack","operator":"In","values":["r1","r2"]}]},{"matchFields":[{"key":"metadata.name","operator":"In","values":["h1"]}]}]}}}}`,
	} {
		f.Add(seed, seed)
	}
	u := newUniverse(3, 4, false)
	for range 60 {
		u.change()
	}
	f.Fuzz(func(t *testing.T, text, key string) {
		u.c.Compile([]string{key}) // whatever it is
		var pod v1.Pod
		if json.Unmarshal([]byte(text), &pod.Spec) != nil {
			return
		}
		judged := pod.DeepCopy()
		judged.Spec.Tolerations = append(judged.Spec.Tolerations, defaultTolerations...)
		key = u.c.Require(&pod)
		u.checkSound(t, []*v1.Pod{judged}, []string{key}, u.c.Compile([]string{key}))
		if got := NewCompiler(Config{}).Require(&pod); got != key {
			t.Errorf("keys %s and %s for the same pod", key, got)
		}
	})
}

// bigWorld is a cluster of 10,000 nodes in 200 racks with 10 % that are no use, and 20
// requirements.
func bigWorld() (*Compiler, []string) {
	c := world(10_000, 50)
	for i := 0; i < 10_000; i += 10 {
		cordon(c, fmt.Sprint("n", i), fmt.Sprint("r", i/50))
	}
	var keys []string
	for i := range 20 {
		switch i % 4 {
		case 0:
			keys = append(keys, c.Require(selecting(v1.LabelHostname, fmt.Sprint("n", 100*i+1))))
		case 1:
			keys = append(keys, c.Require(rack(fmt.Sprint("r", i))))
		case 2:
			keys = append(keys, c.Require(affine(onRack(v1.NodeSelectorOpIn, fmt.Sprint("r", i), "r90"))))
		default:
			keys = append(keys, c.Require(selecting(v1.LabelHostname, fmt.Sprint("n", 100*i+2), nodelabels.AttributePrefix+"rack", fmt.Sprint("r", 2*i))))
		}
	}
	return c, keys
}

// BenchmarkCompile compiles 20 requirements of 10,000 nodes that were judged before.
func BenchmarkCompile(b *testing.B) {
	c, keys := bigWorld()
	for b.Loop() {
		c.Compile(keys)
	}
}

// BenchmarkCompileFirst compiles one requirement that nobody had before.
func BenchmarkCompileFirst(b *testing.B) {
	c, keys := bigWorld()
	for b.Loop() {
		clear(c.requirements)
		c.Compile(keys[1:2])
	}
}

func BenchmarkTooNarrow(b *testing.B) {
	c, keys := bigWorld()
	set := c.Compile(keys)
	for b.Loop() {
		c.TooNarrow(set, keys)
	}
}

func BenchmarkMatches(b *testing.B) {
	c, keys := bigWorld()
	for i := 0; b.Loop(); i++ {
		c.Matches(keys[i%len(keys)], "a-n77")
	}
}

func BenchmarkRequire(b *testing.B) {
	c := NewCompiler(Config{})
	for name, pod := range map[string]*v1.Pod{
		"plain":    {Spec: v1.PodSpec{Tolerations: defaultTolerations}},
		"selector": rack("r1"),
		"affinity": affine(onRack(v1.NodeSelectorOpIn, "r1", "r2")),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				c.Require(pod)
			}
		})
	}
}
