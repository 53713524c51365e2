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
	_ "embed"
	"fmt"
	"strings"
)

//go:embed coverage.md
var coverageText string

// coverageHead is the text above the table of coverage.md.
const coverageHead = `# What the replays compare

Written by ` + "`go test ./test/conformance -run TestReplay -update`" + `, checked by the same test without the flag.
Driven: calls sent, operator's calls made, deeds done (processes started, stopped, killed; executors'
lines played). Compared: responses (status, headers, body), events (content, order, time), ends of streams.
Left out: lines that are neither, and why.

| Recording | Lines | Driven | Compared | Left out |
|---|---|---|---|---|
`

// CoverageRow is the row of a report in coverage.md.
func CoverageRow(r *Report, lines int) string {
	return fmt.Sprintf("| %s | %d | %s | %s | %s |\n", r.Recording, lines, counts(r.Driven), counts(r.Compared), counts(r.LeftOut))
}

func counts(m map[string]int) string {
	if len(m) == 0 {
		return "-"
	}
	var parts []string
	for _, k := range sortedKeys(m) {
		parts = append(parts, fmt.Sprintf("%d %s", m[k], k))
	}
	return strings.Join(parts, "; ")
}
