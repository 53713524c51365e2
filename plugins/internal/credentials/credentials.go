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

// Package credentials holds what we show to the Mesos masters and what we trust
// them by: secrets, tokens, certificates, from files that are read again when they
// change.
package credentials

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/klog/v2"
)

// Scheme is how a token is sent.
type Scheme string

const (
	// Bearer sends "Bearer TOKEN" (RFC 6750).
	Bearer Scheme = "Bearer"
	// Token sends "token=TOKEN", as DC/OS wants it.
	Token Scheme = "Token"
)

const (
	// minAge is for how long what was read is not read again.
	minAge = time.Second
	// pollInterval is after what time Run reads again when nobody asks.
	pollInterval = 5 * time.Second
)

// Files say where the credentials are. The zero Files are none at all.
type Files struct {
	// Principal and the secret in SecretFile are sent by HTTP basic
	// authentication, the only scheme built into the masters
	// (--http_framework_authenticators=basic).
	Principal, SecretFile string
	// TokenFile holds a token, sent as TokenScheme says; Bearer if that is empty.
	// Not together with SecretFile.
	TokenFile   string
	TokenScheme Scheme
	// CAFile holds the certificates that vouch for the masters (PEM). Empty: those
	// of the operating system.
	CAFile string
	// CertFile and KeyFile are our certificate, with those between it and its root,
	// and its private key (PEM). Empty, both: none is shown.
	CertFile, KeyFile string
	// ServerName is what the masters' certificates must be for. Empty: the name or
	// address by which each is known.
	ServerName string
}

// Credentials are what the files hold. A file that changes is read again: when
// credentials are asked for, at most once a second, and by Run. If a file cannot be
// read, is empty or makes no sense, what was right last stays in use. Its methods may
// be called from many goroutines.
type Credentials struct {
	files   Files
	changed chan struct{}
	current atomic.Pointer[contents]

	reading sync.Mutex // one reads, others use what there is
	read    time.Time

	mu      sync.Mutex
	problem error
}

// New reads the files. An error names each file that is missing or makes no sense,
// and never what it holds.
func New(files Files) (*Credentials, error) {
	if err := files.check(); err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	now, err := files.load(nil)
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	c := &Credentials{files: files, changed: make(chan struct{}, 1), read: time.Now()}
	c.current.Store(now)
	return c, nil
}

func (f Files) check() error {
	var errs []error
	complain := func(wrong bool, text string) {
		if wrong {
			errs = append(errs, errors.New(text))
		}
	}
	complain(f.SecretFile != "" && f.TokenFile != "", "a secret and a token are named; a request can hold only one of them")
	complain(f.SecretFile != "" && f.Principal == "", "there is a secret, but no principal whose it is")
	complain(f.SecretFile != "" && strings.ContainsRune(f.Principal, ':'), "a principal with a colon cannot be sent by basic authentication")
	complain(f.TokenScheme != "" && f.TokenScheme != Bearer && f.TokenScheme != Token, "the scheme of the token must be Bearer or Token")
	complain((f.CertFile == "") != (f.KeyFile == ""), "a certificate and its private key are needed both, or none")
	return errors.Join(errs...)
}

// Run reads the files every few seconds, so that Changed tells even when nobody
// asks, until the context ends.
func (c *Credentials) Run(ctx context.Context) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			c.refresh(klog.FromContext(ctx))
		case <-ctx.Done():
			return
		}
	}
}

// Changed gets a value after other credentials have come into use. It is for one
// receiver; several changes may give one value.
func (c *Credentials) Changed() <-chan struct{} { return c.changed }

// Problem is why what is in use may be out of date: which file could not be read
// last, and why; nil if all could.
func (c *Credentials) Problem() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.problem
}

// Authorization is the value of the header of that name; empty if there are neither
// a secret nor a token. It must not be logged.
func (c *Credentials) Authorization() (string, error) {
	return c.fresh().authorization, nil
}

// fresh is what the files hold, not older than minAge.
func (c *Credentials) fresh() *contents {
	c.refresh(klog.Background())
	return c.current.Load()
}

// refresh reads the files again, unless that was done just now.
func (c *Credentials) refresh(logger klog.Logger) {
	if !c.reading.TryLock() {
		return
	}
	defer c.reading.Unlock()
	now := time.Now()
	if now.Sub(c.read) < minAge {
		return
	}
	c.read = now
	before := c.current.Load()
	after, err := c.files.load(before)
	c.note(logger, err)
	if after.equal(before) {
		return
	}
	c.current.Store(after)
	logger.Info("Credentials for Mesos have changed and are in use")
	select {
	case c.changed <- struct{}{}:
	default: // one is due already
	}
}

// note keeps the problem and tells of it when it is another one.
func (c *Credentials) note(logger klog.Logger, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.problem
	c.problem = nil
	if err != nil {
		c.problem = fmt.Errorf("credentials: what was read before stays in use: %w", err)
	}
	switch {
	case err == nil && before != nil:
		logger.Info("Credentials for Mesos can be read again")
	case err != nil && (before == nil || before.Error() != c.problem.Error()):
		logger.Error(err, "Credentials for Mesos cannot be read; what was read before stays in use")
	}
}
