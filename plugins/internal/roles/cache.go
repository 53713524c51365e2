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
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"
)

// shards bounds what one change copies: with 10,000 namespaces, some 40 entries.
const shards = 256

// Cache holds the roles of all namespaces. It is safe for concurrent use; reading
// takes no lock and allocates nothing.
type Cache struct {
	resolver *Resolver
	seed     maphash.Seed
	// mu is held by writers.
	mu     sync.Mutex
	shards [shards]atomic.Pointer[map[string]Assignment]
}

// NewCache returns an empty cache of a resolver's answers.
func NewCache(r *Resolver) *Cache {
	return &Cache{resolver: r, seed: maphash.MakeSeed()}
}

func (c *Cache) shard(namespace string) *atomic.Pointer[map[string]Assignment] {
	return &c.shards[maphash.String(c.seed, namespace)%shards]
}

// Set takes in a namespace as it is now. It returns the namespace's roles and
// whether they, their source or their problems are other than before.
func (c *Cache) Set(namespace string, labels, annotations map[string]string) (now Assignment, changed bool) {
	now = c.resolver.Resolve(namespace, labels, annotations)
	c.mu.Lock()
	defer c.mu.Unlock()
	shard := c.shard(namespace)
	old := entries(shard)
	if was, ok := old[namespace]; ok && was.Equal(now) {
		return was, false
	}
	next := make(map[string]Assignment, len(old)+1)
	maps.Copy(next, old)
	next[namespace] = now
	shard.Store(&next)
	return now, true
}

// Delete forgets a namespace.
func (c *Cache) Delete(namespace string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	shard := c.shard(namespace)
	old := entries(shard)
	if _, ok := old[namespace]; !ok {
		return
	}
	next := maps.Clone(old)
	delete(next, namespace)
	shard.Store(&next)
}

// Of returns the roles of a namespace, or false if it was never set: what is told
// of namespaces may lag behind what is told of pods.
func (c *Cache) Of(namespace string) (Assignment, bool) {
	a, ok := entries(c.shard(namespace))[namespace]
	return a, ok
}

func entries(shard *atomic.Pointer[map[string]Assignment]) map[string]Assignment {
	if m := shard.Load(); m != nil {
		return *m
	}
	return nil
}
