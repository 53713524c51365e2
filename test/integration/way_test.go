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

package integration

import (
	"testing"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
)

func TestWayOfAPod(t *testing.T) {
	kube := cluster.StartKube(t)
	t.Run("a pod binds where Mesos granted its resources", func(t *testing.T) {
		c := kube.New(t, 3, cluster.Quick())
		c.StartScheduler()
		pod := c.AddPod("one", "1500m", "1Gi")
		c.WaitBound("one")
		c.WaitSettled()
		bound := c.Pod("one")
		for _, key := range []string{"kube-mesos.io/task-id", "kube-mesos.io/agent-id", "kube-mesos.io/framework-id", "kube-mesos.io/role"} {
			if bound.Annotations[key] == "" {
				t.Errorf("the binding left no annotation %s: %v", key, bound.Annotations)
			}
		}
		tasks := c.LiveTasks()
		if len(tasks) != 1 || tasks[0].CPUs != 1.5 || tasks[0].MemMB != 1024 {
			t.Errorf("tasks: %+v, want one of cpus 1.5 and mem 1024", tasks)
		}
		if got := tasks[0].Labels["kube-mesos.io/pod-uid"]; got != string(pod.UID) {
			t.Errorf("task label pod-uid = %q, want %q", got, pod.UID)
		}
		c.WaitIdle()
		c.DeletePod("one")
		c.WaitSettled()
		c.WaitIdle()
	})
}
