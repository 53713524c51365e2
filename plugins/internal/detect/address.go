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

package detect

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

const (
	defaultZooKeeperPort = "2181"

	masterForms    = `want host:port or http(s)://host:port`
	zooKeeperForms = `want zk://host:port,host:port/path`
)

// parseMaster reads "host:port" or "http(s)://host:port"; a missing port is 5050.
func parseMaster(text string, https bool) (*url.URL, error) {
	full, scheme := text, schemeHTTP
	if https {
		scheme = schemeHTTPS
	}
	if !strings.Contains(full, "://") {
		full = scheme + "://" + full
	}
	u, err := url.Parse(full)
	if err != nil {
		// The error of url.Parse repeats its input, which may hold a password.
		return nil, errors.New("the address cannot be parsed; " + masterForms)
	}
	if err := checkMaster(u, https); err != nil {
		return nil, err
	}
	host, err := withPort(u.Hostname(), u.Port(), DefaultPort)
	if err != nil {
		return nil, err
	}
	return &url.URL{Scheme: u.Scheme, Host: host}, nil
}

func checkMaster(u *url.URL, https bool) error {
	switch {
	case u.User != nil:
		return fmt.Errorf("%q: credentials do not belong into the address; name files that hold them", u.Host)
	case u.Scheme == "zk":
		return errors.New("a zk:// entry must be the only one; list all hosts of the ensemble in it, parted by commas")
	case u.Scheme != schemeHTTP && u.Scheme != schemeHTTPS:
		return fmt.Errorf("%q: scheme %q is not known; %s", u.Host, u.Scheme, masterForms)
	case https && u.Scheme == schemeHTTP:
		return fmt.Errorf("%q: plain http, but TLS is asked for; %s without a scheme or with https", u.Host, masterForms)
	case u.Hostname() == "":
		return errors.New("the address names no host; " + masterForms)
	case (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("%q: there is more than host and port; %s", u.Host, masterForms)
	}
	return nil
}

func withPort(host, port, otherwise string) (string, error) {
	if port == "" {
		port = otherwise
	}
	// Only plain digits: ParseUint takes no sign, unlike Atoi.
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("%q: the port is no number from 1 to 65535", host)
	}
	return net.JoinHostPort(host, port), nil
}

// ensemble is what a zk:// address says.
type ensemble struct {
	hosts []string // with ports
	path  string
	auth  string // "user:password" or empty
}

func (e ensemble) String() string { return prefixZK + strings.Join(e.hosts, ",") + e.path }

// parseEnsemble reads "zk://[user:password@]host[:port],host[:port]/path"
// (Mesos zookeeper/url.hpp); a missing port is 2181.
func parseEnsemble(text string, inlinePassword bool) (ensemble, error) {
	rest := strings.TrimPrefix(text, prefixZK)
	var e ensemble
	// A password may hold any character, also @ and /.
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		e.auth, rest = rest[:at], rest[at+1:]
		if !inlinePassword {
			return ensemble{}, errors.New("ZooKeeper: a password does not belong into the address; name a file that holds user:password")
		}
		if err := checkDigest(e.auth); err != nil {
			return ensemble{}, fmt.Errorf("ZooKeeper: what stands before the @ %w", err)
		}
	}
	slash := strings.IndexByte(rest, '/')
	if slash < 0 || strings.Trim(rest[slash:], "/") == "" {
		return ensemble{}, errors.New("ZooKeeper: the path of the masters' nodes is missing; " + zooKeeperForms)
	}
	e.path = strings.TrimRight(rest[slash:], "/")
	if !isNodePath(e.path) {
		return ensemble{}, fmt.Errorf("ZooKeeper: %q is no path of a node; %s", e.path, zooKeeperForms)
	}
	var err error
	if e.hosts, err = parseHosts(rest[:slash]); err != nil {
		return ensemble{}, fmt.Errorf("ZooKeeper: %w", err)
	}
	return e, nil
}

func isNodePath(path string) bool {
	for _, step := range strings.Split(path[1:], "/") {
		if step == "" || step == "." || step == ".." || strings.ContainsFunc(step, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return false
		}
	}
	return true
}

// parseHosts reads "host[:port],host[:port]".
func parseHosts(text string) (hosts []string, err error) {
	for _, entry := range strings.Split(text, ",") {
		u, err := url.Parse("http://" + entry)
		if err != nil || u.Hostname() == "" || u.Host != entry {
			return nil, errors.New("a host cannot be parsed; " + zooKeeperForms)
		}
		host, err := withPort(u.Hostname(), u.Port(), defaultZooKeeperPort)
		if err != nil {
			return nil, err
		}
		hosts = append(hosts, host)
	}
	return hosts, nil
}

// checkDigest says what is wrong with credentials of ZooKeeper's scheme "digest",
// without repeating them.
func checkDigest(auth string) error {
	user, password, ok := strings.Cut(auth, ":")
	if !ok || user == "" || password == "" {
		return errors.New("is not of the form user:password")
	}
	return nil
}
