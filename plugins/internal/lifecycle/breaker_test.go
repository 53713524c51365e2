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

package lifecycle

import (
	"fmt"
	"testing"
	"time"
)

func TestBreakerBoundsEvictions(t *testing.T) {
	inBubble(t, func(r *rig) {
		let := func() (n int) {
			for i := range 2 * evictionBurst {
				if r.mayEvict(fmt.Sprint("task-", i), r.breaker) {
					n++
				}
			}
			return n
		}
		if n := let(); n != evictionBurst {
			t.Fatalf("%d pods may go at once, want %d", n, evictionBurst)
		}
		// Those that may go may be asked for again: a budget may have refused them.
		if n := let(); n != evictionBurst {
			t.Fatalf("%d pods may go when asked again, want %d", n, evictionBurst)
		}
		time.Sleep(10 * time.Second)
		if n, want := let(), evictionBurst+5; n != want {
			t.Fatalf("%d pods may go after 10 s, want %d", n, want)
		}
		if r.stillLost("task-0") || r.evicting["task-0"] {
			t.Error("the breaker remembers a task that is not lost")
		}
	})
}
