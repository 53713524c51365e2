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
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ParseBundle reads what Bundle.String writes. Amounts are not negative.
func ParseBundle(text string) (Bundle, error) {
	var b Bundle
	if text == "{}" {
		return b, nil
	}
	seen := map[string]bool{}
	var scalars []Scalar
	for part := range strings.SplitSeq(text, ";") {
		name, value, ok := strings.Cut(part, ":")
		if !ok || name == "" || strings.TrimSpace(name) != name {
			return Bundle{}, fmt.Errorf("%q is no resource such as cpus:1.5", part)
		}
		if seen[name] {
			return Bundle{}, fmt.Errorf("%q comes more than once", name)
		}
		seen[name] = true
		if name == PortsName {
			ports, err := parseRanges(value)
			if err != nil {
				return Bundle{}, err
			}
			b.Ports = ports
			continue
		}
		milli, err := parseMilli(value)
		if err != nil {
			return Bundle{}, fmt.Errorf("the amount of %s: %w", name, err)
		}
		if kind, ok := KindOfMesos(name); ok {
			b.Vector[kind] = milli
		} else {
			scalars = append(scalars, Scalar{name, milli})
		}
	}
	b.Scalars = NewScalars(scalars...)
	return b, nil
}

// parseMilli reads a decimal with at most three digits after the point as 1/1000.
func parseMilli(text string) (int64, error) {
	whole, fraction, point := strings.Cut(text, ".")
	if point && (fraction == "" || len(fraction) > 3) || !digits(whole) || point && !digits(fraction) {
		return 0, fmt.Errorf("%q is no number with at most three digits after the point", text)
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n > math.MaxInt64/1000 {
		return 0, fmt.Errorf("%q is too much", text)
	}
	milli, err := strconv.ParseInt((fraction + "000")[:3], 10, 64)
	if err != nil || n*1000 > math.MaxInt64-milli {
		return 0, fmt.Errorf("%q is too much", text)
	}
	return n*1000 + milli, nil
}

func digits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

func parseRanges(text string) (Ranges, error) {
	inner, open := strings.CutPrefix(text, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if !open || !closed {
		return nil, fmt.Errorf("%q are no ranges such as [31000-31009, 31100-31100]", text)
	}
	if inner == "" {
		return nil, nil
	}
	var list []Range
	for part := range strings.SplitSeq(inner, ",") {
		first, last, ok := strings.Cut(strings.TrimSpace(part), "-")
		begin, err1 := strconv.ParseUint(first, 10, 64)
		end, err2 := strconv.ParseUint(last, 10, 64)
		if !ok || err1 != nil || err2 != nil || begin > end {
			return nil, fmt.Errorf("%q is no range such as 31000-31009", part)
		}
		list = append(list, Range{begin, end})
	}
	return NewRanges(list...), nil
}
