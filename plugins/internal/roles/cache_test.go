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

package roles

import (
	"fmt"
	"slices"
	"sync"
	"testing"
)

func TestCache(t *testing.T) {
	c := NewCache(New(Config{Default: "k8s", Annotation: true}))
	if _, ok := c.Of("web"); ok {
		t.Error("a namespace that was never set")
	}
	c.Delete("web")
	if a, changed := c.Set("web", nil, nil); !changed || !slices.Equal(a.Roles, []string{"k8s"}) {
		t.Errorf("new: %v, %v", a, changed)
	}
	if _, changed := c.Set("web", map[string]string{"x": "y"}, nil); changed {
		t.Error("another label changes the roles")
	}
	if a, changed := c.Set("web", nil, map[string]string{Annotation: "eng"}); !changed || !slices.Equal(a.Roles, []string{"eng"}) {
		t.Errorf("annotated: %v, %v", a, changed)
	}
	if _, changed := c.Set("web", nil, map[string]string{Annotation: "eng,-"}); !changed {
		t.Error("a new problem is a change")
	}
	if a, ok := c.Of("web"); !ok || !slices.Equal(a.Roles, []string{"eng"}) || len(a.Problems) != 1 {
		t.Errorf("%v, %v", a, ok)
	}
	c.Delete("web")
	if a, ok := c.Of("web"); ok {
		t.Errorf("deleted, but %v", a)
	}
}

func TestCacheOfManyNamespacesAndGoroutines(t *testing.T) {
	const n = 2000
	c := NewCache(New(Config{Default: "k8s", Rules: []Rule{{Templates: []string{"k8s/{namespace}"}}}}))
	name := func(i int) string { return fmt.Sprintf("ns-%d", i) }
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := w; i < n; i += 4 {
				c.Set(name(i), nil, nil)
				if i%10 == 0 {
					c.Delete(name(i))
				}
			}
		})
		wg.Go(func() {
			for i := range n {
				if a, ok := c.Of(name(i)); ok && (len(a.Roles) != 1 || a.Roles[0] != "k8s/"+name(i)) {
					t.Errorf("%s: %v", name(i), a)
				}
			}
		})
	}
	wg.Wait()
	for i := range n {
		if _, ok := c.Of(name(i)); ok != (i%10 != 0) {
			t.Errorf("%s: there %v", name(i), ok)
		}
	}
}

func TestOfAllocatesNothing(t *testing.T) {
	c, names := filled(100)
	i := 0
	if n := testing.AllocsPerRun(1000, func() {
		a, ok := c.Of(names[i%len(names)])
		if roles, err := Choose(a, "k8s/b"); !ok || err != nil || len(roles) != 1 {
			t.Fatal(a, ok, roles, err)
		}
		i++
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func filled(n int) (*Cache, []string) {
	c := NewCache(New(Config{Default: "k8s", Rules: []Rule{{Templates: []string{"k8s/{namespace}", "k8s/b"}}}}))
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("namespace-%d", i)
		c.Set(names[i], nil, nil)
	}
	return c, names
}

func BenchmarkOf(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("namespaces=%d", n), func(b *testing.B) {
			c, names := filled(n)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, ok := c.Of(names[i]); !ok {
					b.Fatal("missing")
				}
				if i++; i == len(names) {
					i = 0
				}
			}
		})
	}
}

func BenchmarkOfParallel(b *testing.B) {
	c, names := filled(1000)
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			c.Of(names[i%len(names)])
		}
	})
}

func BenchmarkSet(b *testing.B) {
	c, names := filled(10_000)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		c.Set(names[i%len(names)], nil, map[string]string{"x": "y"})
		i++
	}
}
