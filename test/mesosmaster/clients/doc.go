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

// Package clients tests the emulated master with clients that were written for
// real ones: the commands of mesos-go unchanged, its ZooKeeper detector,
// Telegraf's plug-in for Mesos, and a ZooKeeper client. It is a module of its
// own, knows the emulator as a command only, and runs by
//
//	cd test/mesosmaster/clients && go test ./...
package clients
