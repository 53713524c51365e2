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

package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

// watcher is one watch; it is the body of the answer to it.
type watcher struct {
	selection selection
	media     runtime.SerializerInfo
	wake      chan struct{} // of capacity 1
	done      <-chan struct{}
	stop      func()

	mu    sync.Mutex
	buf   []byte
	ended bool
}

// frameKey names an event as the watchers of one encoding read it.
type frameKey struct {
	media string
	kind  watch.EventType
}

// watch begins a watch. The lock is held.
func (a *API) watch(q *request) (io.ReadCloser, error) {
	t, err := a.table(q.gvr)
	if err != nil {
		return nil, err
	}
	query := q.http.URL.Query()
	if query.Get("sendInitialEvents") == "true" {
		return nil, apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "watch", t.gvr.GroupResource(), "", "sendInitialEvents is not supported", 0, true)
	}
	ctx, cancel := context.WithCancel(q.http.Context())
	w := &watcher{selection: q.selection, media: q.media, wake: make(chan struct{}, 1), done: ctx.Done(), stop: cancel}
	since, err := strconv.ParseUint(query.Get("resourceVersion"), 10, 64)
	switch {
	case err != nil || since == 0:
		for _, o := range t.objects {
			w.tell(&change{is: o})
		}
	case since < t.compacted:
		cancel()
		return nil, apierrors.NewResourceExpired("too old resource version: " + query.Get("resourceVersion"))
	default:
		i, _ := slices.BinarySearchFunc(t.changes, since+1, func(c *change, v uint64) int { return int(int64(c.version) - int64(v)) })
		for _, c := range t.changes[i:] {
			w.tell(c)
		}
	}
	t.watchers[w] = struct{}{}
	if seconds, err := strconv.Atoi(query.Get("timeoutSeconds")); err == nil && seconds > 0 {
		timer := time.AfterFunc(time.Duration(seconds)*time.Second, w.end)
		w.stop = func() { timer.Stop(); cancel() }
	}
	context.AfterFunc(ctx, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(t.watchers, w)
	})
	return w, nil
}

// tell sends a change to the watcher, if it is about what it watches. The API's lock
// is held.
func (w *watcher) tell(c *change) {
	kind, o := c.eventFor(&w.selection)
	if o == nil {
		return
	}
	key := frameKey{w.media.MediaType, kind}
	frame := c.frames[key]
	if frame == nil {
		frame = encodeEvent(w.media, kind, o)
		if c.frames == nil {
			c.frames = map[frameKey][]byte{}
		}
		c.frames[key] = frame
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf = append(w.buf, frame...)
	w.notify()
}

// encodeEvent never fails for objects that a client could send.
func encodeEvent(media runtime.SerializerInfo, kind watch.EventType, o runtime.Object) []byte {
	var raw, event, frame bytes.Buffer
	err := media.Serializer.Encode(o, &raw)
	if err == nil {
		err = media.StreamSerializer.Encode(&metav1.WatchEvent{Type: string(kind), Object: runtime.RawExtension{Raw: json.RawMessage(raw.Bytes())}}, &event)
	}
	if err == nil {
		_, err = media.StreamSerializer.Framer.NewFrameWriter(&frame).Write(event.Bytes())
	}
	if err != nil {
		panic(err)
	}
	return frame.Bytes()
}

// notify wakes the reader. The watcher's lock is held.
func (w *watcher) notify() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// end lets the watch end behind what has been told.
func (w *watcher) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.notify()
}

// Read implements io.Reader.
func (w *watcher) Read(p []byte) (int, error) {
	for {
		w.mu.Lock()
		n := copy(p, w.buf)
		w.buf = w.buf[n:]
		if len(w.buf) == 0 {
			w.buf = nil
		}
		ended := w.ended
		w.mu.Unlock()
		switch {
		case n > 0:
			return n, nil
		case ended:
			return 0, io.EOF
		}
		select {
		case <-w.wake:
		case <-w.done:
			return 0, context.Canceled
		}
	}
}

// Close implements io.Closer.
func (w *watcher) Close() error {
	w.stop()
	return nil
}
