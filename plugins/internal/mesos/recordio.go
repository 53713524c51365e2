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
	"bufio"
	"errors"
	"fmt"
	"io"
)

const (
	// readBufferBytes is the buffer below the record reader: large enough that
	// small records cost no system call each.
	readBufferBytes = 64 << 10
	// growStepBytes bounds what a declared length alone may allocate: beyond it the
	// buffer grows only as bytes really arrive.
	growStepBytes = 1 << 20
	// maxLengthDigits is how many digits a record length may have; 19 digits can
	// still overflow no uint64.
	maxLengthDigits = 19
	// keepBufferBytes is the buffer size that is always kept between records.
	keepBufferBytes = 1 << 20
	// shrinkAfter is how many records in a row must use less than a quarter of a
	// large buffer before the buffer is given back.
	shrinkAfter = 64
)

// errRecordIO is the root of every framing error: the stream cannot be trusted
// any more, since the next record's start is unknown.
var errRecordIO = errors.New("malformed RecordIO stream")

// recordReader takes a RecordIO stream apart: a decimal length, "\n", that many
// bytes, and nothing after them (Mesos docs/recordio.md). It reads records of
// any size up to a limit into one buffer that is used again.
type recordReader struct {
	in    *bufio.Reader
	limit int64
	buf   []byte
	// small counts the records in a row that needed little of a large buffer.
	small int
}

func newRecordReader(in io.Reader, limit int64) *recordReader {
	return &recordReader{in: bufio.NewReaderSize(in, readBufferBytes), limit: limit}
}

// next returns the next record, valid until the next call. The error is io.EOF
// where the stream ended between two records, and wraps errRecordIO for a
// malformed length, a record above the limit and a stream cut inside a record.
func (r *recordReader) next() ([]byte, error) {
	length, err := r.length()
	if err != nil {
		return nil, err
	}
	if length > r.limit {
		return nil, fmt.Errorf("%w: a record of %d bytes exceeds the limit of %d; raise the limit if the cluster is that large",
			errRecordIO, length, r.limit)
	}
	r.shrink(length)
	have := 0
	for int64(have) < length {
		step := int(min(length-int64(have), growStepBytes))
		r.grow(have, step, length)
		n, err := io.ReadFull(r.in, r.buf[have:have+step])
		have += n
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("%w: the stream ended after %d of a record's %d bytes: %w",
				errRecordIO, have, length, io.ErrUnexpectedEOF)
		}
		if err != nil {
			return nil, err
		}
	}
	return r.buf[:length], nil
}

// length reads the decimal length and its newline.
func (r *recordReader) length() (int64, error) {
	var n int64
	for digits := 0; ; digits++ {
		c, err := r.in.ReadByte()
		switch {
		case errors.Is(err, io.EOF) && digits > 0:
			return 0, fmt.Errorf("%w: the stream ended inside a record's length: %w", errRecordIO, io.ErrUnexpectedEOF)
		case err != nil:
			return 0, err
		case c == '\n' && digits > 0:
			return n, nil
		case c < '0' || c > '9':
			return 0, fmt.Errorf("%w: byte %q in a record's length; is something between us and the master changing the stream?", errRecordIO, c)
		case digits >= maxLengthDigits:
			return 0, fmt.Errorf("%w: a record's length has more than %d digits", errRecordIO, maxLengthDigits)
		}
		if n > (1<<63-1-9)/10 {
			return 0, fmt.Errorf("%w: a record's length overflows", errRecordIO)
		}
		n = n*10 + int64(c-'0')
	}
}

// grow makes room for step more bytes behind the first have ones: at least
// doubling, so that a large record is copied a constant number of times, and
// never beyond the record's length.
func (r *recordReader) grow(have, step int, length int64) {
	need := have + step
	if need <= cap(r.buf) {
		r.buf = r.buf[:cap(r.buf)]
		return
	}
	size := max(int64(need), min(2*int64(cap(r.buf)), length))
	bigger := make([]byte, size)
	copy(bigger, r.buf[:have])
	r.buf = bigger
}

// shrink gives a large buffer back once many records in a row needed little of
// it: the first OFFERS of a large cluster are tens of MiB, the later ones small.
func (r *recordReader) shrink(length int64) {
	if cap(r.buf) <= keepBufferBytes || length > int64(cap(r.buf)/4) {
		r.small = 0
		return
	}
	if r.small++; r.small >= shrinkAfter {
		r.buf, r.small = nil, 0
	}
}
