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

// Package detect finds the Mesos masters: those of a list, each by name or by
// address, or those that have registered in a ZooKeeper ensemble.
package detect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

const (
	// DefaultPort is the port of a Mesos master (mesos master --port).
	DefaultPort = "5050"

	schemeHTTP  = "http"
	schemeHTTPS = "https"
	prefixZK    = "zk://"

	// defaultSessionTimeout is that of the masters themselves
	// (master/constants.hpp ZOOKEEPER_SESSION_TIMEOUT).
	defaultSessionTimeout = 10 * time.Second
)

// Candidate is a master to try.
type Candidate struct {
	// URL has a scheme, http or https, and a host with a port; nothing else.
	URL *url.URL
	// ServerName is the name, or else the address, by which the master is known:
	// its certificate must be for it. It differs from URL's host where that is one
	// of several addresses of a name, or the address of a master from ZooKeeper.
	ServerName string
}

// Detector knows where masters may be. Its methods may be called from many
// goroutines.
type Detector interface {
	// Run keeps the knowledge up to date until the context ends. It must run for
	// Candidates to say anything of masters in ZooKeeper, and only once.
	Run(ctx context.Context)
	// Candidates are the masters to try, in order, the leading one first where that
	// is known; any other one redirects to it. An error may come beside candidates:
	// it says which are missing, or why these may be out of date. Without candidates
	// there is always an error. A name is resolved anew by each call; for masters in
	// ZooKeeper, the first calls wait until it has answered or could not be reached.
	Candidates(ctx context.Context) ([]Candidate, error)
	// Leader is the leading master as ZooKeeper has told last; false if it told of
	// none, and always for a list.
	Leader() (Candidate, bool)
	// Changed gets a value after the leading master has become another one, or none.
	// It is for one receiver; several changes may give one value. A list never does.
	Changed() <-chan struct{}
}

// Options say how masters are found. The zero Options will do.
type Options struct {
	// HTTPS is the scheme of masters in ZooKeeper, which does not tell it, and of
	// entries of a list without scheme; entries with http:// are then refused.
	HTTPS bool
	// Resolve returns the addresses of a host name; nil means those that
	// net.DefaultResolver finds.
	Resolve func(ctx context.Context, host string) ([]string, error)
	// ZooKeeperAuthFile is the path of a file that holds "user:password", shown to
	// ZooKeeper by its scheme "digest". It is read for each new connection. Empty:
	// none is shown.
	ZooKeeperAuthFile string
	// InlinePassword allows "user:password@" in a zk:// entry.
	InlinePassword bool
	// SessionTimeout is after which silence a ZooKeeper server is given up; 0 means
	// 10 s, as with the masters.
	SessionTimeout time.Duration
	// Dial connects with a ZooKeeper server; nil means by TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
}

// New returns a detector for a list of masters, "host", "host:port" or
// "http(s)://host[:port]", or for exactly one "zk://host[:port],host[:port]/path".
// An error never repeats what may be a password.
func New(addresses []string, opts Options) (Detector, error) {
	if len(addresses) == 0 {
		return nil, errors.New(`no Mesos master is named; at least one is needed, such as "mesos-1.example.com:5050"`)
	}
	if opts.Resolve == nil {
		opts.Resolve = net.DefaultResolver.LookupHost
	}
	if opts.SessionTimeout == 0 {
		opts.SessionTimeout = defaultSessionTimeout
	}
	if len(addresses) == 1 && strings.HasPrefix(addresses[0], prefixZK) {
		return newZooKeeper(addresses[0], opts)
	}
	var urls []*url.URL
	var errs []error
	for i, text := range addresses {
		u, err := parseMaster(text, opts.HTTPS)
		if err != nil {
			errs = append(errs, fmt.Errorf("masters[%d]: %w", i, err))
			continue
		}
		urls = append(urls, u)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return &list{urls: urls, resolve: opts.Resolve, last: map[string][]string{}}, nil
}
