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

// Package quota shows and enforces the quotas that Mesos keeps for our roles.
//
// Mesos knows quotas of top-level roles only, and enforces a limit only when it
// offers to that very role: a limit on eng stops nobody in eng/ads (Mesos source,
// hierarchical.cpp, __generateOffers). What is consumed in eng/ads is charged to
// eng all the same. So for the roles below, the limit is kept by us: a Book holds
// what the master says, a Usage what we hold ourselves, and Book.Check asks whether
// a pod still fits.
//
// Charged is what Mesos charges (RoleResourceBreakdown::consumedQuota): all reservations
// in the role and below it, used or not, and all unreserved, non-revocable
// resources of tasks. A pod on revocable resources, or on resources that were
// reserved already, needs nothing of a quota. Resources that are reserved for a pod
// as it starts are new to the quota and are needed of it; whoever makes such a
// reservation keeps it in the Usage for as long as it lasts, not only while a pod
// uses it.
//
// A Controller tells on namespaces what the quota of their roles is, and keeps
// quotas of both worlds in step where that is asked for:
//
//   - The annotation kube-mesos.io/quota of a namespace; see StatusAnnotation.
//   - A ResourceQuota kube-mesos in each namespace that follows the quota of Mesos;
//     see ResourceQuotaName.
//   - A quota in Mesos that follows the ResourceQuotas labelled PushLabel; see
//     there, also for whose quota is overwritten.
package quota
