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
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/credentials"
)

const (
	mediaTypeProtobuf = "application/x-protobuf"
	mediaTypeJSON     = "application/json"
	headerStreamID    = "Mesos-Stream-Id"

	defaultCallTimeout     = 10 * time.Second
	defaultHeartbeatMisses = 3
	defaultMaxRecordBytes  = 256 << 20
	defaultBackoffInitial  = 250 * time.Millisecond
	defaultBackoffMax      = 15 * time.Second

	dialTimeout  = 10 * time.Second
	tcpKeepAlive = 15 * time.Second
	// idleTimeout is shorter than the idle time-outs of common load balancers: a
	// call on a connection that the other side is just closing has an unknown
	// outcome.
	idleTimeout = 30 * time.Second
)

// Option changes how a Session works inside; meant for tests.
type Option func(*Session)

// WithTransport makes the session speak through rt instead of its own transport.
func WithTransport(rt http.RoundTripper) Option {
	return func(s *Session) { s.transport = rt }
}

// WithDial makes the session open its connections with dial instead of a
// net.Dialer. All else of its transport stays as it is.
func WithDial(dial func(ctx context.Context, network, address string) (net.Conn, error)) Option {
	return func(s *Session) { s.dial = dial }
}

// WithJitter replaces the source of randomness of the waits: a function that
// returns numbers in [0,1).
func WithJitter(jitter func() float64) Option {
	return func(s *Session) { s.jitter = jitter }
}

// newTransport is HTTP/1.1 without proxy, cookies, redirects and compression, and
// without any limit on a whole request: the event stream is one response.
func newTransport(dial, dialTLS credentials.Dial) *http.Transport {
	return &http.Transport{
		Proxy:                 nil,
		DialContext:           dial,
		DialTLSContext:        dialTLS,
		TLSNextProto:          map[string]func(string, *tls.Conn) http.RoundTripper{},
		DisableCompression:    true,
		MaxIdleConnsPerHost:   acceptLanes + ackLanes + 1,
		IdleConnTimeout:       idleTimeout,
		ExpectContinueTimeout: time.Second,
		ReadBufferSize:        readBufferBytes,
	}
}

// NewSession checks the configuration and makes a session that does nothing
// until Run. Every problem of the configuration is reported at once.
func NewSession(cfg Config, h Handler, opts ...Option) (*Session, error) {
	cfg = withDefaults(cfg)
	err := validate(cfg, h)
	if err == nil && cfg.Credentials == nil {
		cfg.Credentials, err = noCredentials()
	}
	if err != nil {
		return nil, fmt.Errorf("mesos session: %w", err)
	}
	s := &Session{
		cfg:     cfg,
		handler: h,
		dial:    (&net.Dialer{Timeout: dialTimeout, KeepAlive: tcpKeepAlive}).DialContext,
		jitter:  rand.Float64,
		backoff: backoff{initial: cfg.BackoffInitial, max: cfg.BackoffMax},
		decoder: newOfferDecoder(),
		unknown: map[int32]bool{},
		done:    make(chan struct{}),
		hurry:   make(chan struct{}, 1),
		status:  Status{State: StateStopped, Since: time.Now()},
	}
	for _, opt := range opts {
		opt(s)
	}
	if s.transport == nil {
		s.transport = newTransport(s.dial, cfg.Credentials.DialTLS(s.dial, s.names.of))
	}
	return s, nil
}

// unchanging are credentials of no files: there is nothing to keep up to date.
type unchanging struct{ *credentials.Credentials }

// Run implements Credentials.
func (unchanging) Run(context.Context) {}

func noCredentials() (Credentials, error) {
	c, err := credentials.New(credentials.Files{})
	return unchanging{c}, err
}

func withDefaults(cfg Config) Config {
	if cfg.CallTimeout == 0 {
		cfg.CallTimeout = defaultCallTimeout
	}
	if cfg.HeartbeatMisses == 0 {
		cfg.HeartbeatMisses = defaultHeartbeatMisses
	}
	if cfg.MaxRecordBytes == 0 {
		cfg.MaxRecordBytes = defaultMaxRecordBytes
	}
	if cfg.BackoffInitial == 0 {
		cfg.BackoffInitial = defaultBackoffInitial
	}
	if cfg.BackoffMax == 0 {
		cfg.BackoffMax = max(defaultBackoffMax, cfg.BackoffInitial)
	}
	return cfg
}

func validate(cfg Config, h Handler) error {
	var errs []error
	complain := func(wrong bool, text string) {
		if wrong {
			errs = append(errs, errors.New(text))
		}
	}
	complain(h == nil, "a handler is needed")
	complain(cfg.IDs == nil, "an IDStore is needed: without the FrameworkID a restart loses every task")
	complain(cfg.Masters == nil, "a detector of the masters is needed")
	complain(cfg.Framework.Name == "", "framework name is empty")
	complain(cfg.Framework.User == "", "framework user is empty; the master cannot guess it over HTTP")
	complain(cfg.Framework.FailoverTimeout <= 0, "failover timeout must be above 0: with 0 the master removes all tasks at the first disconnect")
	complain(cfg.Roles == nil, "a source of roles is needed: without roles there are no offers")
	complain(cfg.CallTimeout < 0, "call timeout is negative")
	complain(cfg.HeartbeatMisses < 0, "heartbeat misses are negative")
	complain(cfg.MaxRecordBytes < 0, "the limit of a record is negative")
	complain(cfg.BackoffInitial < 0 || cfg.BackoffMax < cfg.BackoffInitial, "backoff must be 0 <= initial <= max")
	return errors.Join(errs...)
}
