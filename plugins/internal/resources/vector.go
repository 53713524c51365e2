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

package resources

import (
	"math"
	"strconv"
	"strings"
)

// Vector is an amount of every Kind, each in 1/1000 of its Mesos unit. The zero
// value is nothing. Vectors are values: methods return a new one, and == compares
// them.
type Vector [NumKinds]int64

// Add returns v + other. A kind that would overflow stays at the largest or
// smallest int64.
func (v Vector) Add(other Vector) Vector {
	for k := range v {
		v[k] = addSaturated(v[k], other[k])
	}
	return v
}

// Sub returns v - other, which may be negative. A kind that would overflow stays
// at the largest or smallest int64.
func (v Vector) Sub(other Vector) Vector {
	for k := range v {
		v[k] = subSaturated(v[k], other[k])
	}
	return v
}

// Max returns the larger amount of each kind.
func (v Vector) Max(other Vector) Vector {
	for k := range v {
		v[k] = max(v[k], other[k])
	}
	return v
}

// Min returns the smaller amount of each kind.
func (v Vector) Min(other Vector) Vector {
	for k := range v {
		v[k] = min(v[k], other[k])
	}
	return v
}

// Fits reports whether free holds v. A kind of which v needs nothing never
// stands in the way, even where free is negative.
func (v Vector) Fits(free Vector) bool {
	for k := range v {
		if v[k] > 0 && v[k] > free[k] {
			return false
		}
	}
	return true
}

// FirstShort returns the first kind, in the order of Kind, of which free holds
// less than v needs. It reports false exactly when v fits free.
func (v Vector) FirstShort(free Vector) (Kind, bool) {
	for k := range v {
		if v[k] > 0 && v[k] > free[k] {
			return Kind(k), true
		}
	}
	return 0, false
}

// IsZero reports whether v is nothing of any kind.
func (v Vector) IsZero() bool {
	return v == Vector{}
}

// AnyNegative reports whether v is less than nothing of some kind.
func (v Vector) AnyNegative() bool {
	for k := range v {
		if v[k] < 0 {
			return true
		}
	}
	return false
}

// String returns v as Mesos writes resources, without the kinds of which it is
// nothing: "cpus:1.5;mem:128". Nothing at all is "{}", as in Mesos.
func (v Vector) String() string {
	var b strings.Builder
	for k, milli := range v {
		if milli == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(';')
		}
		b.WriteString(Kind(k).MesosName())
		b.WriteByte(':')
		writeMilli(&b, milli)
	}
	if b.Len() == 0 {
		return "{}"
	}
	return b.String()
}

// writeMilli writes milli/1000 as a decimal without trailing zeros.
func writeMilli(b *strings.Builder, milli int64) {
	// The magnitude of the smallest int64 is no int64, but it is a uint64.
	magnitude := uint64(milli)
	if milli < 0 {
		b.WriteByte('-')
		magnitude = -magnitude
	}
	b.WriteString(strconv.FormatUint(magnitude/1000, 10))
	fraction := magnitude % 1000
	if fraction == 0 {
		return
	}
	// 1000+fraction always has four digits; the first becomes the point.
	digits := strconv.FormatUint(1000+fraction, 10)
	b.WriteByte('.')
	b.WriteString(strings.TrimRight(digits[1:], "0"))
}

func addSaturated(a, b int64) int64 {
	sum := a + b
	// Only operands of one sign overflow, and then the sum has the other sign.
	if (a >= 0) == (b >= 0) && (sum >= 0) != (a >= 0) {
		return saturated(a < 0)
	}
	return sum
}

func subSaturated(a, b int64) int64 {
	difference := a - b
	if (a >= 0) != (b >= 0) && (difference >= 0) != (a >= 0) {
		return saturated(a < 0)
	}
	return difference
}

func saturated(negative bool) int64 {
	if negative {
		return math.MinInt64
	}
	return math.MaxInt64
}
