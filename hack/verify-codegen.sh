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

# Fails if generated code is not what hack/update-codegen.sh writes. Works on a
# copy: the working tree is never without its generated code.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

copy=$(mktemp -d)
trap 'rm -rf "${copy}"' EXIT
mkdir -p "${copy}/plugins"
cp go.mod go.sum "${copy}/"
cp -R hack "${copy}/"
cp -R plugins/apis "${copy}/plugins/"

"${copy}/hack/update-codegen.sh"
if ! diff -ru plugins/apis "${copy}/plugins/apis"; then
  echo "generated code is out of date, run make generate" >&2
  exit 1
fi
