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

package demo

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/mesosstate"
)

const (
	// maxMachines is how many machines the live table shows.
	maxMachines = 24
	// quietEvery is how often a line is printed where nothing can be redrawn.
	quietEvery = 5 * time.Second
)

// display shows observations: a table redrawn in place on a terminal, a line
// now and then elsewhere.
type display struct {
	out      io.Writer
	terminal bool
	start    time.Time
	// drawn is how many lines the last table took, shown when the last line
	// was printed.
	drawn int
	shown time.Time
}

func newDisplay(out io.Writer, now time.Time) *display {
	f, ok := out.(*os.File)
	return &display{out: out, terminal: ok && term.IsTerminal(int(f.Fd())), start: now}
}

// show shows an observation made now; last ones are always shown.
func (d *display) show(o *observation, now time.Time, last bool) {
	if !d.terminal {
		if last || now.Sub(d.shown) >= quietEvery {
			d.shown = now
			fmt.Fprintln(d.out, summary(o, now.Sub(d.start)))
		}
		return
	}
	text := table(o, now.Sub(d.start))
	if d.drawn > 0 {
		// Up to the table's first line, and clear from there.
		fmt.Fprintf(d.out, "\x1b[%dA\x1b[J", d.drawn)
	}
	d.drawn = strings.Count(text, "\n")
	fmt.Fprint(d.out, text)
}

// summary is an observation on one line.
func summary(o *observation, elapsed time.Duration) string {
	c, tasks := o.counts(), 0
	var offered mesosstate.Milli
	for _, f := range o.ours {
		offered += f.Offered.CPUs
		for _, t := range f.Tasks {
			if t.Live() {
				tasks++
			}
		}
	}
	return fmt.Sprintf("%5.1fs  pods: %d pending, %d starting, %d running, %d over; claims: %d; offers held: %s cpus; other frameworks: %s cpus",
		elapsed.Seconds(), c.pending, c.bound, c.running, c.over, tasks, offered, o.others())
}

// others returns the CPUs that other frameworks' tasks hold.
func (o *observation) others() mesosstate.Milli {
	var sum mesosstate.Milli
	for _, m := range o.machines() {
		sum += m.others
	}
	return sum
}

// table draws an observation.
func table(o *observation, elapsed time.Duration) string {
	var b strings.Builder
	b.WriteString(summary(o, elapsed) + "\n\n")
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WORKLOAD\tPODS\t")
	for _, l := range o.workloads {
		fmt.Fprintf(w, "%s\t%d/%d %s\t\n", l.name, l.have, l.wanted, l.state)
	}
	w.Flush()
	b.WriteString("\n")
	fmt.Fprintln(w, "MACHINE\tCLAIMS\tCPUS\tOURS\tOTHERS\tOFFERED\tFREE\t")
	machines := o.machines()
	slices.SortFunc(machines, func(a, b machine) int { return strings.Compare(a.hostname, b.hostname) })
	for i, m := range machines {
		if i == maxMachines {
			fmt.Fprintf(w, "and %d more\t\t\t\t\t\t\t\n", len(machines)-i)
			break
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t\n", m.hostname, m.claims, m.total.CPUs, m.ours, m.others, m.offered, m.free)
	}
	w.Flush()
	return b.String()
}
