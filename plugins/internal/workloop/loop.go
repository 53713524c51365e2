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

// Package workloop is what controllers of the plugin have in common: they work on
// items one after the other, and try again what failed, ever later.
package workloop

import (
	"context"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
)

// What failed is tried again after FirstRetry, then each time after twice as long,
// up to LastRetry.
const (
	FirstRetry = time.Second
	LastRetry  = 5 * time.Minute
)

// Loop works on items while Run runs. The zero Loop is ready. Its methods may be
// called from many goroutines, and under any locks that the functions given to Run
// do not take while they call them.
type Loop[T comparable] struct {
	mu sync.Mutex
	// queue is nil before Run and shut down after it.
	queue workqueue.TypedRateLimitingInterface[T]
}

// Add makes Run work on an item soon. Unless Run runs it does nothing: it is for
// Run's begin to add all there is to do then.
func (l *Loop[T]) Add(item T) { l.AddAfter(item, 0) }

// AddAfter is Add, but not before a time has passed. Of several calls for one item
// the earliest counts.
func (l *Loop[T]) AddAfter(item T, after time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.queue != nil {
		l.queue.AddAfter(item, after)
	}
}

// Failing reports whether the last work on an item failed: it comes again on its
// own.
func (l *Loop[T]) Failing(item T) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.queue != nil && l.queue.NumRequeues(item) > 0
}

// Run calls begin, and then work for one item after the other until the context
// ends. begin adds what there is to do from the start. work says after which time to
// look at the item again, 0 for not before it is added. If it fails, failed is told,
// and the item comes again. Run must not be called again before it has returned.
func (l *Loop[T]) Run(ctx context.Context, begin func(), work func(context.Context, T) (again time.Duration, err error), failed func(T, error)) {
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[T](FirstRetry, LastRetry))
	defer queue.ShutDown()
	defer context.AfterFunc(ctx, queue.ShutDown)()
	l.mu.Lock()
	l.queue = queue
	l.mu.Unlock()
	begin()
	for {
		item, shutdown := queue.Get()
		if shutdown || ctx.Err() != nil {
			return
		}
		again, err := work(ctx, item)
		switch {
		case err != nil && ctx.Err() == nil:
			failed(item, err)
			queue.AddRateLimited(item)
		case err == nil:
			queue.Forget(item)
			if again > 0 {
				queue.AddAfter(item, again)
			}
		}
		queue.Done(item)
	}
}
