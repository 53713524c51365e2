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

# Fails if a source file does not begin with the licence header. Build
# constraints and the marks of generated code may stand before it in Go files, a
# first line "#!" in scripts.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

go_header=$(cat hack/boilerplate/boilerplate.go.txt)
script_header=$(cat hack/boilerplate/boilerplate.sh.txt)
status=0
while IFS= read -r -d '' file; do
  [[ -f "${file}" ]] || continue
  case "${file}" in
    *.go) header=${go_header} ;;
    *) header=${script_header} ;;
  esac
  # The header is 13 or 15 lines; what may precede it is at most 5.
  if [[ "$(head -n 20 "${file}")" != *"${header}"* ]]; then
    echo "no licence header (see hack/boilerplate): ${file}" >&2
    status=1
  fi
done < <(git ls-files -z --cached --others --exclude-standard -- '*.go' '*.sh' Makefile .ci/run)
exit "${status}"
