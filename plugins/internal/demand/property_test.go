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

package demand

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// act lets something happen.
func (w *world) act(n int) {
	switch w.r.IntN(8) {
	case 0, 1, 2:
		ask := Ask{Need: amount(int64(1+w.r.IntN(4)), int64(1+w.r.IntN(4)))}
		if w.r.IntN(6) == 0 {
			ask.Require = w.names()[w.r.IntN(len(w.agents))]
		}
		for i := range 1 + w.r.IntN(6) {
			uid := fmt.Sprint("p", n, "-", i)
			if w.r.IntN(8) == 0 {
				w.picky[uid] = w.names()[w.r.IntN(len(w.agents))]
				ask.Choosy = w.r.IntN(2) == 0
			}
			w.pods[uid] = ask
			w.d.Add(uid, ask)
			w.awake = append(w.awake, uid)
		}
	case 3, 4:
		if uids := slices.Sorted(maps.Keys(w.placed)); len(uids) > 0 {
			uid := uids[w.r.IntN(len(uids))]
			a := w.agents[w.placed[uid]]
			a.free = a.free.Add(w.ended(uid))
		}
	case 5:
		if uids := slices.Sorted(maps.Keys(w.pods)); len(uids) > 0 {
			w.remove(uids[w.r.IntN(len(uids))])
		}
	case 6:
		for _, uid := range slices.Sorted(maps.Keys(w.pods)) {
			w.remove(uid)
		}
	case 7:
		// Another framework takes something, or gives it back.
		a := w.agents[w.names()[w.r.IntN(len(w.agents))]]
		a.free = amount(int64(w.r.IntN(8)), int64(w.r.IntN(8)))
	}
}

// ended is the end of a pod that was placed: what it had is small and always alike, so
// that it need not be remembered.
func (w *world) ended(uid string) resources.Vector {
	delete(w.placed, uid)
	return amount(1, 1)
}

func TestWorld(t *testing.T) {
	revives := 0
	for seed := range uint64(300) {
		cfg := testCfg
		cfg.Warm = int(seed % 7 / 5)
		w := newWorld(t, seed, cfg)
		for n := range 60 {
			w.act(n)
			w.pass(time.Duration(w.r.IntN(3000)) * time.Millisecond)
		}
		for uid := range w.pods {
			w.remove(uid)
		}
		w.pass(5 * time.Second)
		if held := len(w.freeOfAll(w.names())); held > cfg.Warm {
			t.Fatalf("%d agents are held without a pod", held)
		}
		revives += w.revives
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d REVIVEs in all", revives)
}
