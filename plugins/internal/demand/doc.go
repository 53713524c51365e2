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

// Package demand decides what we ask Mesos for, hold and give back: when the
// role is revived or suppressed, which offers are declined and for how long, and
// which waiting pods a new offer is worth waking for.
//
// It is a state machine over (pods to be placed, offers, time). It does no I/O,
// reads no clock and is not safe for concurrent use.
package demand
