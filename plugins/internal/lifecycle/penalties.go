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

package lifecycle

import "time"

const (
	// penaltyMin is how long an agent is left alone after its first failure; each
	// further one doubles it, up to penaltyMax.
	penaltyMin = 2 * time.Second
	penaltyMax = 5 * time.Minute
	// forgiveAfter is how long after its penalty an agent must not fail to count as
	// good again.
	forgiveAfter = 5 * time.Minute
)

// penalties leaves agents alone that do not run what they are given: without this
// they would look the emptiest, and every pod would be sent there again. It is a
// state machine without a clock, not safe for concurrent use.
type penalties struct{ agents map[string]*penalty }

type penalty struct {
	failures int
	until    time.Time
}

func newPenalties() penalties { return penalties{agents: map[string]*penalty{}} }

// failed notes that the agent did not run a task, or not for as long as it should.
// Failures while the agent is left alone are of tasks sent before: they say
// nothing new. It returns how long the agent is left alone.
func (p penalties) failed(agent string, now time.Time) time.Duration {
	e := p.agents[agent]
	if e == nil {
		e = &penalty{}
		p.agents[agent] = e
	}
	if now.Before(e.until) {
		return e.until.Sub(now)
	}
	wait := min(penaltyMin<<min(e.failures, 16), penaltyMax)
	e.failures++
	e.until = now.Add(wait)
	return wait
}

// left returns how much longer the agent is left alone, zero if it is not.
func (p penalties) left(agent string, now time.Time) time.Duration {
	if e := p.agents[agent]; e != nil {
		return max(e.until.Sub(now), 0)
	}
	return 0
}

// forgive forgets agents that have not failed for long.
func (p penalties) forgive(now time.Time) {
	for agent, e := range p.agents {
		if now.Sub(e.until) >= forgiveAfter {
			delete(p.agents, agent)
		}
	}
}
