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

package workloop

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// visit is one call of work, and when it came.
type visit struct {
	item string
	at   time.Duration
}

// rig is a Loop in virtual time that notes its work.
type rig struct {
	Loop[string]
	begun time.Time
	// first is what begin adds.
	first []string
	// answers are those to the next calls of work; it has nothing to say later.
	answers []answer
	visits  []visit
	failed  []string
	cancel  func()
	done    chan struct{}
}

type answer struct {
	again time.Duration
	err   error
}

func inBubble(t *testing.T, r *rig, test func()) {
	synctest.Test(t, func(_ *testing.T) {
		r.begun = time.Now()
		test()
		r.stop()
	})
}

func (r *rig) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel, r.done = cancel, make(chan struct{})
	go func() {
		defer close(r.done)
		r.Run(ctx, func() {
			for _, item := range r.first {
				r.Add(item)
			}
		}, func(_ context.Context, item string) (time.Duration, error) {
			r.visits = append(r.visits, visit{item, time.Since(r.begun)})
			if len(r.answers) == 0 {
				return 0, nil
			}
			a := r.answers[0]
			r.answers = r.answers[1:]
			return a.again, a.err
		}, func(item string, err error) { r.failed = append(r.failed, item+": "+err.Error()) })
	}()
	synctest.Wait()
}

func (r *rig) stop() {
	r.cancel()
	<-r.done
}

// wants fails the test unless these are the visits so far.
func (r *rig) wants(t *testing.T, want ...visit) {
	t.Helper()
	synctest.Wait()
	if !slices.Equal(r.visits, want) {
		t.Errorf("visits are %v, want %v", r.visits, want)
	}
}

func TestOnlyWhatBeginAddsIsDoneFromTheStart(t *testing.T) {
	r := &rig{first: []string{"a", "b", "a"}}
	inBubble(t, r, func() {
		r.Add("early")
		r.AddAfter("early", time.Second)
		if r.Failing("early") {
			t.Error("something fails before there is a queue")
		}
		r.start()
		time.Sleep(time.Hour)
		r.wants(t, visit{"a", 0}, visit{"b", 0})
	})
}

func TestTheEarliestOfSeveralCounts(t *testing.T) {
	r := &rig{}
	inBubble(t, r, func() {
		r.start()
		r.AddAfter("a", 3*time.Second)
		r.AddAfter("a", 2*time.Second)
		r.AddAfter("a", 5*time.Second)
		time.Sleep(time.Hour)
		r.wants(t, visit{"a", 2 * time.Second})
	})
}

func TestLooksAgainWhenWorkSaysSo(t *testing.T) {
	r := &rig{first: []string{"a"}, answers: []answer{{again: time.Minute}, {again: time.Second}}}
	inBubble(t, r, func() {
		r.start()
		time.Sleep(time.Hour)
		r.wants(t, visit{"a", 0}, visit{"a", time.Minute}, visit{"a", time.Minute + time.Second})
		if len(r.failed) != 0 {
			t.Errorf("failed are %q", r.failed)
		}
	})
}

func TestFailuresAreRepeatedEverLater(t *testing.T) {
	no := answer{again: time.Millisecond, err: errors.New("no")}
	r := &rig{first: []string{"a"}, answers: []answer{no, no, no, {}, no}}
	inBubble(t, r, func() {
		r.start()
		if !r.Failing("a") || r.Failing("b") {
			t.Error("only what failed is failing")
		}
		time.Sleep(time.Minute)
		r.wants(t, visit{"a", 0}, visit{"a", time.Second}, visit{"a", 3 * time.Second}, visit{"a", 7 * time.Second})
		if r.Failing("a") {
			t.Error("what succeeded is failing")
		}
		r.Add("a")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		// The delay begins anew after a success.
		r.wants(t, append(r.visits[:4:4], visit{"a", time.Minute}, visit{"a", time.Minute + FirstRetry})...)
		if want := slices.Repeat([]string{"a: no"}, 4); !slices.Equal(r.failed, want) {
			t.Errorf("failed are %q, want %q", r.failed, want)
		}
	})
}

func TestRetriesAreBounded(t *testing.T) {
	r := &rig{first: []string{"a"}, answers: slices.Repeat([]answer{{err: errors.New("no")}}, 100)}
	inBubble(t, r, func() {
		r.start()
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		last := r.visits[len(r.visits)-2:]
		if gap := last[1].at - last[0].at; gap != LastRetry {
			t.Errorf("the last retries are %s apart, want %s", gap, LastRetry)
		}
	})
}

// The end of the context is no failure of the item, and nothing is begun after it.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var l Loop[int]
		var visits []int
		l.Run(ctx, func() { l.Add(1); l.Add(2); l.AddAfter(3, time.Minute) }, func(ctx context.Context, i int) (time.Duration, error) {
			visits = append(visits, i)
			cancel()
			return time.Minute, ctx.Err()
		}, func(i int, err error) { t.Errorf("%d failed: %v", i, err) })
		if !slices.Equal(visits, []int{1}) {
			t.Errorf("worked on %v", visits)
		}
		l.Add(4)
	})
}

func TestRunsAgain(t *testing.T) {
	r := &rig{first: []string{"a"}, answers: []answer{{err: errors.New("no")}}}
	inBubble(t, r, func() {
		r.start()
		r.stop()
		r.start()
		time.Sleep(time.Minute)
		r.wants(t, visit{"a", 0}, visit{"a", 0})
	})
}
