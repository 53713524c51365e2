//go:build bench && linux

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

package scheduler

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	compare   = flag.Bool("compare", false, "run the whole comparison")
	rounds    = flag.Int("rounds", 6, "how often each variant of each workload runs")
	workloads = flag.String("workloads", "", "run the workloads whose names contain one of these words, separated by commas")
	nodes     = flag.Int("nodes", 0, "run the workloads in the size of so many nodes; 0 for all")
	variants  = flag.String("variants", "", "run these variants, separated by commas; all by default")
	results   = flag.String("results", "../results/scheduler.txt", "file to which the results are appended")
	keep      = flag.String("keep", "", "directory for the runs' files, among them CPU profiles and logs; removed by default")
	command   = flag.String("command", "make bench-scheduler", "command that is written to the results")

	// For BenchmarkRun.
	_         = flag.String("run.dir", "", "directory of the run")
	runPods   = flag.Int("run.pods", 0, "how many pods are measured")
	runMaster = flag.Int("run.master", 0, "process id of the master, 0 for none")
)

// runTimeout bounds a run; the longest takes two minutes on two cores.
const runTimeout = 15 * time.Minute

const (
	profileFile = "cpu.pprof"
	measureFile = "measure.json"
	logFile     = "log.txt"
)

// TestCompare is make bench-scheduler. Each result is appended as soon as it is there; a
// run that fails is told of, and the others go on.
func TestCompare(t *testing.T) {
	if !*compare {
		t.Skip("the comparison takes hours; run make bench-scheduler")
	}
	out, err := openResults(*results, *command)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	list := Rounds(split(*workloads), *nodes, *rounds)
	for i := range list {
		run := &list[i]
		if only := split(*variants); len(only) > 0 && !named(string(run.Variant), only) {
			continue
		}
		line, err := execute(t, run, i)
		if err != nil {
			t.Errorf("%s: %v", run.Name(), err)
			continue
		}
		t.Log(line)
		if _, err := fmt.Fprintln(out, line); err != nil {
			t.Fatal(err)
		}
	}
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

// execute runs the harness in a process of its own, with a directory of its own.
func execute(t *testing.T, run *Run, number int) (line string, err error) {
	dir := t.TempDir()
	if *keep != "" {
		dir = filepath.Join(*keep, fmt.Sprintf("%03d-%s", number, strings.ReplaceAll(run.Name(), "/", "_")))
		if dir, err = filepath.Abs(dir); err != nil {
			return "", err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	for _, name := range []string{etcdName, masterName} {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrExist) {
			return "", err
		}
	}
	// The agents must be written before the master starts, the rest after.
	if err := run.Write(dir, ""); err != nil {
		return "", err
	}
	master := &master{}
	if run.UsesMesos() {
		if master, err = startMaster(dir); err != nil {
			return "", fmt.Errorf("cannot start the emulated master: %w", err)
		}
		defer master.stop()
		if err := run.Write(dir, master.address); err != nil {
			return "", err
		}
	}
	if err := harness(self, dir, run, master.pid); err != nil {
		return "", err
	}
	return read(dir, run)
}

func harness(self, dir string, run *Run, master int) error {
	log, err := os.Create(filepath.Join(dir, logFile))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), runTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "-test.run=^$", "-test.bench=^BenchmarkRun$", "-test.benchtime=1x", "-test.timeout=0",
		"-data-items-dir="+dir, "-run.dir="+dir, "-run.pods="+strconv.Itoa(run.Pods), "-run.master="+strconv.Itoa(master))
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w; the end of its log:\n%s", err, tail(log.Name()))
	}
	return nil
}

func tail(file string) string {
	const most = 4000
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}

// master is the emulated master's process.
type master struct {
	pid     int
	address string
	stop    func()
}

func startMaster(dir string) (*master, error) {
	cmd := exec.Command(filepath.Join(dir, masterName), filepath.Join(dir, "agents.json"))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop := func() {
		_ = in.Close()
		_ = cmd.Wait()
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return nil, err
	}
	return &master{pid: cmd.Process.Pid, address: strings.TrimSpace(address), stop: stop}, nil
}

// read makes the result of a run's files.
func read(dir string, run *Run) (string, error) {
	var m Measure
	if err := readJSON(filepath.Join(dir, measureFile), &m); err != nil {
		return "", err
	}
	file, err := os.Open(filepath.Join(dir, profileFile))
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	cpu, err := ReadCPU(file)
	if err != nil {
		return "", err
	}
	items, err := filepath.Glob(filepath.Join(dir, "BenchmarkRun_benchmark_run_*.json"))
	if err != nil || len(items) == 0 {
		return "", fmt.Errorf("the harness wrote no result (%w)", err)
	}
	var data struct {
		DataItems []struct {
			Data   map[string]float64
			Labels map[string]string
		}
	}
	if err := readJSON(items[len(items)-1], &data); err != nil {
		return "", err
	}
	average := 0.0
	for _, item := range data.DataItems {
		if item.Labels["Metric"] == "SchedulingThroughput" {
			average = item.Data["Average"]
		}
	}
	return m.Line(run, cpu, average), nil
}

func readJSON(file string, into any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
