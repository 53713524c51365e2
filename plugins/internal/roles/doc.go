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

// Package roles knows which Mesos roles the pods of a namespace may use, and which
// roles the framework is subscribed to.
//
// A Resolver turns a namespace into an ordered list of roles: those its annotation
// names, else those of the first rule that matches its labels, else the default. A
// Cache holds the answers for the scheduling path. Pods choose among the roles of
// their namespace and get no others.
//
// Subscriptions is a state machine: it is told which roles are used, what the
// master said and when, and answers with the next UPDATE_FRAMEWORK. Mesos tells
// every change of a framework's roles to all agents, so changes are collected and
// bounded in number. A refusal is told to nobody, and costs next to nothing: when
// the master refuses a change without saying which role it minds, the roles are
// tried by halves until the culprits are known.
//
//	               ┌────────── Unwant ──────────┐
//	Unsubscribed ──Want──> Pending ──Accepted──> Subscribed ──(unused, KeepUnused)──> Unsubscribed
//	                        │   ▲
//	                 culprit│   │5 min, doubling to 1 h; Retry
//	                        ▼   │
//	                       Refused
//
// A good role waits for one UpdatePeriod at most, whatever bad roles are tried beside
// it later. Only where it was first tried together with n others, one of them bad,
// and the master names no culprit (it names those outside its whitelist, but not
// those that its authorizer minds), may it take up to log2(n) periods, as each
// accepted part of the search is a broadcast; half of the roles are in at once.
//
// Subscriptions does no I/O, reads no clock and is not safe for concurrent use.
package roles
