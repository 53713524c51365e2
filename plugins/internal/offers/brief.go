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
	"math/bits"
	"sync/atomic"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// A scan looks at CPU and memory of all slots, so they are kept once more, short
// and side by side: 32 bits a slot, two slots a word, CPU in the upper half of the
// 32 and memory in the lower. Each amount has 15 bits as a floating-point number.
// The bit above it is a guard: set in the words of the slots and not in that of a
// need, so that one subtraction compares all four amounts, and the guards that are
// left tell which suffice.
//
// The numbers are rounded down, free amounts and needs alike. So where the exact
// amounts suffice the short ones do too, but not the other way round: what a scan
// finds must be looked at again.
const (
	guardsCPU uint64 = 1<<63 | 1<<31
	guards           = guardsCPU | guardsCPU>>16
	// hiddenBriefly is less CPU than any need has.
	hiddenBriefly = 0
	// mantissa is how many bits of an amount are kept: 9 and one that is implied.
	mantissa = 10
	// memoryUnit is how much finer memory is counted than here, as a power of two:
	// the unit is some 1 MiB, and below 1 GiB each counts.
	memoryUnit = 10
)

// float rounds down to mantissa bits; a larger number never becomes the smaller.
// The result is less than 2^15-1, whatever x is.
func float(x int64) uint32 {
	x = max(x, 0)
	shift := max(bits.Len64(uint64(x))-mantissa, 0)
	// The leading bit of the mantissa counts one up in the exponent, as soon as
	// there is an exponent.
	return uint32(shift)<<(mantissa-1) + uint32(x>>shift)
}

// briefly returns CPU and memory in 32 bits. CPU is one more than it is, which
// leaves zero to hidden slots.
func briefly(v *resources.Vector) uint32 {
	if v[resources.CPU] < 0 {
		return hiddenBriefly
	}
	return (float(v[resources.CPU])+1)<<16 | float(v[resources.Memory]>>memoryUnit)
}

// twice returns a need as the word to subtract.
func twice(brief uint32) uint64 { return uint64(brief)<<32 | uint64(brief) }

// putBrief writes slot i. The cache's lock is held, so that nobody else writes the
// other half.
func (c *columns) putBrief(i int32, brief uint32) {
	word, shift := &c.brief[i/2], uint(i%2)*32
	word.Store(word.Load()&^(0xffffffff<<shift) | uint64(brief)<<shift | guards)
}

// left compares slot i with the need and returns the guards that are left, in the
// lower half; the upper half is empty.
func (c *columns) left(i int, need uint64) uint64 {
	return (c.brief[i/2].Load() - need) >> (uint(i%2) * 32) & (guards & (1<<32 - 1))
}

// stride is how many slots are compared before it is asked whether one of them
// fits, and words how many words that are.
const (
	words  = 4
	stride = 2 * words
)

// compare compares a stride of slots with the need and returns the guards that are
// left. Not as an array: the compiler would keep that in memory.
func compare(slots *[words]atomic.Uint64, need uint64) (a, b, c, d uint64) {
	return slots[0].Load() - need, slots[1].Load() - need, slots[2].Load() - need, slots[3].Load() - need
}

// fits has those bits of guardsCPU that stand for a slot which may fit.
func fits(left uint64) uint64 { return left & (left << 16) & guardsCPU }

// fitsAny is not zero if a slot of the stride may fit.
func fitsAny(a, b, c, d uint64) uint64 {
	return (a&(a<<16) | b&(b<<16) | c&(c<<16) | d&(d<<16)) & guardsCPU
}

// enoughCPU counts the slots of the stride that have the CPU.
func enoughCPU(a, b, c, d uint64) int {
	return bits.OnesCount64(a&guardsCPU | b&guardsCPU>>1 | c&guardsCPU>>2 | d&guardsCPU>>3)
}
