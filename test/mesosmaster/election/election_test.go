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

package election_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/election"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// recorded are the times of the recording 22.
var recorded = election.Config{
	Masters: 3, ZooKeeper: true, Numbers: []int{2, 0, 3}, BootTime: 10 * time.Millisecond, RouteTime: 20 * time.Millisecond,
	RecoveryTime: 40 * time.Millisecond, Idle: 500 * time.Millisecond, JoinTime: 100 * time.Millisecond,
	DetectTime: 20 * time.Millisecond, ExitTime: 15 * time.Millisecond,
}

// show renders what every process does and whom it takes for the leader, and the
// nodes in ZooKeeper.
func show(e *election.Ensemble, masters int) string {
	names := [...]string{"dead", "booting", "routing", "follower", "recovering", "leading"}
	var b strings.Builder
	for i := range masters {
		fmt.Fprintf(&b, "%d=%s", i, names[e.Phase(i)])
		if e.Stopped(i) {
			b.WriteString("(stopped)")
		}
		if l, ok := e.Leader(i); ok && e.Phase(i) == election.Follower {
			fmt.Fprintf(&b, ">%d", l)
		}
		b.WriteByte(' ')
	}
	nodes, err := e.Nodes()
	if err != nil {
		return b.String() + "no ZooKeeper"
	}
	for _, n := range nodes {
		fmt.Fprintf(&b, "%d:%d ", n.Number, n.Master)
	}
	return strings.TrimSpace(b.String())
}

// step is something done at a time, and what is seen right after it.
type step struct {
	at   time.Duration
	do   func(e *election.Ensemble, now time.Time)
	want string
}

func run(t *testing.T, cfg election.Config, steps []step) []election.Event {
	t.Helper()
	e, err := election.New(cfg, start)
	if err != nil {
		t.Fatal(err)
	}
	var events []election.Event
	for _, s := range steps {
		now := start.Add(s.at)
		// Only ever woken when due, as a shell does it.
		for at, ok := e.Next(); ok && at.Before(now); at, ok = e.Next() {
			events = append(events, e.Advance(at)...)
		}
		if s.do != nil {
			s.do(e, now)
		}
		events = append(events, e.Advance(now)...)
		if diff := cmp.Diff(s.want, show(e, cfg.Masters)); diff != "" {
			t.Errorf("at %s: %s", s.at, diff)
		}
	}
	return events
}

func kill(i int) func(*election.Ensemble, time.Time) {
	return func(e *election.Ensemble, now time.Time) { e.Kill(now, i) }
}

func begin(i int) func(*election.Ensemble, time.Time) {
	return func(e *election.Ensemble, now time.Time) { e.Start(now, i) }
}

func stop(i int) func(*election.Ensemble, time.Time) {
	return func(e *election.Ensemble, now time.Time) { e.Stop(now, i) }
}

func resume(i int) func(*election.Ensemble, time.Time) {
	return func(e *election.Ensemble, now time.Time) { e.Continue(now, i) }
}

const ms = time.Millisecond

func TestElection(t *testing.T) {
	const second = time.Second
	stopZK := (*election.Ensemble).StopZooKeeper
	startZK := (*election.Ensemble).StartZooKeeper
	for name, steps := range map[string][]step{
		"a killed leader is named until its session ends": {
			{0, nil, "0=follower>1 1=leading 2=follower>1 0:1 2:0 3:2"},
			{1 * second, kill(1), "0=follower>1 1=dead 2=follower>1 0:1 2:0 3:2"},
			{1*second + 9499*ms, nil, "0=follower>1 1=dead 2=follower>1 0:1 2:0 3:2"},
			{1*second + 9500*ms, nil, "0=follower>1 1=dead 2=follower>1 2:0 3:2"},
			{1*second + 9520*ms, nil, "0=recovering 1=dead 2=follower>0 2:0 3:2"},
			{1*second + 9560*ms, nil, "0=leading 1=dead 2=follower>0 2:0 3:2"},
			{20 * second, begin(1), "0=leading 1=booting 2=follower>0 2:0 3:2"},
			{20*second + 10*ms, nil, "0=leading 1=routing 2=follower>0 2:0 3:2"},
			{20*second + 30*ms, nil, "0=leading 1=follower 2=follower>0 2:0 3:2"},
			{20*second + 110*ms, nil, "0=leading 1=follower>0 2=follower>0 2:0 3:2 4:1"},
		},
		"a stopped leader is deposed and exits when continued": {
			{1 * second, stop(1), "0=follower>1 1=leading(stopped) 2=follower>1 0:1 2:0 3:2"},
			{11 * second, nil, "0=leading 1=leading(stopped) 2=follower>0 2:0 3:2"},
			{12 * second, resume(1), "0=leading 1=leading 2=follower>0 2:0 3:2"},
			{12*second + 15*ms, nil, "0=leading 1=dead 2=follower>0 2:0 3:2"},
		},
		"a leader continued in time goes on": {
			{1 * second, stop(1), "0=follower>1 1=leading(stopped) 2=follower>1 0:1 2:0 3:2"},
			{10 * second, resume(1), "0=follower>1 1=leading 2=follower>1 0:1 2:0 3:2"},
			{30 * second, nil, "0=follower>1 1=leading 2=follower>1 0:1 2:0 3:2"},
		},
		"a stopped leader can be killed": {
			{1 * second, stop(1), "0=follower>1 1=leading(stopped) 2=follower>1 0:1 2:0 3:2"},
			{2 * second, kill(1), "0=follower>1 1=dead 2=follower>1 0:1 2:0 3:2"},
			{11 * second, resume(1), "0=leading 1=dead 2=follower>0 2:0 3:2"},
		},
		"a stopped follower joins again": {
			{1 * second, stop(0), "0=follower(stopped)>1 1=leading 2=follower>1 0:1 2:0 3:2"},
			{11 * second, nil, "0=follower(stopped)>1 1=leading 2=follower>1 0:1 3:2"},
			{12 * second, resume(0), "0=follower>1 1=leading 2=follower>1 0:1 3:2"},
			{13 * second, nil, "0=follower>1 1=leading 2=follower>1 0:1 3:2 4:0"},
		},
		"a stopped follower is not elected before it goes on": {
			{1 * second, stop(0), "0=follower(stopped)>1 1=leading 2=follower>1 0:1 2:0 3:2"},
			{1*second + 1*ms, kill(1), "0=follower(stopped)>1 1=dead 2=follower>1 0:1 2:0 3:2"},
			{20 * second, nil, "0=follower(stopped)>2 1=dead 2=leading 3:2"},
		},
		"the node of an earlier life elects nobody": {
			{1 * second, kill(0), "0=dead 1=leading 2=follower>1 0:1 2:0 3:2"},
			{1*second + 1*ms, kill(2), "0=dead 1=leading 2=dead 0:1 2:0 3:2"},
			{2 * second, kill(1), "0=dead 1=dead 2=dead 0:1 2:0 3:2"},
			{3 * second, begin(1), "0=dead 1=booting 2=dead 0:1 2:0 3:2"},
			{4 * second, nil, "0=dead 1=follower>1 2=dead 0:1 2:0 3:2 4:1"},
			{11 * second, nil, "0=dead 1=follower>1 2=dead 0:1 4:1"},
			{12 * second, nil, "0=dead 1=leading 2=dead 4:1"},
		},
		"all die, ZooKeeper empties": {
			{1 * second, kill(0), "0=dead 1=leading 2=follower>1 0:1 2:0 3:2"},
			{1 * second, kill(1), "0=dead 1=dead 2=follower>1 0:1 2:0 3:2"},
			{1 * second, kill(2), "0=dead 1=dead 2=dead 0:1 2:0 3:2"},
			{20 * second, nil, "0=dead 1=dead 2=dead"},
			{21 * second, begin(2), "0=dead 1=dead 2=booting"},
			{22 * second, nil, "0=dead 1=dead 2=leading 4:2"},
		},
		"ZooKeeper dies": {
			{1 * second, stopZK, "0=follower>1 1=leading 2=follower>1 no ZooKeeper"},
			{11*second - 1*ms, nil, "0=follower>1 1=leading 2=follower>1 no ZooKeeper"},
			{11 * second, nil, "0=follower 1=dead 2=follower no ZooKeeper"},
			{20 * second, begin(1), "0=follower 1=booting 2=follower no ZooKeeper"},
			{21 * second, nil, "0=follower 1=follower 2=follower no ZooKeeper"},
			{22 * second, startZK, "0=follower 1=follower 2=follower 0:1 2:0 3:2"},
			{23 * second, nil, "0=follower>1 1=follower>1 2=follower>1 0:1 2:0 3:2 4:0 5:1 6:2"},
			{33 * second, nil, "0=leading 1=follower>0 2=follower>0 4:0 5:1 6:2"},
		},
		"ZooKeeper is away for a moment": {
			{1 * second, stopZK, "0=follower>1 1=leading 2=follower>1 no ZooKeeper"},
			{9 * second, startZK, "0=follower>1 1=leading 2=follower>1 0:1 2:0 3:2"},
			{60 * second, nil, "0=follower>1 1=leading 2=follower>1 0:1 2:0 3:2"},
		},
		"a leader stopped while ZooKeeper dies": {
			{1 * second, stop(1), "0=follower>1 1=leading(stopped) 2=follower>1 0:1 2:0 3:2"},
			{2 * second, stopZK, "0=follower>1 1=leading(stopped) 2=follower>1 no ZooKeeper"},
			{15 * second, resume(1), "0=follower 1=leading 2=follower no ZooKeeper"},
			{26 * second, nil, "0=follower 1=dead 2=follower no ZooKeeper"},
		},
	} {
		t.Run(name, func(t *testing.T) { run(t, recorded, steps) })
	}
}

// The events of a life, with their times.
func TestEvents(t *testing.T) {
	got := run(t, recorded, []step{
		{time.Second, stop(1), "0=follower>1 1=leading(stopped) 2=follower>1 0:1 2:0 3:2"},
		{12 * time.Second, resume(1), "0=leading 1=leading 2=follower>0 2:0 3:2"},
		{13 * time.Second, begin(1), "0=leading 1=booting 2=follower>0 2:0 3:2"},
		{14 * time.Second, (*election.Ensemble).StopZooKeeper, "0=leading 1=follower>0 2=follower>0 no ZooKeeper"},
		{24 * time.Second, nil, "0=dead 1=follower 2=follower no ZooKeeper"},
	})
	at := func(d time.Duration) time.Time { return start.Add(d) }
	want := []election.Event{
		{Kind: election.Elected, Master: 0, At: at(10520 * ms)},
		{Kind: election.Exited, Master: 1, At: at(12015 * ms), Why: "Lost leadership after indecisive election... committing suicide!"},
		{Kind: election.Listening, Master: 1, At: at(13010 * ms)},
		{Kind: election.Exited, Master: 0, At: at(24 * time.Second), Why: "Lost candidacy as a leader... committing suicide!"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// One master without ZooKeeper leads as soon as it runs; without times, at once.
func TestAlone(t *testing.T) {
	cfg := election.Config{Masters: 1}
	run(t, cfg, []step{
		{0, nil, "0=leading no ZooKeeper"},
		{1, kill(0), "0=dead no ZooKeeper"},
		{2, begin(0), "0=leading no ZooKeeper"},
		{2, begin(0), "0=leading no ZooKeeper"},
		{3, stop(0), "0=leading(stopped) no ZooKeeper"},
		{time.Hour, resume(0), "0=leading no ZooKeeper"},
	})
	cfg.BootTime, cfg.RouteTime, cfg.RecoveryTime = 90*ms, 25*ms, 15*ms
	run(t, cfg, []step{
		{1, kill(0), "0=dead no ZooKeeper"},
		{time.Second, begin(0), "0=booting no ZooKeeper"},
		{time.Second + 90*ms, nil, "0=routing no ZooKeeper"},
		{time.Second + 115*ms, nil, "0=recovering no ZooKeeper"},
		{time.Second + 120*ms, kill(0), "0=dead no ZooKeeper"},
		{time.Second + 130*ms, nil, "0=dead no ZooKeeper"},
	})
}

func TestConfigErrors(t *testing.T) {
	for _, cfg := range []election.Config{
		{}, {Masters: 2}, {Masters: 2, ZooKeeper: true, Numbers: []int{1}}, {Masters: 2, ZooKeeper: true, Numbers: []int{1, 1}},
	} {
		if _, err := election.New(cfg, start); err == nil {
			t.Errorf("%+v must be refused", cfg)
		}
	}
}

// Whatever happens, once there is quiet and one process is able to, exactly one
// leads and all others name it.
func TestOneLeaderInTheEnd(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		cfg := recorded
		cfg.Masters = 2 + rng.IntN(4)
		cfg.Numbers = rng.Perm(cfg.Masters)
		e, err := election.New(cfg, start)
		if err != nil {
			t.Fatal(err)
		}
		now := start
		for range 40 {
			now = now.Add(time.Duration(rng.IntN(8000)) * ms)
			i := rng.IntN(cfg.Masters)
			switch rng.IntN(7) {
			case 0:
				e.Kill(now, i)
			case 1, 2:
				e.Start(now, i)
			case 3:
				e.Stop(now, i)
			case 4:
				e.Continue(now, i)
			case 5:
				e.StopZooKeeper(now)
			case 6:
				e.StartZooKeeper(now)
			}
			e.Advance(now)
		}
		able := rng.IntN(cfg.Masters)
		e.StartZooKeeper(now)
		e.Continue(now, able)
		now = now.Add(time.Minute) // one that was deposed has exited by then
		e.Advance(now)
		e.Start(now, able)
		now = now.Add(time.Minute)
		e.Advance(now)
		leaders := 0
		for i := range cfg.Masters {
			if p := e.Phase(i); (p == election.Leading || p == election.Recovering) && !e.Stopped(i) {
				leaders++
			}
		}
		said := show(e, cfg.Masters)
		if leaders != 1 {
			t.Fatalf("seed %d: %d leaders: %s", seed, leaders, said)
		}
		for i := range cfg.Masters {
			if e.Phase(i) != election.Follower || e.Stopped(i) {
				continue
			}
			if l, ok := e.Leader(i); !ok || e.Phase(l) != election.Leading || e.Stopped(l) {
				t.Fatalf("seed %d: master %d names %d: %s", seed, i, l, said)
			}
		}
	}
}
