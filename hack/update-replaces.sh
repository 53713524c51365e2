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

# Prints the replace block that a module importing this one needs in its go.mod.
# The go command ignores the replaces of dependencies, and without them
# k8s.io/kubernetes and its staging modules do not resolve to one release.
#
#   hack/update-replaces.sh >> ../my-scheduler/go.mod

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

go mod edit -print | awk '
  $1 == "replace" && $2 == "(" { inside = 1; print; next }
  $1 == "replace" || inside { print }
  $1 == ")" { inside = 0 }
'
