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

package validation

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	schemeHTTP  = "http"
	schemeHTTPS = "https"
	schemeZK    = "zk"
	// masterForms says what an entry of masters may be.
	masterForms = "must be host:port, http://host:port or https://host:port, or a single zk://host:port,host:port/path"
)

// validateMasters takes tls.enabled and its path too, because it says what entries
// without scheme and ZooKeeper mean.
func validateMasters(path *field.Path, masters []string, tlsPath *field.Path, tls bool) field.ErrorList {
	if len(masters) == 0 {
		return field.ErrorList{field.Required(path, "at least one Mesos master is needed, for example \"mesos-1.example.com:5050\"")}
	}
	var errs field.ErrorList
	first := map[string]int{}
	for i, entry := range masters {
		if isZooKeeper(entry) {
			errs = append(errs, validateZooKeeper(path, masters, i)...)
			continue
		}
		address, problem := parseMaster(entry)
		if tls && problem == "" && strings.HasPrefix(entry, schemeHTTP+"://") {
			problem = fmt.Sprintf("must be https://host:port or host:port: %s is true", tlsPath)
		}
		if problem != "" {
			// What stands before an @ may be a password.
			if strings.Contains(entry, "@") {
				entry = notShown
			}
			errs = append(errs, field.Invalid(path.Index(i), entry, problem))
			continue
		}
		if j, seen := first[address]; seen {
			errs = append(errs, duplicate(path.Index(i), entry, fmt.Sprintf("names the same host and port as %s", path.Index(j))))
			continue
		}
		first[address] = i
	}
	return errs
}

// parseMaster returns the host and port an entry names, in one spelling, or what
// is wrong with it.
func parseMaster(entry string) (address, problem string) {
	hostport := entry
	if scheme, rest, ok := strings.Cut(entry, "://"); ok {
		switch scheme {
		case schemeHTTP, schemeHTTPS:
		default:
			return "", masterForms
		}
		hostport = rest
	}
	if strings.Contains(hostport, "@") {
		return "", masterForms + ", without credentials: this configuration is logged"
	}
	if strings.ContainsAny(hostport, "/?#") {
		return "", masterForms + ", without path, query or fragment"
	}
	if address, problem = parseHostPort(hostport); problem != "" {
		return "", masterForms + problem
	}
	return address, ""
}

// parseHostPort returns a host and a port in one spelling, or what is wrong with
// them beyond their form.
func parseHostPort(hostport string) (address, problem string) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return "", ", with a port, and an IPv6 address in brackets"
	}
	if !isHost(host) {
		return "", ", host being a host name, an IPv4 address or an IPv6 address in brackets"
	}
	// Only plain digits: ParseUint takes no sign, unlike Atoi.
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return "", ", port being a number from 1 to 65535"
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.String()
	}
	return net.JoinHostPort(strings.ToLower(host), strconv.FormatUint(number, 10)), ""
}

// isHost reports whether host is a DNS name, in any case, or an IP address.
func isHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return len(validation.IsDNS1123Subdomain(strings.ToLower(host))) == 0
}
