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

# Writes the generated code of plugins/apis: deep copies, defaults, conversions.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

boilerplate=hack/boilerplate/boilerplate.go.txt
internal=./plugins/apis/config
versioned=./plugins/apis/config/v1

generate() {
  local generator=$1 output=$2
  shift 2
  go tool -modfile=hack/tools/codegen/go.mod "${generator}" \
    --go-header-file "${boilerplate}" --output-file "${output}" "$@"
}

# Stale output could break the type checking the generators begin with.
rm -f "${internal}"/zz_generated.*.go "${versioned}"/zz_generated.*.go

generate deepcopy-gen zz_generated.deepcopy.go "${internal}" "${versioned}"
generate defaulter-gen zz_generated.defaults.go "${versioned}"
generate conversion-gen zz_generated.conversion.go "${versioned}"
