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
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
)

// watchBody is the answer to a watch, read frame by frame.
type watchBody struct {
	k        *Kubernetes
	on       string // the name of its events
	media    string
	body     io.ReadCloser
	protobuf bool
	lines    *lineReader
	ahead    []byte // read and not yet taken
	last     error  // what comes behind that
	timer    *time.Timer

	once  sync.Once
	ended chan struct{}
	why   error
}

// watch returns a body in the place of a watch's.
func (k *Kubernetes) watch(resp *http.Response, on string, cutAfter time.Duration) io.ReadCloser {
	media := resp.Header.Get("Content-Type")
	w := &watchBody{
		k: k, on: on, media: media, body: resp.Body, protobuf: strings.HasPrefix(media, runtime.ContentTypeProtobuf),
		lines: &lineReader{r: resp.Body}, ended: make(chan struct{}),
	}
	if cutAfter > 0 {
		w.timer = time.AfterFunc(cutAfter, func() { w.end(errLost) })
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.watches[w] = struct{}{}
	return w
}

// end breaks the watch; what has not been read yet is lost.
func (w *watchBody) end(why error) {
	w.once.Do(func() {
		w.why = why
		close(w.ended)
		_ = w.body.Close() // wakes whoever reads from it
	})
}

// Close implements io.Closer.
func (w *watchBody) Close() error {
	if w.timer != nil {
		w.timer.Stop()
	}
	w.end(http.ErrBodyReadAfterClose)
	w.k.mu.Lock()
	defer w.k.mu.Unlock()
	delete(w.k.watches, w)
	return nil
}

// Read implements io.Reader.
func (w *watchBody) Read(p []byte) (int, error) {
	for {
		select {
		case <-w.ended:
			return 0, w.why
		default:
		}
		if len(w.ahead) > 0 {
			n := copy(p, w.ahead)
			w.ahead = w.ahead[n:]
			return n, nil
		}
		if w.last != nil {
			return 0, w.last
		}
		w.next()
	}
}

// next takes one frame from the API server and does with it what its rule says.
func (w *watchBody) next() {
	frame, err := w.lines.frame(w.protobuf)
	if err != nil {
		w.last = err
		return
	}
	w.ahead = frame
	for _, a := range w.k.meet(w.on, "") {
		switch a.Kind {
		case Delay:
			pause(a.For, w.ended)
		case Cut:
			w.ahead, w.last = nil, errLost
		case CutInside:
			w.ahead, w.last = frame[:len(frame)/2], errLost
		case Freeze:
			<-w.ended
		case Expire:
			w.ahead, w.last = w.expired(), io.EOF
		case Down:
			w.k.SetDown(a.For)
		case Invoke:
			a.Func()
		}
	}
}

// expired is the frame of an API server whose watch cache has gone on too far.
func (w *watchBody) expired() []byte {
	media := runtime.ContentTypeJSON
	if w.protobuf {
		media = runtime.ContentTypeProtobuf
	}
	info, _ := runtime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), media)
	gone := metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: http.StatusGone,
		Reason: metav1.StatusReasonExpired, Message: "too old resource version",
	}
	var raw, event, frame strings.Builder
	err := info.Serializer.Encode(&gone, &raw)
	if err == nil {
		err = info.StreamSerializer.Encode(&metav1.WatchEvent{Type: string(watch.Error), Object: runtime.RawExtension{Raw: json.RawMessage(raw.String())}}, &event)
	}
	if err == nil {
		_, err = info.StreamSerializer.Framer.NewFrameWriter(&frame).Write([]byte(event.String()))
	}
	if err != nil {
		w.last = err
	}
	return []byte(frame.String())
}

// lineReader reads the frames of a watch: of protobuf with a length of four bytes in
// front, of JSON one line each.
type lineReader struct {
	r    io.Reader
	left []byte
}

func (l *lineReader) frame(protobuf bool) ([]byte, error) {
	buf := make([]byte, 32<<10)
	for {
		if n := frameLength(l.left, protobuf); n > 0 && n <= len(l.left) {
			frame := l.left[:n:n]
			l.left = l.left[n:]
			return frame, nil
		}
		n, err := l.r.Read(buf)
		l.left = append(l.left, buf[:n]...)
		if err != nil && n == 0 {
			return nil, err
		}
	}
}

// frameLength is how long the frame is that begins here; 0 while that cannot be told.
func frameLength(b []byte, protobuf bool) int {
	if !protobuf {
		return strings.IndexByte(string(b), '\n') + 1
	}
	if len(b) < 4 {
		return 0
	}
	return 4 + int(binary.BigEndian.Uint32(b))
}
