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

package election

import "time"

// Start begins a new life of a dead process; it joins with a new, higher number.
func (e *Ensemble) Start(now time.Time, i int) {
	e.enter(now)
	p := e.masters[i]
	if p.phase != Dead {
		return
	}
	p.life++
	*p = process{phase: Booting, number: none, blind: e.cfg.ZooKeeper, life: p.life}
	e.inLife(e.cfg.BootTime, i, func() {
		p.phase = Routing
		e.emit(Event{Kind: Listening, Master: i})
		e.inLife(e.cfg.RouteTime, i, func() {
			p.phase = Follower
			e.consider(i)
		})
		e.inLife(e.cfg.JoinTime, i, func() { e.join(i) })
	})
}

// consider elects a process that is ready and holds the lowest node. The node
// counts, not its owner: one left by an earlier life of the process does not.
func (e *Ensemble) consider(i int) {
	p := e.masters[i]
	if p.phase != Follower || p.stopped {
		return
	}
	if n := e.lowest(); !e.cfg.ZooKeeper || n != nil && p.number == n.number {
		e.elect(i)
	}
}

// join gives a process without a node a new one.
func (e *Ensemble) join(i int) {
	p := e.masters[i]
	if e.zkDown || !e.cfg.ZooKeeper || p.number != none || p.phase == Dead {
		return
	}
	p.number, p.blind = e.next, false
	e.next++
	e.nodes = append(e.nodes, &node{number: p.number, owner: i})
	e.changed()
}

// Kill is SIGKILL or SIGTERM: the process is gone, its node stays until its
// session ends.
func (e *Ensemble) Kill(now time.Time, i int) {
	e.enter(now)
	e.kill(i)
}

func (e *Ensemble) kill(i int) {
	p := e.masters[i]
	if p.phase == Dead {
		return
	}
	if !p.stopped {
		e.forget(i)
	}
	p.life++
	*p = process{number: none, life: p.life}
}

// forget starts the clock of a process' session: nobody answers for it any more.
func (e *Ensemble) forget(i int) {
	for _, n := range e.nodes {
		if n.owner == i && n.expires.IsZero() {
			idle := e.cfg.Idle
			if e.cfg.IdleOf != nil {
				idle = e.cfg.IdleOf(i)
			}
			n.expires = e.now.Add(e.cfg.SessionTimeout - idle)
			e.expireLater(n)
		}
	}
}

func (e *Ensemble) expireLater(n *node) {
	at := n.expires
	e.after(at.Sub(e.now), func() {
		if e.zkDown || n.expires != at {
			return
		}
		for k, other := range e.nodes {
			if other == n {
				e.nodes = append(e.nodes[:k:k], e.nodes[k+1:]...)
				break
			}
		}
		if p := e.masters[n.owner]; p.number == n.number {
			p.number = none
		}
		e.changed()
	})
}

// changed is called after each change of nodes.
func (e *Ensemble) changed() {
	e.changes++
	lives := e.zkLives
	e.after(e.cfg.DetectTime, func() {
		if e.zkDown || e.zkLives != lives {
			return
		}
		e.seen = none
		if n := e.lowest(); n != nil {
			e.seen = n.owner
			e.consider(n.owner)
		}
	})
}

// elect makes a process the leader.
func (e *Ensemble) elect(i int) {
	p := e.masters[i]
	p.phase = Recovering
	e.seen = i
	e.emit(Event{Kind: Elected, Master: i})
	e.inLife(e.cfg.RecoveryTime, i, func() { p.phase = Leading })
}

// Stop is SIGSTOP: the process does nothing, its connections stay open.
func (e *Ensemble) Stop(now time.Time, i int) {
	e.enter(now)
	p := e.masters[i]
	if p.phase == Dead || p.stopped {
		return
	}
	p.stopped = true
	e.forget(i)
}

// Continue is SIGCONT. A process whose session has ended meanwhile learns it now:
// a leader exits, another joins again.
func (e *Ensemble) Continue(now time.Time, i int) {
	e.enter(now)
	p := e.masters[i]
	if !p.stopped {
		return
	}
	p.stopped = false
	for _, n := range e.nodes {
		if n.owner == i && n.number == p.number {
			n.expires = time.Time{} // the session was saved in time
		}
	}
	switch lost := e.cfg.ZooKeeper && p.number == none; {
	case lost && (p.phase == Leading || p.phase == Recovering):
		e.inLife(e.cfg.ExitTime, i, func() { e.exit(i, lostLeadership) })
	case lost && p.phase == Follower:
		e.inLife(e.cfg.JoinTime, i, func() { e.join(i) })
	case e.zkDown:
		e.giveUpLater(i)
	default:
		e.consider(i)
	}
}

// exit is the end of a process by its own hand.
func (e *Ensemble) exit(i int, why string) {
	e.kill(i)
	e.emit(Event{Kind: Exited, Master: i, Why: why})
}

// StopZooKeeper is the death of ZooKeeper. Masters go on for a session timeout;
// then the leader exits and the others know no leader.
func (e *Ensemble) StopZooKeeper(now time.Time) {
	e.enter(now)
	if !e.cfg.ZooKeeper || e.zkDown {
		return
	}
	e.zkDown = true
	e.changes++
	e.zkLives++
	for i, p := range e.masters {
		if p.phase != Dead && !p.stopped {
			e.giveUpLater(i)
		}
	}
}

func (e *Ensemble) giveUpLater(i int) {
	lives := e.zkLives
	e.inLife(e.cfg.SessionTimeout, i, func() {
		p := e.masters[i]
		if e.zkLives != lives || p.stopped {
			return
		}
		if p.phase == Leading || p.phase == Recovering {
			e.exit(i, lostCandidacy)
			return
		}
		p.blind, p.number = true, none
	})
}

// StartZooKeeper brings ZooKeeper back with the nodes it had. Masters that have
// given their session up join anew; nodes without a process behind them stay for
// a session timeout more.
func (e *Ensemble) StartZooKeeper(now time.Time) {
	e.enter(now)
	if !e.zkDown {
		return
	}
	e.zkDown = false
	e.changes++
	e.zkLives++
	for _, n := range e.nodes {
		if p := e.masters[n.owner]; p.number != n.number || p.stopped || p.phase == Dead {
			n.expires = e.now.Add(e.cfg.SessionTimeout)
			e.expireLater(n)
		}
	}
	for i, p := range e.masters {
		if p.number == none && p.phase != Dead && !p.stopped {
			e.inLife(e.cfg.JoinTime, i, func() { e.join(i) })
		}
	}
}
