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
	"fmt"
	"strconv"
	"strings"
	"time"
)

// forever is longer than any emulation.
const forever = 100 * 365 * 24 * time.Hour

// signal is a POSIX signal.
type signal int

// The signals that commands here send and catch.
const (
	sigHUP  signal = 1
	sigINT  signal = 2
	sigQUIT signal = 3
	sigKILL signal = 9
	sigUSR1 signal = 10
	sigUSR2 signal = 12
	sigTERM signal = 15
)

// String is the text of strsignal, as in the messages of the command executor.
func (s signal) String() string {
	switch s {
	case sigHUP:
		return "Hangup"
	case sigINT:
		return "Interrupt"
	case sigQUIT:
		return "Quit"
	case sigKILL:
		return "Killed"
	case sigUSR1:
		return "User defined signal 1"
	case sigUSR2:
		return "User defined signal 2"
	case sigTERM:
		return "Terminated"
	}
	return fmt.Sprintf("Unknown signal %d", int(s))
}

func signalByName(s string) (signal, bool) {
	known := map[string]signal{
		"HUP": sigHUP, "INT": sigINT, "QUIT": sigQUIT, "KILL": sigKILL, "USR1": sigUSR1, "USR2": sigUSR2, "TERM": sigTERM,
	}
	if sig, ok := known[strings.TrimPrefix(s, "SIG")]; ok {
		return sig, true
	}
	n, err := strconv.Atoi(s)
	for _, sig := range known {
		if err == nil && int(sig) == n {
			return sig, true
		}
	}
	return 0, false
}

// killOfSelf reads the arguments of kill if they mean the shell itself.
func killOfSelf(args []string) (signal, error) {
	if len(args) == 0 || args[len(args)-1] != "$$" {
		return 0, errForeign
	}
	args = args[:len(args)-1]
	switch {
	case len(args) == 0:
		return sigTERM, nil
	case len(args) == 1 && strings.HasPrefix(args[0], "-"):
		if sig, ok := signalByName(args[0][1:]); ok {
			return sig, nil
		}
	case len(args) == 2 && args[0] == "-s":
		if sig, ok := signalByName(args[1]); ok {
			return sig, nil
		}
	}
	return 0, errForeign
}

func exitStatus(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, errForeign
	}
	return n & 255, nil
}

// opcode is what an instruction does.
type opcode uint8

const (
	opSleep        opcode = iota // for a time; the status is 0 then
	opStatus                     // set the status of the last command
	opExit                       // end with a status
	opExitLast                   // end with the status of the last command
	opSignal                     // a signal to the shell itself
	opTrap                       // catch or ignore a signal
	opJump                       // go on elsewhere
	opJumpIfOK                   // if the status is 0
	opJumpUnlessOK               // if it is not
)

// instruction is one step of a program.
type instruction struct {
	op      opcode
	sleep   time.Duration
	status  int
	signal  signal
	target  int
	handler []instruction
	ignore  bool
}

// ending is how a process ended: with a status, or by a signal.
type ending struct {
	status int
	signal signal
}

// wait is the raw wait status, as of waitpid.
func (e ending) wait() int32 {
	if e.signal != 0 {
		return int32(e.signal)
	}
	return int32(e.status) << 8
}

// String is the text of Mesos' WSTRINGIFY.
func (e ending) String() string {
	if e.signal != 0 {
		return "terminated with signal " + e.signal.String()
	}
	return fmt.Sprintf("exited with status %d", e.status)
}

// frame is a list of instructions under way.
type frame struct {
	code []instruction
	at   int
}

// program is a process that runs a command line, as a state machine: run says
// when it wants to go on, or how it ended.
type program struct {
	stack  []frame
	status int
	traps  map[signal]instruction
	ended  *ending
}

// busy bounds the instructions a program runs without time passing; one that
// needs more spins for ever.
const busy = 10_000

func newProgram(code []instruction) *program {
	return &program{stack: []frame{{code: code}}, traps: map[signal]instruction{}}
}

// run goes on to the next moment of waiting, and returns how long that is; it
// is of no meaning once the program has ended.
func (p *program) run() time.Duration {
	for range busy {
		if p.ended != nil {
			return 0
		}
		f := &p.stack[len(p.stack)-1]
		if f.at >= len(f.code) {
			if len(p.stack) == 1 {
				p.ended = &ending{status: p.status}
				return 0
			}
			p.stack = p.stack[:len(p.stack)-1] // a trap has been served
			continue
		}
		i := f.code[f.at]
		f.at++
		if i.op == opSleep {
			p.status = 0
			return i.sleep
		}
		p.step(f, i)
	}
	return forever
}

func (p *program) step(f *frame, i instruction) {
	switch i.op {
	case opStatus:
		p.status = i.status
	case opExit:
		p.ended = &ending{status: i.status}
	case opExitLast:
		p.ended = &ending{status: p.status}
	case opSignal:
		p.signal(i.signal)
	case opTrap:
		p.traps[i.signal] = i
	case opJump:
		f.at = i.target
	case opJumpIfOK:
		if p.status == 0 {
			f.at = i.target
		}
	case opJumpUnlessOK:
		if p.status != 0 {
			f.at = i.target
		}
	}
}

// signal delivers a signal to the whole process tree. What the shell waits for
// dies of it, unless it is ignored; then the shell serves its trap, or dies. It
// returns whether the program is to run on now.
func (p *program) signal(sig signal) bool {
	if p.ended != nil {
		return false
	}
	trap, caught := p.traps[sig]
	switch {
	case sig == sigKILL || !caught:
		p.ended = &ending{signal: sig}
	case trap.ignore:
		return false
	default:
		p.status = 128 + int(sig)
		p.stack = append(p.stack, frame{code: trap.handler})
	}
	return true
}
