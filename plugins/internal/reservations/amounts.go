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

package reservations

import "github.com/kube-mesos/kube-mesos/plugins/internal/resources"

// larger returns the larger amount of each resource, and the ports of both.
func larger(a, b resources.Bundle) resources.Bundle {
	return a.Add(positive(b.Sub(a)))
}

// positive leaves away what is less than nothing.
func positive(b resources.Bundle) resources.Bundle {
	b.Vector = b.Vector.Max(resources.Vector{})
	var scalars resources.Scalars
	for _, s := range b.Scalars {
		if s.Milli > 0 {
			scalars = append(scalars, s)
		}
	}
	b.Scalars = scalars
	return b
}

// anything reports whether there is more than nothing of some resource.
func anything(b resources.Bundle) bool {
	b = positive(b)
	return !b.IsZero()
}
