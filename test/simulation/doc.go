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

// Package simulation runs days and months of a cluster in virtual time: our schedulers, an
// emulated Mesos and an API server in one process, with faults of every kind, judged by an
// observer that knows nothing of our books.
//
// What happens is a Script, a function of the seed alone: which pods come and how long
// they run, which machine, connection or process fails when and for how long. Its events
// come only when nothing else is running. Not a function of the seed is what lies in
// between: the order of goroutines that are ready at the same instant, the iteration of
// maps, the jitter of client-go's and our own backoffs, the ids that the emulated master
// draws. So a seed that failed meets the same faults at the same times again, but a race
// between two things of one instant may end otherwise; then repeat it with -count.
package simulation
