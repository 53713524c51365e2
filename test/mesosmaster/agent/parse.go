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
	"errors"
	"strings"
	"time"
	"unicode"
)

// errForeign says that a command line uses something the interpreter does not
// know. The process then is one that runs until it is killed.
var errForeign = errors.New("not understood")

// tokens splits a shell command line into words and the operators ; && || and
// newline. Quotes hold words together; what needs expansion is foreign, except
// $$, the shell's own process id.
func tokens(line string) ([]token, error) {
	var out []token
	var word strings.Builder
	open := false
	flush := func() {
		if open {
			out = append(out, token{text: word.String()})
			word.Reset()
			open = false
		}
	}
	runes := []rune(line)
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		switch {
		case r == '\'' || r == '"':
			end := i + 1
			for end < len(runes) && runes[end] != r {
				end++
			}
			if end == len(runes) || r == '"' && strings.ContainsAny(string(runes[i+1:end]), "$`\\") {
				return nil, errForeign
			}
			word.WriteString(string(runes[i+1 : end]))
			open, i = true, end
		case r == '\n' || r == ';':
			flush()
			out = append(out, token{text: ";", operator: true})
		case r == '&' || r == '|':
			if i+1 == len(runes) || runes[i+1] != r {
				return nil, errForeign
			}
			flush()
			out = append(out, token{text: string(runes[i : i+2]), operator: true})
			i++
		case unicode.IsSpace(r):
			flush()
		case r == '$' && i+1 < len(runes) && runes[i+1] == '$':
			word.WriteString("$$")
			open, i = true, i+1
		case strings.ContainsRune("$`\\<>(){}*?[]#~", r):
			return nil, errForeign
		default:
			word.WriteRune(r)
			open = true
		}
	}
	flush()
	return out, nil
}

type token struct {
	text     string
	operator bool
}

// compiler turns tokens into instructions.
type compiler struct {
	in     []token
	out    []instruction
	exists func(path string) bool
}

// compile translates a shell command line. exists tells which paths there are.
func compile(line string, exists func(path string) bool) ([]instruction, error) {
	in, err := tokens(line)
	if err != nil {
		return nil, err
	}
	c := &compiler{in: in, exists: exists}
	if err := c.list(); err != nil {
		return nil, err
	}
	if len(c.in) > 0 {
		return nil, errForeign
	}
	return c.out, nil
}

func (c *compiler) word() (string, bool) {
	if len(c.in) == 0 || c.in[0].operator {
		return "", false
	}
	return c.in[0].text, true
}

func (c *compiler) operator(text string) bool {
	if len(c.in) > 0 && c.in[0].operator && c.in[0].text == text {
		c.in = c.in[1:]
		return true
	}
	return false
}

func (c *compiler) keyword(text string) error {
	if w, ok := c.word(); !ok || w != text {
		return errForeign
	}
	c.in = c.in[1:]
	return nil
}

// list compiles commands up to the end or to a word that closes a loop.
func (c *compiler) list() error {
	for {
		for c.operator(";") {
		}
		w, ok := c.word()
		if !ok {
			if len(c.in) > 0 {
				return errForeign
			}
			return nil
		}
		if w == "do" || w == "done" {
			return nil
		}
		if err := c.chain(); err != nil {
			return err
		}
	}
}

// chain compiles commands joined by && and ||.
func (c *compiler) chain() error {
	if err := c.command(); err != nil {
		return err
	}
	for {
		var op opcode
		switch {
		case c.operator("&&"):
			op = opJumpUnlessOK
		case c.operator("||"):
			op = opJumpIfOK
		default:
			return nil
		}
		at := len(c.out)
		c.out = append(c.out, instruction{op: op})
		if err := c.command(); err != nil {
			return err
		}
		c.out[at].target = len(c.out)
	}
}

func (c *compiler) command() error {
	w, ok := c.word()
	if !ok {
		return errForeign
	}
	if w == "while" || w == "until" {
		return c.loop()
	}
	var words []string
	for {
		w, ok := c.word()
		if !ok {
			break
		}
		words = append(words, w)
		c.in = c.in[1:]
	}
	made, err := simple(words, c.exists)
	c.out = append(c.out, made...)
	return err
}

// loop compiles while and until.
func (c *compiler) loop() error {
	leave := opJumpUnlessOK
	if c.in[0].text == "until" {
		leave = opJumpIfOK
	}
	c.in = c.in[1:]
	start := len(c.out)
	if err := c.list(); err != nil {
		return err
	}
	if err := c.keyword("do"); err != nil {
		return err
	}
	out := len(c.out)
	c.out = append(c.out, instruction{op: leave})
	if err := c.list(); err != nil {
		return err
	}
	if err := c.keyword("done"); err != nil {
		return err
	}
	c.out = append(c.out, instruction{op: opJump, target: start})
	c.out[out].target = len(c.out)
	return nil
}

// quiet are commands that end at once with status 0 and leave no trace that a
// status update could show.
var quiet = map[string]bool{
	"true": true, ":": true, "echo": true, "touch": true, "mkdir": true, "cd": true, "printf": true, "pwd": true,
	"date": true, "hostname": true, "env": true, "sync": true, "umask": true, "chmod": true,
}

// simple compiles one simple command, given as its words.
func simple(words []string, exists func(string) bool) ([]instruction, error) {
	if words[0] == "exec" && len(words) > 1 {
		made, err := simple(words[1:], exists)
		return append(made, instruction{op: opExitLast}), err
	}
	name := words[0]
	if strings.HasPrefix(name, "/") {
		if !exists(name) {
			return []instruction{{op: opStatus, status: 127}}, nil
		}
		name = name[strings.LastIndexByte(name, '/')+1:]
	}
	switch {
	case quiet[name]:
		return []instruction{{op: opStatus}}, nil
	case name == "false":
		return []instruction{{op: opStatus, status: 1}}, nil
	case name == "sleep" && len(words) == 2:
		d, err := sleepTime(words[1])
		return []instruction{{op: opSleep, sleep: d}}, err
	case name == "exit" && len(words) == 1:
		return []instruction{{op: opExitLast}}, nil
	case name == "exit" && len(words) == 2:
		n, err := exitStatus(words[1])
		return []instruction{{op: opExit, status: n}}, err
	case name == "kill":
		sig, err := killOfSelf(words[1:])
		return []instruction{{op: opSignal, signal: sig}}, err
	case name == "trap" && len(words) >= 3:
		return compileTrap(words[1], words[2:], exists)
	case (name == "sh" || name == "bash") && len(words) == 3 && words[1] == "-c":
		return compile(words[2], exists)
	}
	return nil, errForeign
}

func compileTrap(action string, signals []string, exists func(string) bool) ([]instruction, error) {
	handler, err := compile(action, exists)
	if err != nil {
		return nil, err
	}
	var out []instruction
	for _, s := range signals {
		sig, ok := signalByName(s)
		if !ok {
			return nil, errForeign
		}
		out = append(out, instruction{op: opTrap, signal: sig, handler: handler, ignore: action == ""})
	}
	return out, nil
}

// sleepTime reads the argument of sleep: seconds, or with a unit.
func sleepTime(s string) (time.Duration, error) {
	if s == "infinity" || s == "inf" {
		return forever, nil
	}
	switch last := s[max(0, len(s)-1):]; last {
	case "s", "m", "h":
	case "d":
		return 0, errForeign
	default:
		s += "s"
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, errForeign
	}
	return d, nil
}
