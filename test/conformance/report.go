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

package conformance

import (
	"fmt"
	"sort"
)

// Difference is one thing in which the emulator differs from the recording.
type Difference struct {
	// Line is the line of the recording, for something extra the last line before
	// it.
	Line int
	// What names the event or response, Detail what about it differs.
	What, Detail string
}

func (d Difference) String() string { return fmt.Sprintf("%d: %s: %s", d.Line, d.What, d.Detail) }

// Report is what a replay found.
type Report struct {
	// Recording is the name of the recording.
	Recording string
	// Differences in the order of the recording's lines.
	Differences []Difference
	// Compared counts the lines whose content was compared, by kind; Driven those
	// that the replay sent or did; LeftOut those that were neither, by reason.
	Compared, Driven, LeftOut map[string]int
}

func newReport(name string) *Report {
	return &Report{Recording: name, Compared: map[string]int{}, Driven: map[string]int{}, LeftOut: map[string]int{}}
}

func (r *Report) add(l int, what, format string, args ...any) {
	r.Differences = append(r.Differences, Difference{l, what, fmt.Sprintf(format, args...)})
}

func (r *Report) sort() {
	sort.SliceStable(r.Differences, func(i, j int) bool { return r.Differences[i].Line < r.Differences[j].Line })
}
