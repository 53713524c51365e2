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

// Package recordings holds what real Apache Mesos masters, agents and executors
// were recorded saying: the calls they got, their responses and events in order,
// and what was done to their processes. One file is one session; see README.md
// for the format. Tests replay them against the emulated master and feed them to
// the scheduler's own client.
package recordings

import (
	"bufio"
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

//go:embed *.jsonl
var files embed.FS

// Line is one line of a recording. Which fields are set depends on the Kind.
type Line struct {
	// Number is the line's number in its file, from 1.
	Number int `json:"-"`
	// Raw is the whole line.
	Raw json.RawMessage `json:"-"`

	// Kind is call, response, event, eof, admin, note, raw_call, raw_stream,
	// event_protobuf or executor_*.
	Kind string `json:"kind"`
	// Millis is the time since the start of the file, in milliseconds.
	Millis float64 `json:"t_ms"`
	// Conn names the framework instance, operator stream or process spoken to.
	Conn string `json:"conn"`
	// N joins a call and its response.
	N int `json:"n"`

	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers"`
	// Body is what was sent or answered: an object where it was JSON, a string
	// otherwise.
	Body   json.RawMessage `json:"body"`
	Status int             `json:"status"`
	// Event is one RecordIO record.
	Event json.RawMessage `json:"event"`

	// Action is what an admin line did, Process and Signal to whom.
	Action     string          `json:"action"`
	Process    string          `json:"process"`
	Signal     string          `json:"signal"`
	ExtraFlags []string        `json:"extra_flags"`
	Agents     int             `json:"agents"`
	MasterArgs []string        `json:"master_flags"`
	AgentArgs  []string        `json:"agent_flags"`
	Knobs      json.RawMessage `json:"knobs"`

	// Bytes and Record are raw bytes of a stream or of one record of it.
	Bytes  []byte `json:"bytes_b64"`
	Record []byte `json:"record_b64"`
	Text   string `json:"text"`
}

// At is the time since the start of the file.
func (l *Line) At() time.Duration { return time.Duration(l.Millis * float64(time.Millisecond)) }

// Names returns the names of all recordings, without ".jsonl", in order.
func Names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err) // embedded: the root is always there
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".jsonl"))
	}
	return names
}

// Read returns the lines of the recording of that name.
func Read(name string) ([]Line, error) {
	data, err := files.ReadFile(name + ".jsonl")
	if err != nil {
		return nil, fmt.Errorf("no recording %q: %w", name, err)
	}
	var lines []Line
	scan := bufio.NewScanner(bytes.NewReader(data))
	scan.Buffer(nil, len(data)+1)
	for n := 1; scan.Scan(); n++ {
		l, err := parse(bytes.Clone(scan.Bytes()))
		if err != nil {
			return nil, fmt.Errorf("%s.jsonl:%d: %w", name, n, err)
		}
		l.Number = n
		lines = append(lines, l)
	}
	return lines, scan.Err()
}

// parse reads one line. Notes may have any members beside their text: those are
// in Raw only.
func parse(raw []byte) (Line, error) {
	var note struct {
		Kind   string  `json:"kind"`
		Millis float64 `json:"t_ms"`
		Text   string  `json:"text"`
	}
	if err := json.Unmarshal(raw, &note); err != nil {
		return Line{}, err
	}
	if note.Kind == "note" {
		return Line{Raw: raw, Kind: note.Kind, Millis: note.Millis, Text: note.Text}, nil
	}
	l := Line{Raw: raw}
	err := json.Unmarshal(raw, &l)
	return l, err
}
