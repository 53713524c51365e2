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

// Package conformance proves the emulated master against recordings of a real
// one: it replays every call and every deed of the recordings' operator against
// the emulator, in virtual time, and compares all that comes back. What differs
// must stand in differences.md; what is compared and what is left out stands in
// coverage.md. README.md tells the rules of the comparison.
package conformance
