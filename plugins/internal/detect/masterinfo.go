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
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	// labelJSON and labelProtobuf begin the names of the masters' nodes
	// (master/constants.hpp MASTER_INFO_JSON_LABEL, MASTER_INFO_LABEL). The latter
	// are of masters before 0.24 and cannot be read by anybody else.
	labelJSON     = "json.info_"
	labelProtobuf = "info_"
	// sequenceDigits is how ZooKeeper numbers sequential nodes.
	sequenceDigits = 10
)

// masterNodes are the names of the nodes of masters, in the order of their
// sequence numbers: the first is of the leader. old is how many nodes are there
// of masters that are too old.
func masterNodes(children []string) (nodes []string, old int) {
	for _, name := range children {
		label, number := labelJSON, strings.TrimPrefix(name, labelJSON)
		if number == name {
			label, number = labelProtobuf, strings.TrimPrefix(name, labelProtobuf)
		}
		if number == name || !isSequence(number) {
			continue
		}
		if label == labelProtobuf {
			old++
			continue
		}
		nodes = append(nodes, name)
	}
	slices.Sort(nodes) // all numbers have the same length
	return nodes, old
}

func isSequence(text string) bool {
	return len(text) == sequenceDigits && !strings.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' })
}

// masterInfo is the part of the JSON of a MasterInfo that says where the master
// is. Address is there since Mesos 0.24.
type masterInfo struct {
	Address struct {
		Hostname string `json:"hostname"`
		IP       string `json:"ip"`
		Port     int    `json:"port"`
	} `json:"address"`
	Hostname string `json:"hostname"`
	// IP is an IPv4 address in network order, read as a little-endian number.
	IP   uint32 `json:"ip"`
	Port int    `json:"port"`
}

// parseMasterInfo reads the data of a master's node. The address is preferred to
// the name, as masters and agents among themselves do; the name is what a
// certificate is for.
func parseMasterInfo(data []byte, https bool) (Candidate, error) {
	var info masterInfo
	if err := json.Unmarshal(data, &info); err != nil {
		return Candidate{}, fmt.Errorf("it is no JSON of a MasterInfo: %w", err)
	}
	name, port := info.Address.Hostname, info.Address.Port
	if name == "" {
		name = info.Hostname
	}
	if port == 0 {
		port = info.Port
	}
	if port < 1 || port > 65535 {
		return Candidate{}, fmt.Errorf("its port %d is none", port)
	}
	host := info.Address.IP
	if host == "" && info.IP != 0 {
		host = netip.AddrFrom4([4]byte{byte(info.IP), byte(info.IP >> 8), byte(info.IP >> 16), byte(info.IP >> 24)}).String()
	}
	// A master that listens on all addresses may say so.
	if ip, err := netip.ParseAddr(host); err != nil || ip.IsUnspecified() {
		host = name
	}
	if host == "" || strings.ContainsAny(host, "/?#@ ") {
		return Candidate{}, errors.New("it names neither an address nor a host")
	}
	if name == "" {
		name = host
	}
	scheme := schemeHTTP
	if https {
		scheme = schemeHTTPS
	}
	return Candidate{URL: &url.URL{Scheme: scheme, Host: net.JoinHostPort(host, strconv.Itoa(port))}, ServerName: name}, nil
}
