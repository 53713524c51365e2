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
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// subscribe tries each master once, beginning with the leader if that is known, else with
// the last good one. Only a refusal that would be the same everywhere, or news of another
// leader, ends the round early.
func (s *Session) subscribe(ctx context.Context) (*stream, error) {
	list, missing := s.candidates(ctx)
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: %w", errNotReady, missing)
	}
	var round roundError
	silent := map[string]bool{}
	for i, c := range list {
		s.turns.take(list, i)
		st, err := s.subscribeVia(ctx, c.URL, silent)
		if err == nil {
			return st, nil
		}
		s.turns.pass()
		if ctx.Err() != nil || errors.Is(err, errRefused) || errors.Is(err, errLeaderChanged) {
			return nil, err
		}
		round = append(round, err)
	}
	if missing != nil {
		round = append(round, missing)
	}
	return nil, round
}

// subscribeVia subscribes at a master or at the one it names as the leader. We
// follow 307 ourselves: a general HTTP client would not send the body again, or
// send our credentials nowhere. silent are the masters of this round that did not
// answer: for as long as a stopped leader's ZooKeeper session lives, all others name it.
func (s *Session) subscribeVia(ctx context.Context, master *url.URL, silent map[string]bool) (*stream, error) {
	seen := map[string]bool{}
	for target := master; ; {
		seen[target.Host] = true
		if silent[target.Host] {
			return nil, fmt.Errorf("%w: %s leads to %s: %w", errNotConnecting, master, target, errNoAnswer)
		}
		st, location, err := s.postSubscribe(ctx, target)
		if err != nil || st != nil {
			silent[target.Host] = errors.Is(err, errNoAnswer)
			return st, err
		}
		next, err := redirectTarget(target, location)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNotReady, err)
		}
		if seen[next.Host] || len(seen) > maxRedirects {
			return nil, fmt.Errorf("%w: %s redirects in a circle or too often, last to %s", errNotReady, master, next)
		}
		if s.contrary(next) {
			return nil, fmt.Errorf("%w: %s still redirects to %s, which leads no more", errNotReady, target, next)
		}
		target = next
	}
}

// postSubscribe sends SUBSCRIBE to one master. Without error it returns either
// the stream or the Location of a redirect.
func (s *Session) postSubscribe(parent context.Context, master *url.URL) (st *stream, location string, err error) {
	st, body, err := s.newStream(parent, master)
	if err != nil {
		return nil, "", err
	}
	started := time.Now()
	resp, err := st.open(body)
	if err != nil {
		if cause := context.Cause(st.sub.ctx); cause != nil {
			err = cause
		}
		st.sub.end(err)
		s.detach()
		s.observeCall(scheduler.Call_SUBSCRIBE.String(), failureName(err), started)
		return nil, "", fmt.Errorf("%w at %s: %w", errNotConnecting, master, s.explain(err))
	}
	s.observeCall(scheduler.Call_SUBSCRIBE.String(), strconv.Itoa(resp.StatusCode), started)
	text := ""
	if resp.StatusCode != http.StatusOK {
		text = readText(resp.Body)
	}
	verdict, err := classifySubscribe(resp.StatusCode, resp.Header, text)
	if verdict == answerStream {
		st.body = resp.Body
		st.sub.streamID = resp.Header.Get(headerStreamID)
		return st, "", nil
	}
	_ = resp.Body.Close()
	st.sub.end(err)
	s.detach()
	if verdict == answerRedirect {
		return nil, resp.Header.Get("Location"), nil
	}
	return nil, "", s.explain(fmt.Errorf("%s: %w", master, err))
}

// newStream prepares a subscription at a master and the body of its SUBSCRIBE.
func (s *Session) newStream(parent context.Context, master *url.URL) (*stream, []byte, error) {
	failover := s.cfg.Framework.FailoverTimeout
	if s.frameworkID == "" {
		failover = min(failover, firstFailoverTimeout)
	}
	roles, err := newRoleSet(s.cfg.Roles())
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	body, err := encodeSubscribe(s.cfg.Framework, roles, s.frameworkID, failover)
	if err != nil {
		return nil, nil, err
	}
	ctx, end := context.WithCancelCause(parent)
	sub := &subscription{
		ctx:      ctx,
		end:      end,
		master:   master.Host,
		endpoint: endpointOf(master),
		lanes:    newLanes(),
		acks:     newAckQueue(),
		roles:    roles,
		names:    []string{master.Host},
	}
	s.attach(sub)
	return &stream{session: s, run: parent, first: s.frameworkID == "", sub: sub}, body, nil
}

// open sends SUBSCRIBE and waits for the head of the answer. A master writes it at once,
// before it looks at what we ask for: the patience for a silent stream would be wasted on
// one that is stopped or cut off, while another may lead.
func (st *stream) open(body []byte) (*http.Response, error) {
	req, err := st.session.request(st.sub.ctx, st.sub, body)
	if err != nil {
		return nil, err
	}
	timer := time.AfterFunc(st.session.cfg.CallTimeout, func() { st.sub.end(errNoAnswer) })
	defer timer.Stop()
	return st.session.transport.RoundTrip(req)
}

// silence is how long a master may say nothing.
func (s *Session) silence(interval time.Duration) time.Duration {
	return time.Duration(s.cfg.HeartbeatMisses) * interval
}

// readText reads the text of an error answer.
func readText(body io.Reader) string {
	// A cut text is still a text; the status is what counts.
	b, _ := io.ReadAll(io.LimitReader(body, maxErrorBody))
	return strings.TrimSpace(string(b))
}
