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
	"regexp"
	"strconv"
	"strings"
)

//go:embed differences.md
var differencesText string

// Declared is a row of differences.md: a difference that is known and has its
// reason.
type Declared struct {
	// Recording is the recording's name.
	Recording string
	// From and To bound the lines, To is 0 for all.
	From, To int
	// Pattern matches the difference as it is printed, without its line number.
	Pattern *regexp.Regexp
	// Observable tells whether a scheduler can notice.
	Observable bool
	// Reason is why it is so.
	Reason string
	// Row is the line of the table.
	Row int
}

// ParseDeclared reads the table of differences.md: the rows of the first table
// whose heading begins with "Recording".
func ParseDeclared(text string) ([]Declared, error) {
	var out []Declared
	inside := false
	for i, l := range strings.Split(text, "\n") {
		cells := tableCells(l)
		switch {
		case cells == nil:
			inside = false
			continue
		case cells[0] == "Recording":
			inside = true
			continue
		case !inside || strings.HasPrefix(cells[0], "--"):
			continue
		}
		d, err := parseRow(cells)
		if err != nil {
			return nil, fmt.Errorf("differences.md:%d: %w", i+1, err)
		}
		d.Row = i + 1
		out = append(out, d)
	}
	return out, nil
}

// tableCells splits a row of a table; "\|" is a bar within a cell.
func tableCells(l string) []string {
	l = strings.TrimSpace(l)
	if !strings.HasPrefix(l, "|") {
		return nil
	}
	const bar = "\x00"
	l = strings.ReplaceAll(l, `\|`, bar)
	cells := strings.Split(strings.Trim(l, "|"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(strings.ReplaceAll(cells[i], bar, "|"))
	}
	return cells
}

func parseRow(cells []string) (Declared, error) {
	const columns = 7
	if len(cells) != columns {
		return Declared{}, fmt.Errorf("%d columns, want %d", len(cells), columns)
	}
	d := Declared{Recording: cells[0], Reason: cells[6]}
	if d.Reason == "" || cells[3] == "" || cells[4] == "" {
		return d, fmt.Errorf("what a real master does, what the emulator does and the reason must be told")
	}
	if cells[1] != "all" {
		from, to, ok := strings.Cut(cells[1], "-")
		if !ok {
			to = from
		}
		var err error
		if d.From, err = strconv.Atoi(from); err == nil {
			d.To, err = strconv.Atoi(to)
		}
		if err != nil {
			return d, fmt.Errorf("lines %q: want all, a number or two with a dash", cells[1])
		}
	}
	var err error
	if d.Pattern, err = regexp.Compile(strings.Trim(cells[2], "`")); err != nil {
		return d, fmt.Errorf("pattern: %w", err)
	}
	switch cells[5] {
	case "yes":
		d.Observable = true
	case "no":
	default:
		return d, fmt.Errorf("observable %q: want yes or no", cells[5])
	}
	return d, nil
}

// covers tells whether a row declares a difference.
func (d *Declared) covers(recording string, x Difference) bool {
	return d.Recording == recording && (d.To == 0 || x.Line >= d.From && x.Line <= d.To) && d.Pattern.MatchString(x.What+": "+x.Detail)
}

// Check compares what a replay found with what is declared. It returns the
// differences that are not declared and the rows that declare what is no longer
// different.
func Check(report *Report, rows []Declared) (undeclared []Difference, stale []Declared) {
	used := make([]bool, len(rows))
	for _, x := range report.Differences {
		found := false
		for i := range rows {
			if rows[i].covers(report.Recording, x) {
				used[i], found = true, true
			}
		}
		if !found {
			undeclared = append(undeclared, x)
		}
	}
	for i, d := range rows {
		if d.Recording == report.Recording && !used[i] {
			stale = append(stale, d)
		}
	}
	return undeclared, stale
}
