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

package simulation

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// flaky is a way to the API server on which calls get lost: before they arrive, or the
// answer to them, so that they time out although they had their effect.
type flaky struct {
	mu  sync.Mutex
	rng *rand.Rand
	on  bool
}

// timeout is how long a client waits for an answer that was lost.
const timeout = 10 * time.Second

var errLost = errors.New("simulation: no answer (Client.Timeout exceeded while awaiting headers)")

func newFlaky(seed uint64) *flaky {
	return &flaky{rng: rand.New(rand.NewPCG(seed, 4))} //nolint:gosec // no secret hangs on it
}

func (f *flaky) set(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.on = on
}

// draw tells whether a call gets lost, and whether its answer does.
func (f *flaky) draw() (before, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.on {
		return false, false
	}
	n := f.rng.IntN(100)
	return n < 15, n >= 15 && n < 30
}

// wrap returns the flaky way to an API server.
func (f *flaky) wrap(api http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if strings.Contains(r.URL.RawQuery, "watch=") {
			return api.RoundTrip(r)
		}
		before, after := f.draw()
		if !before && !after {
			return api.RoundTrip(r)
		}
		if after {
			resp, err := api.RoundTrip(r)
			if err != nil {
				return nil, err
			}
			if err := resp.Body.Close(); err != nil {
				return nil, err
			}
		}
		select {
		case <-r.Context().Done():
			return nil, r.Context().Err()
		case <-time.After(timeout):
			return nil, errLost
		}
	})
}

type roundTripper func(r *http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
