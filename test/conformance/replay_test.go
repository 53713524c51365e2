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
	"flag"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kube-mesos/kube-mesos/test/recordings"
)

var (
	all    = flag.Bool("all", false, "print declared differences too")
	update = flag.Bool("update", false, "write coverage.md")
)

// TestReplay replays every recording: what differs must be declared in
// differences.md, and what is declared there must differ.
func TestReplay(t *testing.T) {
	rows, err := ParseDeclared(differencesText)
	if err != nil {
		t.Fatal(err)
	}
	reports := map[string]*Report{}
	for _, name := range recordings.Names() {
		t.Run(name, func(t *testing.T) {
			reports[name] = run(t, name)
			checkReport(t, reports[name], rows)
		})
	}
	if len(reports) == len(recordings.Names()) {
		checkCoverage(t, reports)
	}
}

// run replays a recording in a bubble of its own.
func run(t *testing.T, name string) (report *Report) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var err error
		if report, err = Replay(name); err != nil {
			t.Fatal(err)
		}
	})
	return report
}

func checkReport(t *testing.T, report *Report, rows []Declared) {
	t.Helper()
	undeclared, stale := Check(report, rows)
	for _, d := range undeclared {
		t.Errorf("not declared: %s", d)
	}
	for _, d := range stale {
		t.Errorf("differences.md:%d declares %s, which no longer differs: take the row out", d.Row, d.Pattern)
	}
	if *all {
		for _, d := range report.Differences {
			t.Logf("differs: %s", d)
		}
	}
	t.Logf("driven %s; compared %s; left out %s", counts(report.Driven), counts(report.Compared), counts(report.LeftOut))
}

// checkCoverage compares coverage.md with what was compared.
func checkCoverage(t *testing.T, reports map[string]*Report) {
	t.Helper()
	var b strings.Builder
	b.WriteString(coverageHead)
	for _, name := range recordings.Names() {
		lines, err := recordings.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(CoverageRow(reports[name], len(lines)))
	}
	if *update {
		if err := os.WriteFile("coverage.md", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if b.String() != coverageText {
		t.Error("coverage.md is not what the replays compare: run this test with -update and look at what changed")
	}
}
