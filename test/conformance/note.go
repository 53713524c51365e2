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

package conformance

import (
	"regexp"
	"testing/synctest"
	"time"
)

// changedEstimate matches the note that tells of another estimate of revocable
// resources with which the recorder started an agent again.
var changedEstimate = regexp.MustCompile(`restarting the agent with revocable (\S+) `)

// closesSocket matches the note of a reader that closes its stream.
var closesSocket = regexp.MustCompile(`^client (\S+) closes its subscription socket$`)

// note does what a note of the recorder says it did, which is only closing the
// sockets of subscriptions.
func (r *replay) note(l *line) {
	if m := changedEstimate.FindStringSubmatch(l.Text); m != nil {
		r.estimate = m[1]
	}
	m := closesSocket.FindStringSubmatch(l.Text)
	if m == nil || r.conns[m[1]] == nil {
		if r.watch(l) || r.facts(l) {
			return
		}
		r.report.LeftOut["the recorder's notes"]++
		r.floodNote(l)
		return
	}
	r.report.Driven["deeds"]++
	r.until(r.moment(l))
	r.await()
	r.driver, r.driven = l, time.Now()
	r.conns[m[1]].cut()
	synctest.Wait()
}
