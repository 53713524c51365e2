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

package app

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progress prints lines with the time since its start.
type progress struct {
	now   func() time.Time
	start time.Time

	mu  sync.Mutex
	out io.Writer
}

func newProgress(out io.Writer, now func() time.Time) *progress {
	return &progress{now: now, start: now(), out: out}
}

func (p *progress) line(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "%6.1fs  %s\n", p.now().Sub(p.start).Seconds(), text)
}
