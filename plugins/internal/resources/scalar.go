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

import "math"

// MaxScalar is the largest amount FromMesosScalar accepts, in 1/1000 of the
// unit. Up to it, an amount survives the way through Mesos' double and back
// unchanged; beyond it a double no longer tells neighbouring amounts apart. It is
// two billion terabytes of memory, or as many cores as no cluster has.
const MaxScalar int64 = 1 << 51

// FromMesosScalar returns a Mesos scalar as an integer count of 1/1000, rounded
// to the nearest, halves away from zero, as Mesos does (Mesos source,
// common/values.cpp, convertToFixed: llround(value * 1000)). It reports false
// for what is no amount of a resource: NaN, an infinity, less than nothing or
// more than MaxScalar.
//
// It is right for offers too. The master computes in the same fixed point, so an
// offered double is at most an error of representation away from a multiple of
// 1/1000, and rounding down would lose 1/1000 of 0.3 and the like.
func FromMesosScalar(v float64) (milli int64, ok bool) {
	rounded := math.Round(v * 1000)
	// Written so that NaN, which compares false with everything, is refused. -0
	// and what rounds to it count as nothing.
	if v < 0 || !(rounded >= 0 && rounded <= float64(MaxScalar)) {
		return 0, false
	}
	return int64(rounded), true
}

// ToMesosScalar returns an integer count of 1/1000 as a Mesos scalar. For 0 to
// MaxScalar, FromMesosScalar gives back exactly milli.
func ToMesosScalar(milli int64) float64 {
	return float64(milli) / 1000
}
