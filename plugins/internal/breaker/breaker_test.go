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

package breaker

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

var cfg = Config{Burst: 5, PerMinute: 6, Percent: 20, Window: 5 * time.Minute}

func lose(b *Breaker, n int, at time.Time) (ids []string) {
	for i := range n {
		id := fmt.Sprintf("%d/%d", at.Unix(), i)
		b.Lost(id, at)
		ids = append(ids, id)
	}
	return ids
}

func allowed(b *Breaker, ids []string, at time.Time) (n int) {
	for _, id := range ids {
		if b.Allow(id, at) {
			n++
		}
	}
	return n
}

func TestRate(t *testing.T) {
	b := New(cfg)
	b.Total(1000)
	ids := lose(b, 20, start)
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 5}, {5 * time.Second, 5}, {10 * time.Second, 6}, {40 * time.Second, 9}, {time.Hour, 14}, {time.Hour + time.Second, 14}, {3 * time.Hour, 19}} {
		if got := allowed(b, ids, start.Add(step.after)); got != step.want {
			t.Errorf("after %v %d may go, want %d", step.after, got, step.want)
		}
	}
}

func TestSettles(t *testing.T) {
	c := cfg
	c.Settle = time.Second
	b := New(c)
	b.Total(1000)
	ids := lose(b, 3, start)
	if n := allowed(b, ids, start.Add(999*time.Millisecond)); n != 0 {
		t.Errorf("%d went before the news settled", n)
	}
	if n := allowed(b, ids, start.Add(time.Second)); n != 3 {
		t.Errorf("%d went afterwards", n)
	}
}

func TestOpens(t *testing.T) {
	for name, test := range map[string]struct {
		total, lost int
		percent     int
		open        bool
	}{
		"few of many":            {1000, 20, 20, false},
		"a fifth":                {100, 20, 20, false},
		"more than a fifth":      {100, 21, 20, true},
		"all of a few":           {5, 5, 20, false},
		"more than the burst":    {6, 6, 20, true},
		"never":                  {6, 6, 100, false},
		"one of a hundred is ok": {1000, 10, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := cfg
			c.Percent = test.percent
			b := New(c)
			b.Total(test.total)
			lose(b, test.lost, start)
			s, changed := b.Changed(start)
			if b.State().Open != test.open || changed != test.open || s.Open != test.open {
				t.Errorf("open %v, changed %v", b.State(), changed)
			}
			if _, again := b.Changed(start); again {
				t.Error("told twice")
			}
		})
	}
}

func TestOnlyVerifiedGoWhileOpen(t *testing.T) {
	b := New(cfg)
	b.Total(30)
	ids := lose(b, 10, start)
	if s, changed := b.Changed(start); !changed || !s.Open || s.Unverified != 10 {
		t.Fatalf("%+v, %v", s, changed)
	}
	if n := allowed(b, ids, start.Add(time.Hour)); n != 0 {
		t.Fatalf("%d went although nothing is verified", n)
	}
	for _, id := range ids[:3] {
		b.Verified(id, start.Add(time.Hour))
	}
	if n := allowed(b, ids, start.Add(time.Hour)); n != 3 {
		t.Fatalf("%d went, want the 3 that were verified", n)
	}
	// Some of the others were no loss after all.
	for _, id := range ids[3:8] {
		b.Back(id, start.Add(time.Hour))
	}
	if s, changed := b.Changed(start.Add(time.Hour)); !changed || s.Open || s.Waiting != 2 {
		t.Errorf("after most came back: %+v, %v", s, changed)
	}
	if n := allowed(b, ids[8:], start.Add(time.Hour)); n != 2 {
		t.Errorf("%d of the last two went", n)
	}
}

func TestClosesWhenAllIsVerified(t *testing.T) {
	b := New(cfg)
	b.Total(30)
	ids := lose(b, 10, start)
	for _, id := range ids {
		b.Verified(id, start)
	}
	if b.State().Open {
		t.Error("stays open")
	}
	more := lose(b, 1, start.Add(time.Minute))
	if b.Allow(more[0], start.Add(time.Minute)) {
		t.Error("a further loss right after needs no word of the master")
	}
}

// Whatever happens: never more go than the rate allows, none goes unverified while the
// breaker is open, and in the end all verified losses go and it closes.
func TestWorlds(t *testing.T) {
	for seed := range uint64(15) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		b := New(cfg)
		b.Total(10 + rnd.IntN(100))
		now, next := start, 0
		var alive []string
		verified := map[string]bool{}
		let := map[string]bool{}
		for range 400 {
			now = now.Add(time.Duration(rnd.IntN(20)) * time.Second)
			switch rnd.IntN(6) {
			case 0:
				for range rnd.IntN(12) {
					next++
					id := fmt.Sprint(next)
					b.Lost(id, now)
					alive = append(alive, id)
				}
			case 1, 2:
				if len(alive) > 0 {
					id := alive[rnd.IntN(len(alive))]
					open := b.State().Open
					if b.Allow(id, now) && !let[id] {
						if b.State().Open && open && !verified[id] {
							t.Fatalf("seed %d: %s went unverified while open", seed, id)
						}
						let[id] = true
					}
				}
			case 3:
				for _, id := range b.Unverified() {
					if rnd.IntN(2) == 0 {
						b.Verified(id, now)
						verified[id] = true
					}
				}
			case 4:
				if len(alive) > 0 {
					i := rnd.IntN(len(alive))
					if let[alive[i]] {
						b.Gone(alive[i], now)
					} else {
						b.Back(alive[i], now)
					}
					alive = append(alive[:i], alive[i+1:]...)
				}
			}
			if most := float64(cfg.Burst) + now.Sub(start).Minutes()*float64(cfg.PerMinute) + 1; float64(len(let)) > most {
				t.Fatalf("seed %d: %d went within %v", seed, len(let), now.Sub(start))
			}
		}
		for range 500 {
			now = now.Add(time.Minute)
			for _, id := range b.Unverified() {
				b.Verified(id, now)
			}
			for _, id := range alive {
				b.Allow(id, now)
			}
		}
		if s := b.State(); s.Open || s.Waiting > 0 {
			t.Fatalf("seed %d: in the end %+v", seed, s)
		}
	}
}
