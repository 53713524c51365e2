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
	"io"
	"sync"
	"testing"
	"time"
)

// TestWhatWaitsToBeReadIsRead: a process that was stopped finds the watchdog's
// timer run out and a full socket at once. It must read the news, here that another
// instance took over, and not subscribe again.
func TestWhatWaitsToBeReadIsRead(t *testing.T) {
	for range 50 {
		bubble(t, func(t *testing.T, _ *memNet) {
			in, out := io.Pipe()
			silent := make(chan struct{})
			w := watch(in, 45*time.Second, func() { close(silent); _ = in.Close() })
			var wrote sync.WaitGroup
			wrote.Go(func() {
				time.Sleep(44 * time.Second) // the very moment of the timer
				_, _ = out.Write([]byte("news"))
			})
			b := make([]byte, 16)
			if n, err := w.Read(b); err != nil || string(b[:n]) != "news" {
				t.Errorf("read %q, %v", b[:n], err)
			}
			began := time.Now()
			if _, err := w.Read(b); err == nil {
				t.Error("read from a silent stream")
			}
			<-silent
			if got := time.Since(began); got != 45*time.Second {
				t.Errorf("given up after %v, want 45 s", got)
			}
			wrote.Wait()
		})
	}
}
