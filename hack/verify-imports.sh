#!/usr/bin/env bash
#
# Copyright The Kube-Mesos Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

# Fails if a package imports what the architecture keeps from it:
#
#   * Mesos' protocol types stay in plugins/internal/mesos, and in the emulated
#     master, which in turn imports nothing from plugins/, so that it cannot share
#     our mistakes;
#   * the scheduler framework, whose packages move between Kubernetes releases,
#     stays in plugins/mesosoffers and the commands (and tests that run a
#     scheduler);
#   * imports below plugins/internal point down, from I/O to pure state machines,
#     never up, and state machines do no I/O.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# One line for each import: the importing package, the imported one, and whether
# only its tests import it.
imports() {
  go list -f '{{$p := .ImportPath}}{{range .Imports}}{{$p}} {{.}} code
{{end}}{{range .TestImports}}{{$p}} {{.}} test
{{end}}{{range .XTestImports}}{{$p}} {{.}} test
{{end}}' ./...
}

# Assigned, not piped, so that a failure of go list is not overlooked.
listed=$(imports)

awk -v module="$(go list -m)" '
  function below(path, prefix) { return path == prefix || index(path, prefix "/") == 1 }
  function refuse(why) { print from " imports " to ": " why; bad = 1 }
  BEGIN {
    # A package may import only packages of lower rank, or of rank 1 from rank 1.
    # Rank 1 is state machines, rank 2 what their I/O has in common, rank 3 I/O.
    rank["plugins/internal/resources"] = 0
    rank["plugins/internal/offers"] = rank["plugins/internal/claims"] = 1
    rank["plugins/internal/demand"] = rank["plugins/internal/nodes"] = rank["plugins/internal/roles"] = 1
    rank["plugins/internal/breaker"] = rank["plugins/internal/maintenance"] = 1
    rank["plugins/internal/workloop"] = rank["plugins/internal/metrics"] = 2
    rank["plugins/internal/detect"] = rank["plugins/internal/credentials"] = 2
    rank["plugins/internal/mesos"] = 3
    rank["plugins/internal/quota"] = rank["plugins/internal/reservations"] = 3
    rank["plugins/internal/nodelabels"] = rank["plugins/internal/nodebalance"] = rank["plugins/internal/nodetaints"] = 3
    rank["plugins/internal/lifecycle"] = 4
    rank["plugins/mesosoffers"] = 5
  }
  function rankOf(path,   p) {
    for (p in rank) if (below(path, p)) return rank[p]
    return -1
  }
  NF == 3 {
    from = $1; to = $2
    sub("^" module "/", "", from)
    ours = below(to, module)
    sub("^" module "/", "", to)
    high = rankOf(from); low = ours ? rankOf(to) : -1

    if (below(to, "github.com/mesos/mesos-go") && !below(from, "plugins/internal/mesos") && !below(from, "test"))
      refuse("Mesos types stay in plugins/internal/mesos and test")
    if (below(from, "test/mesosmaster") && ours && below(to, "plugins"))
      refuse("the emulated master must not share code with what it tests")
    if ((below(to, "k8s.io/kubernetes/pkg/scheduler") && !below(to, "k8s.io/kubernetes/pkg/scheduler/apis") || below(to, "k8s.io/kube-scheduler/framework")) &&
        !below(from, "plugins/mesosoffers") && !below(from, "cmd") && !below(from, "test") && $3 == "code")
      refuse("the scheduler framework stays in plugins/mesosoffers and cmd")
    if (ours && below(to, "cmd") && !below(from, "cmd") && !below(from, "test"))
      refuse("commands are not libraries")
    if (ours && below(to, "test") && (below(from, "plugins") && $3 == "code"))
      refuse("plugins must not depend on tests")
    if ($3 == "code" && high >= 0 && low >= 0 && from != to && low >= high && !(low == 1 && high == 1))
      refuse("imports below plugins/internal point down")
    if ($3 == "code" && high >= 0 && high <= 1 && (to == "net/http" || to == "net" || to == "os" || below(to, "k8s.io/client-go/kubernetes")))
      refuse("state machines do no I/O")
  }
  END { exit bad }
' <<<"${listed}" >&2
