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

package agent

import (
	"testing"
	"time"
)

// runProgram runs a command line, with signals at moments, and returns how and
// when it ends; no end within an hour is "".
func runProgram(code []instruction, signals map[time.Duration]signal) (string, time.Duration) {
	p := newProgram(code)
	now, wake := time.Duration(0), p.run()
	for p.ended == nil && now < time.Hour {
		next, sig, hit := now+wake, signal(0), false
		for at, s := range signals {
			if at >= now && at < next {
				next, sig, hit = at, s, true
			}
		}
		rest := wake - (next - now)
		now = next
		if !hit {
			wake = p.run()
			continue
		}
		delete(signals, now)
		if wake = rest; p.signal(sig) && p.ended == nil {
			wake = p.run()
		}
	}
	if p.ended == nil {
		return "", 0
	}
	return p.ended.String(), now
}

func TestPrograms(t *testing.T) {
	const s = time.Second
	term := func(at time.Duration) map[time.Duration]signal { return map[time.Duration]signal{at: sigTERM} }
	for _, c := range []struct {
		line    string
		signals map[time.Duration]signal
		want    string
		after   time.Duration
	}{
		{"true", nil, "exited with status 0", 0},
		{"false", nil, "exited with status 1", 0},
		{"exit 3", nil, "exited with status 3", 0},
		{"false; exit", nil, "exited with status 1", 0},
		{"exit 259", nil, "exited with status 3", 0},
		{"sleep 5", nil, "exited with status 0", 5 * s},
		{"/bin/sleep 1.5", nil, "exited with status 0", 1500 * time.Millisecond},
		{"sleep 2m", nil, "exited with status 0", 2 * time.Minute},
		{"touch data/x; sleep 1", nil, "exited with status 0", s},
		{"false && sleep 9; true || sleep 9", nil, "exited with status 0", 0},
		{"sleep 1 && exit 4", nil, "exited with status 4", s},
		{"exec sleep 3; exit 7", nil, "exited with status 0", 3 * s},
		{"sh -c 'sleep 2; exit 5'; false", nil, "exited with status 5", 2 * s},
		{"/no/such/file; true", nil, "exited with status 0", 0},
		{"/no/such/file", nil, "exited with status 127", 0},
		{"kill -9 $$", nil, "terminated with signal Killed", 0},
		{"kill $$; sleep 1", nil, "terminated with signal Terminated", 0},
		{"kill -s USR1 $$", nil, "terminated with signal User defined signal 1", 0},
		{"sleep 1000", term(2 * s), "terminated with signal Terminated", 2 * s},
		{"trap 'sleep 0.5; exit 7' TERM; while true; do sleep 0.1; done", term(2 * s), "exited with status 7", 2500 * time.Millisecond},
		{"trap '' TERM; sleep 3", term(s), "exited with status 0", 3 * s},
		{"trap '' TERM; while true; do sleep 0.1; done", term(s), "", 0},
		{"trap '' TERM; sleep 1000", map[time.Duration]signal{s: sigKILL}, "terminated with signal Killed", s},
		{"trap 'true' 15; sleep 4; exit 6", term(s), "exited with status 6", s}, // what it waits for dies too
		{"until false; do sleep 1; done", nil, "", 0},
		{"while true; do true; done", nil, "", 0}, // spins
	} {
		code, err := compile(c.line, exists)
		if err != nil {
			t.Errorf("%q is not understood", c.line)
			continue
		}
		if got, after := runProgram(code, c.signals); got != c.want || after != c.after {
			t.Errorf("%q: %q after %v, want %q after %v", c.line, got, after, c.want, c.after)
		}
	}
}

func TestForeignCommands(t *testing.T) {
	for _, line := range []string{
		"my-server --port 80", "sleep $X", "sleep `date`", "echo a | cat", "sleep 1 &", "(true)", "sleep", "sleep x", "sleep -1",
		"if true; then true; fi", "while true; do true", "do", "exit x", "kill 1", "kill -99 $$", "trap x", "trap 'my-cleanup' TERM",
		"'open", `echo "$HOME"`, "true > /tmp/x", "&& true", "exit -1", "python3 exec.py /tmp/log",
	} {
		if code, err := compile(line, exists); err == nil {
			t.Errorf("%q is taken for %v", line, code)
		}
	}
}

// No command line may make the interpreter panic or spin.
func FuzzProgram(f *testing.F) {
	f.Add("trap 'sleep 0.5; exit 7' TERM; while true; do sleep 0.1; done")
	f.Add("false && exit 3 || kill -9 $$")
	f.Fuzz(func(_ *testing.T, line string) {
		code, err := compile(line, exists)
		if err != nil {
			return
		}
		p := newProgram(code)
		for range 100 {
			if p.run(); p.ended != nil {
				return
			}
			p.signal(sigTERM)
		}
	})
}
