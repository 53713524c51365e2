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

package mesos

import "strconv"

// heedsConstraints tells whether a master of this version heeds offer constraints:
// from 1.11.0 on. A version that cannot be read
// counts as older: what it would leave out unseen, we would wait for in vain.
func heedsConstraints(version string) bool { return atLeast(version, 1, 11) }

// atLeast tells whether a version such as "1.12.0" or "1.12.0-dev" is major.minor or
// later. Pre-releases count as what they lead to.
func atLeast(version string, major, minor int) bool {
	first, rest, ok := leadingNumber(version)
	if !ok || len(rest) == 0 || rest[0] != '.' {
		return false
	}
	second, rest, ok := leadingNumber(rest[1:])
	if !ok || len(rest) > 0 && rest[0] != '.' && rest[0] != '-' && rest[0] != '+' {
		return false
	}
	return first > major || first == major && second >= minor
}

// leadingNumber takes a decimal number off the text.
func leadingNumber(s string) (n int, rest string, ok bool) {
	i := 0
	for i < len(s) && '0' <= s[i] && s[i] <= '9' {
		i++
	}
	n, err := strconv.Atoi(s[:i])
	return n, s[i:], err == nil
}
