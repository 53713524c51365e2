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

package faults

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// maxRecord bounds what is taken for a record; the rest of a stream with a longer one is
// passed on as it comes.
const maxRecord = 64 << 20

// pump passes the events of a stream on, until it ends.
func (l *link) pump(a *answer) {
	in := bufio.NewReader(a.stream)
	for {
		record, payload, err := readRecord(in)
		if len(record) > 0 && payload == nil {
			// No record: whoever reads it shall see it as it is.
			if l.chunk(record) && err == nil {
				l.copy(in)
			}
			return
		}
		if err != nil {
			l.ended(err)
			return
		}
		if !l.event(record, payload, a.protobuf) {
			return
		}
	}
}

// ended passes the end of a stream on: a proper one, or that it broke.
func (l *link) ended(err error) {
	if errors.Is(err, io.EOF) {
		l.write([]byte("0\r\n\r\n"))
	} else if l.passes(Backward) {
		l.proxy.gate.wait(Backward, l.done.Done(), 0)
	}
	if !l.passes(Backward) {
		l.await()
	}
}

// chunk writes one chunk of the transfer encoding.
func (l *link) chunk(b []byte) bool {
	return l.write(append(append(fmt.Appendf(nil, "%x\r\n", len(b)), b...), "\r\n"...))
}

func (l *link) copy(in io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := in.Read(buf)
		if n > 0 && !l.chunk(buf[:n]) {
			return
		}
		if err != nil {
			l.ended(err)
			return
		}
	}
}

// readRecord reads one RecordIO record: its length in decimal, a line feed, the payload.
// Of what is no record it returns the bytes alone.
func readRecord(in *bufio.Reader) (record, payload []byte, err error) {
	head, err := in.ReadSlice('\n')
	if err != nil {
		if len(head) == 0 {
			return nil, nil, err
		}
		return append([]byte(nil), head...), nil, err
	}
	record = append(record, head...)
	n, ok := recordLength(head)
	if !ok {
		return record, nil, nil
	}
	payload = make([]byte, n)
	got, err := io.ReadFull(in, payload)
	record = append(record, payload[:got]...)
	if err != nil {
		return record, nil, err
	}
	return record, payload, nil
}

func recordLength(head []byte) (n int, ok bool) {
	n, err := strconv.Atoi(strings.TrimSuffix(string(head), "\n"))
	return n, err == nil && n >= 0 && n <= maxRecord
}

func describeEvent(payload []byte, protobuf bool) (on, about string) {
	e := &scheduler.Event{}
	var err error
	if protobuf {
		err = e.Unmarshal(payload)
	} else {
		err = json.Unmarshal(payload, e)
	}
	if err != nil {
		return eventPrefix + "UNKNOWN", err.Error()
	}
	return eventPrefix + e.Type.String(), aboutEvent(e)
}

// event does with one event what its rule says; false when the connection is over.
func (l *link) event(record, payload []byte, protobuf bool) bool {
	times := 1
	for _, a := range l.proxy.meet(describeEvent(payload, protobuf)) {
		switch a.Kind {
		case Twice:
			times = 2
		case Delay:
			pause(a.For, l.done.Done())
		case Cut:
			return false
		case CutInside:
			l.write(append(fmt.Appendf(nil, "%x\r\n", len(record)), record[:len(record)/2]...))
			return false
		case Freeze:
			l.freeze(a.Direction)
		case Slow:
			l.perByte.Store(int64(time.Second) / int64(a.N))
		case Down:
			l.proxy.SetDown(a.For)
			return false
		case Invoke:
			a.Func()
		}
	}
	for range times {
		if !l.chunk(record) {
			return false
		}
	}
	return true
}

func (l *link) ends() []net.Conn { return []net.Conn{l.near, l.upstream} }
