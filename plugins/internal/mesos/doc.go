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

// Package mesos holds the session with a Mesos master: it finds the leader,
// subscribes over the v1 scheduler HTTP API, decodes the event stream and sends
// calls. All Mesos I/O and every Mesos protobuf type stay in this package; the
// rest of the project sees offers, task statuses and errors of its own.
//
// One goroutine, the one that runs Session.Run, owns the stream and calls the
// Handler. Calls run on the goroutines of their callers, ordered by lanes.
package mesos
