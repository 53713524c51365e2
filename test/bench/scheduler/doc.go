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

// Package scheduler compares our scheduler with the stock one in Kubernetes' own
// benchmark, scheduler_perf: a real API server and etcd, nodes and pods without a
// kubelet, and a scheduler in the API server's process.
//
//	make bench-scheduler
//
// runs every workload with every variant, interleaved: each run is a process of its own,
// and a round runs each variant once, beginning with another one each time. The emulated
// Mesos master is a process beside it, whose CPU time is told apart. It needs Linux.
//
// # Variants
//
//   - stock: the default profile, without our plugin. In workload FewOffers its pods
//     require, by node affinity, the nodes on which ours has offers.
//   - ours: MesosOffers in the profile, with offers of all nodes (FewOffers: of the given
//     percentage). The session leads and is subscribed before the first node exists.
//   - full-scan: ours with offers.candidateLimit 0. It judges all nodes that fit, as
//     stock does, and is what a choice of candidates must place as well as.
//   - opted-out: a process with two profiles. The pods placed beforehand use ours, and
//     hold claims; the measured ones use the stock profile.
//
// # Workloads
//
// SchedulingBasic, FewOffers, TopologySpreading, PodAffinity and Mixed place pods that
// all fit. In Unschedulable, five more pods a second fit nowhere: with stock they are
// retried when the cluster changes, with ours they sleep until an offer could hold them.
// In Preemption every measured pod must evict three. Stock preempts in the pod's first
// cycle. Ours waits until the pod starved for preemption.starvationTimeout, which is 1 s
// here and 30 s by default, and what the victims had comes back with an offer, so that
// the master's allocation interval counts: that is a difference by design, and the
// figure tells its price.
//
// # Units
//
// pods/s is the measured pods by the time from when the scheduler's informer showed the
// first one to the binding of the last; harness-pods/s is scheduler_perf's own average.
// p50-ms and p99-ms are from a pod's creation to its binding as that informer showed them.
// cycle-ms and cycle-p99-ms are the scheduler's own scheduling_algorithm_duration.
//
// On few cores the API server takes most of the CPU and hides the scheduler in pods/s.
// So a CPU profile of just the measured phase is taken apart: sched-ms/pod is the CPU
// time of scheduling cycles with all their workers, plugin-ms/pod the part of it in our
// plugin, bind-ms/pod that of binding cycles, ours-ms/pod what our packages use besides
// (the session's events, the ledger, informers' handlers; not what net/http's own
// goroutines use for them). cpu-ms/pod is all of the process with the API server,
// master-ms/pod all of the emulated master.
//
// Workload Mixed fills the cluster to 80 % with pods of five sizes and tells how well the
// bindings of all were chosen: see Placement.
package scheduler
