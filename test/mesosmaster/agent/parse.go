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
	"slices"
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
	l := &lexer{in: []rune(line)}
	for len(l.in) > 0 {
		if err := l.next(); err != nil {
			return nil, err
		}
	}
	l.flush()
	return l.out, nil
}

// lexer is the state of tokens: what is left, and the word under way.
type lexer struct {
	in   []rune
	out  []token
	word []rune
	open bool // there is a word, if only an empty one in quotes
}

// add takes n characters off and adds some to the word.
func (l *lexer) add(n int, more ...rune) {
	l.in, l.word, l.open = l.in[n:], append(l.word, more...), true
}

func (l *lexer) flush() {
	if l.open {
		l.out = append(l.out, token{text: string(l.word)})
		l.word, l.open = nil, false
	}
}

func (l *lexer) operator(n int, text string) {
	l.flush()
	l.in, l.out = l.in[n:], append(l.out, token{text: text, operator: true})
}

func (l *lexer) next() error {
	r, twice := l.in[0], len(l.in) > 1 && l.in[1] == l.in[0]
	switch {
	case r == '\'' || r == '"':
		return l.quoted(r)
	case r == '\n' || r == ';':
		l.operator(1, ";")
	case (r == '&' || r == '|') && twice:
		l.operator(2, string(l.in[:2]))
	case r == '$' && twice:
		l.add(2, '$', '$')
	case unicode.IsSpace(r):
		l.flush()
		l.in = l.in[1:]
	case strings.ContainsRune("$`\\<>(){}*?[]#~&|", r):
		return errForeign
	default:
		l.add(1, r)
	}
	return nil
}

// quoted takes what stands in quotes as it is.
func (l *lexer) quoted(quote rune) error {
	n := slices.Index(l.in[1:], quote)
	if n < 0 {
		return errForeign
	}
	text := l.in[1 : n+1]
	if quote == '"' && strings.ContainsAny(string(text), "$`\\") {
		return errForeign
	}
	l.add(n+2, text...)
	return nil
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
	if quiet[name] {
		return []instruction{{op: opStatus}}, nil
	}
	args := words[1:]
	switch name {
	case "false":
		return []instruction{{op: opStatus, status: 1}}, nil
	case "sleep":
		d, err := sleepTime(args)
		return []instruction{{op: opSleep, sleep: d}}, err
	case "exit":
		return compileExit(args)
	case "kill":
		sig, err := killOfSelf(args)
		return []instruction{{op: opSignal, signal: sig}}, err
	case "trap":
		return compileTrap(args, exists)
	case "sh", "bash":
		if len(args) == 2 && args[0] == "-c" {
			return compile(args[1], exists)
		}
	}
	return nil, errForeign
}

func compileExit(args []string) ([]instruction, error) {
	switch len(args) {
	case 0:
		return []instruction{{op: opExitLast}}, nil
	case 1:
		n, err := exitStatus(args[0])
		return []instruction{{op: opExit, status: n}}, err
	}
	return nil, errForeign
}

func compileTrap(args []string, exists func(string) bool) ([]instruction, error) {
	if len(args) < 2 {
		return nil, errForeign
	}
	action, signals := args[0], args[1:]
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
func sleepTime(args []string) (time.Duration, error) {
	if len(args) != 1 {
		return 0, errForeign
	}
	s := args[0]
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
