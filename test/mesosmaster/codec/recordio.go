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

package codec

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// ErrRecordTooLarge is returned by RecordReader for a record above its limit.
var ErrRecordTooLarge = errors.New("codec: record larger than the limit")

// AppendRecord appends one RecordIO frame: decimal length, newline, payload.
func AppendRecord(dst, payload []byte) []byte {
	dst = strconv.AppendInt(dst, int64(len(payload)), 10)
	dst = append(dst, '\n')
	return append(dst, payload...)
}

// RecordReader reads RecordIO frames of any size up to its limit, in bytes.
type RecordReader struct {
	r     *bufio.Reader
	limit int
}

// NewRecordReader returns a reader of frames of at most limit bytes each.
func NewRecordReader(r io.Reader, limit int) *RecordReader {
	return &RecordReader{r: bufio.NewReader(r), limit: limit}
}

// Next returns the next payload; io.EOF at the end between two frames, and
// io.ErrUnexpectedEOF inside one.
func (r *RecordReader) Next() ([]byte, error) {
	n := 0
	for digits := 0; ; digits++ {
		c, err := r.r.ReadByte()
		if err != nil {
			if digits > 0 && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		if c == '\n' && digits > 0 {
			break
		}
		if c < '0' || c > '9' {
			return nil, fmt.Errorf("codec: byte %q in a record length", c)
		}
		n = n*10 + int(c-'0')
		if n > r.limit {
			return nil, ErrRecordTooLarge
		}
	}
	buf := make([]byte, n)
	if _, err := io.ReadFull(r.r, buf); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return buf, nil
}
