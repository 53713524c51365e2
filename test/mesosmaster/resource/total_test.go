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

package resource

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTotal compares a Total with the arithmetic it stands for.
func TestTotal(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	texts := []string{"cpus:1;mem:64", "cpus:0.5", "ports:[1-10, 20-30]", "ports:[5-25];cpus:2", "cpus(a):1", "disk:3;set:{a, b}", "set:{b, c}", ""}
	var total Total
	var want Resources
	for range 2000 {
		rs, err := Parse(texts[rng.IntN(len(texts))])
		if err != nil {
			t.Fatal(err)
		}
		if rng.IntN(2) == 0 {
			total.Add(rs)
			want = want.Add(rs)
		} else {
			total.Sub(rs)
			want = want.Sub(rs)
		}
		if got := total.Resources(); !got.Contains(want) || !want.Contains(got) {
			t.Fatal(cmp.Diff(want.String(), got.String()))
		}
	}
}
