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

package agent

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/executor"
)

// soak is a machine that anything happens to.
type soak struct {
	*machine
	rng   *rand.Rand
	seq   int
	ids   []string
	known []string       // those that reached the agent
	ended map[string]int // terminal statuses of tasks, by uuid counted once
	seen  map[string]bool
}

var lines = []string{
	"sleep 1000", "sleep 3", "true", "exit 4", "kill -9 $$", "my-server", "trap '' TERM; sleep 1000",
	"trap 'sleep 0.5; exit 7' TERM; while true; do sleep 0.5; done",
}

func (s *soak) framework() *mesos.FrameworkInfo {
	return []*mesos.FrameworkInfo{aware("f"), unaware("g")}[s.rng.IntN(2)]
}

func (s *soak) id() string {
	if len(s.ids) == 0 {
		return "none"
	}
	return s.ids[s.rng.IntN(len(s.ids))]
}

// launch starts a task of any kind.
func (s *soak) launch() {
	s.seq++
	id, line := fmt.Sprintf("t%d", s.seq), lines[s.rng.IntN(len(lines))]
	s.ids = append(s.ids, id)
	if s.a.Reachable() {
		s.known = append(s.known, id)
	}
	f := s.framework()
	switch s.rng.IntN(4) {
	case 0:
		s.a.Run(custom(f, id, fmt.Sprint("x", s.rng.IntN(3)), "./my-executor"))
	case 1:
		l := custom(f, id, fmt.Sprint("d", s.seq), "")
		l.Executor.Type, l.Executor.Command = mesos.ExecutorInfo_DEFAULT, nil
		l.Task.Command = &mesos.CommandInfo{Value: &line}
		s.a.RunGroup([]*Launch{l})
	default:
		s.a.Run(command(f, id, line))
	}
}

// step lets one thing happen.
func (s *soak) step() {
	fw := s.framework().ID.Value
	x := mesos.ExecutorID{Value: fmt.Sprint("x", s.rng.IntN(3))}
	switch s.rng.IntN(14) {
	case 0, 1, 2:
		s.launch()
	case 3:
		s.a.Kill(fw, s.id(), nil)
	case 4:
		c := subscribe()
		c.FrameworkID.Value, c.ExecutorID = fw, x
		s.a.ExecutorCall(&ExecutorRequest{Call: c, HasType: true, Stream: fmt.Sprint("s", s.seq)})
	case 5:
		states := []mesos.TaskState{mesos.TASK_RUNNING, mesos.TASK_FINISHED, mesos.TASK_KILLED}
		c := s.statusOf(s.id(), states[s.rng.IntN(3)])
		c.FrameworkID.Value, c.ExecutorID = fw, x
		s.a.ExecutorCall(&ExecutorRequest{Call: c, HasType: true})
	case 6:
		c := &executor.Call{Type: executor.Call_MESSAGE, Message: &executor.Call_Message{}, FrameworkID: mesos.FrameworkID{Value: fw}, ExecutorID: x}
		s.a.ExecutorCall(&ExecutorRequest{Call: c, HasType: true})
	case 7:
		s.a.Stop()
	case 8, 9:
		if !s.a.Running() {
			s.a.Start()
		}
	case 10:
		s.a.ExitExecutor(s.id(), 1)
		s.a.ExitExecutor(x.Value, 9)
	case 11:
		if s.rng.IntN(4) == 0 {
			s.a.Crash()
		}
	case 12:
		s.a.ShutdownExecutor(fw, x.Value)
	case 13:
		if s.rng.IntN(8) == 0 {
			grace := time.Second
			s.a.Drain(&grace, s.rng.IntN(2) == 0)
		}
	}
	s.pass(time.Duration(s.rng.IntN(2000)) * time.Millisecond)
	if s.rng.IntN(3) > 0 {
		s.acknowledgeAll()
	}
}

// acknowledgeAll acknowledges what has come, and counts ends.
func (s *soak) acknowledgeAll() {
	list := s.statuses
	s.statuses = nil
	for _, st := range list {
		if uuid := string(st.UUID); terminal(st.GetState()) && !s.seen[uuid] {
			s.seen[uuid] = true
			s.ended[st.TaskID.Value]++
		}
		for _, fw := range []string{"f", "g"} {
			s.a.Acknowledge(fw, st.TaskID.Value, st.UUID)
		}
	}
	s.log = nil
}

// Whatever happens, nothing panics, every task that reached the agent ends, and
// in the end nothing is left: no task, executor, framework or timer.
func TestAnything(t *testing.T) {
	for seed := range uint64(300) {
		s := &soak{
			machine: newMachine(t, Settings{OwnExecutors: seed%2 == 0, LaunchDelay: 300 * time.Millisecond, KillDelay: 50 * time.Millisecond}, Config{}),
			rng:     rand.New(rand.NewPCG(seed, 1)), ended: map[string]int{}, seen: map[string]bool{},
		}
		for range 120 {
			s.step()
		}
		if !s.a.Running() {
			s.a.Start()
		}
		s.pass(10 * time.Second)
		for range 5 {
			for _, task := range s.a.Tasks() {
				s.a.Kill(task.FrameworkID, task.ID, nil)
			}
			for _, e := range s.a.Executors() {
				s.a.ShutdownExecutor(e.FrameworkID, e.ID)
			}
			s.pass(time.Minute)
			for range 20 {
				s.acknowledgeAll()
				s.pass(time.Second)
			}
		}
		s.pass(time.Hour)
		if n := len(s.a.Tasks()) + len(s.a.sortedExecutors()) + len(s.a.Frameworks()); n > 0 {
			t.Fatalf("seed %d: left: %d tasks, %d executors, %d frameworks", seed, len(s.a.Tasks()), len(s.a.sortedExecutors()), len(s.a.Frameworks()))
		}
		for _, id := range s.known {
			if s.ended[id] == 0 {
				t.Fatalf("seed %d: nobody was told of the end of %s", seed, id)
			}
		}
		if n := len(s.queue); n > 0 {
			t.Fatalf("seed %d: %d timers are left", seed, n)
		}
	}
}
