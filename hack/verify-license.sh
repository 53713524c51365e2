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

# Fails if LICENSE is not the Apache License 2.0, or if a module linked into our
# binaries has no licence file or one of the GNU licences, whose terms ours does
# not meet.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

status=0
if ! grep -q 'Apache License' LICENSE || ! grep -q 'Version 2.0, January 2004' LICENSE; then
  echo "LICENSE is not the Apache License 2.0" >&2
  status=1
fi

modules=$(go list -deps -f '{{with .Module}}{{if not .Main}}{{with .Replace}}{{.Path}} {{.Dir}}{{else}}{{.Path}} {{.Dir}}{{end}}{{end}}{{end}}' ./cmd/... | sort -u)
while read -r module dir; do
  [[ -n "${module}" ]] || continue
  # A module below the root of its repository may keep it in the root's copy, so
  # the go command puts the root's LICENSE into every module zip without one.
  files=$(find "${dir}" -maxdepth 1 -type f \( -iname 'LICEN[CS]E*' -o -iname 'COPYING*' \))
  if [[ -z "${files}" ]]; then
    echo "no licence file: ${module}" >&2
    status=1
    continue
  fi
  while IFS= read -r file; do
    if head -n 5 "${file}" | grep -Eqi 'GNU (AFFERO |LESSER |LIBRARY )?GENERAL PUBLIC LICENSE'; then
      echo "GNU licence: ${module} (${file##*/})" >&2
      status=1
    fi
  done <<<"${files}"
done <<<"${modules}"
exit "${status}"
