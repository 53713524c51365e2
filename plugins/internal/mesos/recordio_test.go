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

package mesos

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

func readAll(r *recordReader) (records [][]byte, err error) {
	for {
		record, err := r.next()
		if err != nil {
			return records, err
		}
		records = append(records, bytes.Clone(record))
	}
}

func TestRecordsOfAnySizeInAnyChunks(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var stream []byte
	var want [][]byte
	for _, size := range []int{0, 1, 9, 10, 99, readBufferBytes - 1, readBufferBytes, readBufferBytes + 1, growStepBytes + 1, 3, 5*growStepBytes + 17, 2} {
		record := make([]byte, size)
		for i := range record {
			record[i] = byte(rng.Uint32())
		}
		want = append(want, record)
		stream = append(stream, frame(record)...)
	}
	for name, in := range map[string]io.Reader{
		"whole":  bytes.NewReader(stream),
		"halves": iotest.HalfReader(bytes.NewReader(stream)),
		"bytes":  iotest.OneByteReader(bytes.NewReader(stream)),
		"eof":    iotest.DataErrReader(bytes.NewReader(stream)),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readAll(newRecordReader(in, 1<<30))
			if !errors.Is(err, io.EOF) || errors.Is(err, errRecordIO) {
				t.Errorf("the stream ended with %v, want io.EOF", err)
			}
			if len(got) != len(want) {
				t.Fatalf("%d records, want %d", len(got), len(want))
			}
			for i := range got {
				if !bytes.Equal(got[i], want[i]) {
					t.Errorf("record %d of %d bytes differs", i, len(want[i]))
				}
			}
		})
	}
}

func TestMalformedRecordStreams(t *testing.T) {
	tests := []struct {
		in, want string
		records  int
	}{
		{in: "\n", want: "byte"},
		{in: "-1\n", want: "byte"},
		{in: "+1\na", want: "byte"},
		{in: " 1\na", want: "byte"},
		{in: "0x1\na", want: "byte"},
		{in: "1\r\na", want: "byte"},
		{in: "1.0\na", want: "byte"},
		{in: "1\na\n1\nb", want: "byte", records: 1}, // nothing follows a payload
		{in: "12345678901234567890\n", want: "digits"},
		{in: "9223372036854775807\n", want: "overflows"},
		{in: "101\n", want: "limit"},
		{in: "3\nab", want: "2 of a record's 3 bytes"},
		{in: "3\n", want: "0 of a record's 3 bytes"},
		{in: "3", want: "inside a record's length"},
		{in: "1\na2", want: "inside a record's length", records: 1},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%q", test.in), func(t *testing.T) {
			got, err := readAll(newRecordReader(strings.NewReader(test.in), 100))
			if !errors.Is(err, errRecordIO) || !strings.Contains(err.Error(), test.want) || errors.Is(err, io.EOF) {
				t.Errorf("error is %v, want %q", err, test.want)
			}
			if len(got) != test.records {
				t.Errorf("%d records before it, want %d", len(got), test.records)
			}
		})
	}
}

func TestReadErrorIsPassedOn(t *testing.T) {
	broken := errors.New("connection reset")
	in := io.MultiReader(strings.NewReader("3\nab"), iotest.ErrReader(broken))
	if _, err := newRecordReader(in, 100).next(); !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
}

func TestDeclaredLengthAllocatesLittle(t *testing.T) {
	r := newRecordReader(strings.NewReader("268435456\nabc"), 1<<30)
	if _, err := r.next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	if cap(r.buf) > growStepBytes {
		t.Errorf("%d bytes were allocated for a record that never came", cap(r.buf))
	}
}

func TestBufferIsReusedAndGivenBack(t *testing.T) {
	var stream []byte
	stream = append(stream, frame(make([]byte, 8<<20))...)
	for range 2 * shrinkAfter {
		stream = append(stream, frame(make([]byte, 1000))...)
	}
	r := newRecordReader(bytes.NewReader(stream), 1<<30)
	for i := 0; ; i++ {
		if _, err := r.next(); err != nil {
			break
		}
		if i < shrinkAfter-1 && cap(r.buf) < 8<<20 {
			t.Fatalf("the buffer was given back after %d records", i)
		}
	}
	if cap(r.buf) > keepBufferBytes {
		t.Errorf("a buffer of %d bytes is kept for small records", cap(r.buf))
	}
	one := frame(make([]byte, 1000))
	in := bytes.NewReader(one)
	r = newRecordReader(in, 1<<20)
	if _, err := r.next(); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		in.Reset(one)
		if _, err := r.next(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per record", n)
	}
}

// FuzzRecordIO: no input crashes the reader, and what it accepted is what was
// framed.
func FuzzRecordIO(f *testing.F) {
	for _, seed := range []string{"", "0\n", "1\na", "3\nabc2\nde", "10\nabc", "99999999999999999999\n", "-1\n", "1\na\n", "007\nabcdefg"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		const limit = 1 << 16
		records, err := readAll(newRecordReader(iotest.HalfReader(bytes.NewReader(stream)), limit))
		if err == nil {
			t.Fatal("a finite stream must end with an error")
		}
		var again []byte
		rest := stream
		for _, record := range records {
			if len(record) > limit {
				t.Fatalf("a record of %d bytes passed the limit", len(record))
			}
			// Leading zeros of a length are the only thing that framing does not give back.
			for len(rest) > 1 && rest[0] == '0' && rest[1] != '\n' {
				rest = rest[1:]
			}
			framed := frame(record)
			if !bytes.HasPrefix(rest, framed) {
				t.Fatalf("record %q is not what stands at %q", record, rest[:min(len(rest), 40)])
			}
			rest = rest[len(framed):]
			again = append(again, framed...)
		}
		if errors.Is(err, io.EOF) && len(rest) != 0 {
			t.Fatalf("a proper end with %d bytes left", len(rest))
		}
		twice, err := readAll(newRecordReader(bytes.NewReader(again), limit))
		if !errors.Is(err, io.EOF) || len(twice) != len(records) {
			t.Fatalf("%d records framed again read as %d: %v", len(records), len(twice), err)
		}
	})
}
