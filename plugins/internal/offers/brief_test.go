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

package offers

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// anyAmount is of any order of magnitude.
func anyAmount(random *rand.Rand) int64 { return random.Int64() >> random.IntN(63) }

func TestFloatKeepsOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 0))
	for range 100000 {
		a := anyAmount(random)
		b := a + anyAmount(random)>>10
		if b < a {
			b = math.MaxInt64
		}
		if float(a) > float(b) {
			t.Fatalf("float(%d) = %d > float(%d) = %d", a, float(a), b, float(b))
		}
		// Enough of a difference is seen.
		if more := a + a/256 + 1; a < 1<<40 && float(more) <= float(a) {
			t.Fatalf("float(%d) = %d is not more than float(%d) = %d", more, float(more), a, float(a))
		}
	}
	for _, x := range []int64{math.MinInt64, -1, 0} {
		if float(x) != 0 {
			t.Errorf("float(%d) = %d, want 0", x, float(x))
		}
	}
	if got := float(math.MaxInt64); got >= 1<<15-1 {
		t.Errorf("float(MaxInt64) = %d", got)
	}
}

// TestBrieflyMissesNothing checks the one thing that scans rely on: what fits
// exactly fits by the short amounts, in either half of a word, whatever the other
// half holds.
func TestBrieflyMissesNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 0))
	cols := newColumns(2 * stride)
	found, skipped := 0, 0
	for range 20000 {
		need := cm(anyAmount(random)%math.MaxInt32, anyAmount(random)%math.MaxInt32)
		for i := range int32(2 * stride) {
			free := cm(anyAmount(random), anyAmount(random))
			if random.IntN(3) == 0 {
				free = need.Add(cm(random.Int64N(3)-1, random.Int64N(3)-1))
			}
			state := slotOffered
			if random.IntN(4) == 0 {
				state = slotNoOffer
			}
			cols.put(i, state, &free)
		}
		word, some, enough := twice(briefly(&need)), false, 0
		for i := range 2 * stride {
			_, short := cols.short(int32(i), &need)
			left := cols.left(i, word)
			fits := fits(left) != 0
			if i < stride {
				some, enough = some || fits, enough+int(left>>31)
			}
			if !short && !fits {
				t.Fatalf("%s fits %s, but not briefly", need, cols.freeOf(i))
			}
			if fits && slotState(cols.state[i].Load()) != slotOffered {
				t.Fatalf("%s fits a hidden slot", need)
			}
			if short && fits {
				skipped++
			} else if !short {
				found++
			}
		}
		a, b, c, d := compare((*[words]atomic.Uint64)(cols.brief), word)
		if fitsAny(a, b, c, d) != 0 != some || enoughCPU(a, b, c, d) != enough {
			t.Fatalf("need %s: a stride has %d with the CPU, one by one it is %d; whether one fits: %t", need, enoughCPU(a, b, c, d), enough, some)
		}
	}
	// Looking again must be the exception.
	if found == 0 || skipped > found {
		t.Errorf("%d slots fit, %d only seem to", found, skipped)
	}
}

func (c *columns) freeOf(i int) (v resources.Vector) {
	for k := range v {
		v[k] = c.free[k][i].Load()
	}
	return v
}
