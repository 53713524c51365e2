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
	"fmt"
	"net"
	"net/url"

	"github.com/kube-mesos/kube-mesos/plugins/internal/detect"
)

const (
	// schedulerPath is the v1 scheduler endpoint of a master.
	schedulerPath = "/api/v1/scheduler"
	// maxRedirects bounds how many 307 one attempt follows. One is normal: a
	// standby names the leader. After a leader's death the others name it for as
	// long as its ZooKeeper session lives, and may name each other in between.
	maxRedirects = 4
)

// masterURL reduces an address to scheme, host and port.
func masterURL(scheme string, u *url.URL) *url.URL {
	port := u.Port()
	if port == "" {
		port = detect.DefaultPort
	}
	return &url.URL{Scheme: scheme, Host: net.JoinHostPort(u.Hostname(), port)}
}

// redirectTarget reads the Location of a 307. A master sends it without a scheme
// and with "/master" put before the path ("//host:port/master/api/v1/scheduler"),
// so only the host is taken and our own path kept. https never becomes http.
func redirectTarget(from *url.URL, location string) (*url.URL, error) {
	if location == "" {
		return nil, fmt.Errorf("%s redirects without a Location", from)
	}
	u, err := url.Parse(location)
	if err != nil {
		return nil, fmt.Errorf("%s redirects to a Location that cannot be parsed", from)
	}
	scheme := u.Scheme
	if scheme == "" {
		scheme = from.Scheme
	}
	switch {
	case u.Hostname() == "":
		return nil, fmt.Errorf("%s redirects to %q, which names no host", from, u.Redacted())
	case scheme != "http" && scheme != "https":
		return nil, fmt.Errorf("%s redirects to scheme %q", from, scheme)
	case from.Scheme == "https" && scheme == "http":
		return nil, fmt.Errorf("%s redirects to plain http at %s; not followed", from, u.Host)
	}
	return masterURL(scheme, u), nil
}

// endpointOf is where the calls of a master go.
func endpointOf(master *url.URL) string {
	return master.Scheme + "://" + master.Host + schedulerPath
}
