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
	"slices"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	// zooKeeperForm says what an entry of masters may be that names ZooKeeper.
	zooKeeperForm = "must be zk://host:port,host:port/path as it is in --zk of the Mesos masters"
	// zooKeeperPort is taken where an entry names none.
	zooKeeperPort = "2181"
)

func isZooKeeper(entry string) bool { return strings.HasPrefix(entry, schemeZK+"://") }

// validateZooKeeper judges the entry i of masters, which names ZooKeeper.
func validateZooKeeper(path *field.Path, masters []string, i int) field.ErrorList {
	entry := masters[i]
	if strings.Contains(entry, "@") {
		// What stands before an @ may be a password.
		return field.ErrorList{field.Invalid(path.Index(i), notShown,
			"must not hold user:password@, since this configuration is logged: name a file that holds them in zookeeper.authFile")}
	}
	if problem := zooKeeperProblem(entry); problem != "" {
		return field.ErrorList{field.Invalid(path.Index(i), entry, problem)}
	}
	if len(masters) > 1 {
		return field.ErrorList{field.Forbidden(path.Index(i), fmt.Sprintf(
			"a zk:// entry must be the only one of %s: list all hosts of the ensemble in it, parted by commas", path))}
	}
	return nil
}

// zooKeeperProblem returns what is wrong with an entry that names ZooKeeper, or "".
func zooKeeperProblem(entry string) string {
	hosts, node, _ := strings.Cut(strings.TrimPrefix(entry, schemeZK+"://"), "/")
	first := map[string]bool{}
	for host := range strings.SplitSeq(hosts, ",") {
		// Brackets belong to an IPv6 address, whose colons part no port.
		if !strings.Contains(host, ":") || strings.HasSuffix(host, "]") {
			host += ":" + zooKeeperPort
		}
		address, problem := parseHostPort(host)
		if problem != "" {
			return zooKeeperForm + problem
		}
		if first[address] {
			return zooKeeperForm + ", each host once"
		}
		first[address] = true
	}
	// Masters refuse to share ZooKeeper's root with others (Mesos source,
	// master/contender/contender.cpp).
	if node == "" {
		return zooKeeperForm + ", with the path of the node below which the masters stand for election, for example /mesos"
	}
	// The rules are those of ZooKeeper itself (PathUtils.validatePath).
	steps := strings.Split(node, "/")
	if slices.Contains(steps, "") || slices.Contains(steps, ".") || slices.Contains(steps, "..") {
		return zooKeeperForm + ", its path without . and .. and empty steps"
	}
	if strings.ContainsFunc(node, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
		return zooKeeperForm + ", its path without blanks and control characters"
	}
	return ""
}
