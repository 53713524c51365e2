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

// Command mutations checks that the recordings guard the emulator: it changes one
// observable behaviour at a time, in a copy, and replays. A change that no
// recording notices is a failure. It takes some minutes:
//
//	go run ./test/conformance/mutations
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Mutation is one changed behaviour.
type Mutation struct {
	// Name says what the emulator does then.
	Name string
	// File, below test/mesosmaster, has Old exactly once; New stands there instead.
	File, Old, New string
}

func main() {
	only := flag.String("run", "", "regular expression of the names of mutations to try; all if empty")
	root := flag.String("C", ".", "the root of the module")
	flag.Parse()
	pattern, err := regexp.Compile(*only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutations: -run:", err)
		os.Exit(2)
	}
	survived, err := try(*root, pattern)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutations:", err)
		os.Exit(2)
	}
	if survived > 0 {
		fmt.Fprintf(os.Stdout, "%d changes that no recording noticed\n", survived)
		os.Exit(1)
	}
}

// try applies the mutations one by one and prints which recordings notice each.
func try(root string, names *regexp.Regexp) (survived int, err error) {
	dir, err := os.MkdirTemp("", "mutations")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a leftover in the temporary folder does no harm
	if noticed, err := replay(root, ""); err != nil {
		return 0, fmt.Errorf("the emulator as it is: %w", err)
	} else if len(noticed) > 0 {
		return 0, fmt.Errorf("recordings fail for the emulator as it is: %s", strings.Join(noticed, ", "))
	}
	for _, m := range Mutations {
		if !names.MatchString(m.Name) {
			continue
		}
		overlay, err := m.overlay(root, dir)
		if err != nil {
			return survived, err
		}
		noticed, err := replay(root, overlay)
		if err != nil {
			return survived, fmt.Errorf("%s: %w", m.Name, err)
		}
		if len(noticed) == 0 {
			survived++
			noticed = []string{"NOTHING"}
		}
		fmt.Fprintf(os.Stdout, "%s: noticed by %s\n", m.Name, strings.Join(noticed, ", "))
	}
	return survived, nil
}

// apply returns the changed file's path and content.
func (m Mutation) apply(root string) (path string, content []byte, err error) {
	if path, err = filepath.Abs(filepath.Join(root, "test", "mesosmaster", m.File)); err != nil {
		return "", nil, err
	}
	content, err = os.ReadFile(path)
	if err != nil {
		return "", nil, err
	}
	if n := strings.Count(string(content), m.Old); n != 1 {
		return "", nil, fmt.Errorf("%s: %s has %q %d times, want once: adapt the mutation to the code", m.Name, m.File, m.Old, n)
	}
	return path, []byte(strings.Replace(string(content), m.Old, m.New, 1)), nil
}

// overlay writes the changed file and what go build -overlay needs to use it.
func (m Mutation) overlay(root, dir string) (string, error) {
	path, content, err := m.apply(root)
	if err != nil {
		return "", err
	}
	changed := filepath.Join(dir, "changed.go")
	if err := os.WriteFile(changed, content, 0o600); err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o600)
}

var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (Test\w+)(?:/(\S+))?`)

// replay runs all recordings against the emulator, changed by an overlay unless
// that is empty, and returns those that fail.
func replay(root, overlay string) (noticed []string, err error) {
	cmd := exec.Command("go", "test", "-overlay="+overlay, "-timeout", "5m", "./test/conformance")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil, nil
	}
	for _, match := range failed.FindAllStringSubmatch(string(out), -1) {
		name := match[2]
		if name == "" && match[1] != "TestReplay" {
			// Bytes of 08b and 01p are compared by tests of their own.
			name = match[1]
		}
		if name != "" && !slices.Contains(noticed, name) {
			noticed = append(noticed, name)
		}
	}
	if len(noticed) == 0 {
		// It did not compile, or it hung: that is no answer.
		return nil, fmt.Errorf("no recording failed, but: %w\n%s", err, out)
	}
	return noticed, nil
}
