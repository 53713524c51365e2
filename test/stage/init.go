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

package stage

import (
	"os"
	"os/signal"

	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
)

func init() {
	// The scheduler listens for a signal that makes it compare its cache. The runtime's
	// own goroutine for signals begins with the first that is listened for, and must
	// not do so in a bubble.
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	signal.Stop(c)
	// The second handler of errors slows down those that follow each other. It knows
	// when the last was by the clock of the process, which is decades ahead of a
	// bubble's, and would sleep that long.
	utilruntime.ErrorHandlers = utilruntime.ErrorHandlers[:1] //nolint:reassign // it is there to be changed
}
