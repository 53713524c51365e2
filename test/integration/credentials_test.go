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
	"fmt"
	"os"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// TestCredentials: a master that asks who we are is shown what stands in the files, as it
// stands there now.
func TestCredentials(t *testing.T) {
	kube := cluster.StartKube(t)
	config := cluster.Quick()
	config.Authentication = mesosmaster.Authentication{
		Frameworks: true, Readonly: true, Readwrite: true,
		Credentials: map[string]string{"kube": "open sesame"}, Tokens: map[string]string{"t0ken": "kube"},
	}
	for _, test := range []struct {
		name, args, wrong, right string
	}{
		{"a wrong secret is corrected", "{secretFile: %q}", "close sesame\n", "open sesame\n"},
		{"a wrong token is corrected", "{tokenFile: %q}", "stale", "t0ken"},
		{"a wrong token of another scheme is corrected", "{tokenFile: %q, tokenScheme: Token}", "stale\n", "t0ken\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(file, []byte(test.wrong), 0o600); err != nil {
				t.Fatal(err)
			}
			c := kube.New(t, 1, config)
			c.Args = "      framework: {principal: kube}\n      authentication: " + fmt.Sprintf(test.args, file) + "\n"
			corrected(c, func() {
				if err := os.WriteFile(file, []byte(test.right), 0o600); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// corrected: it is said what is wrong, once, and all goes well as soon as it is mended.
func corrected(c *cluster.Cluster, mend func()) {
	c.StartScheduler()
	var notes []string
	c.Eventually("the refusal is told", func() string {
		notes = nil
		list, err := c.Client.EventsV1().Events("kube-system").List(c.T.Context(), metav1.ListOptions{})
		if err != nil {
			return err.Error()
		}
		for i := range list.Items {
			if e := &list.Items[i]; e.Reason == "MesosConnectionRefused" && e.Regarding.Name == c.Namespace+"-framework" {
				notes = append(notes, e.Note)
			}
		}
		if len(notes) == 0 {
			return "no event"
		}
		return ""
	})
	c.AddPod("one", "1", "1Gi")
	c.WaitUnscheduled("one", "0/1 nodes are available: the Mesos master refuses the scheduler's credentials")
	if len(notes) != 1 {
		c.T.Errorf("it is told %q, want it once", notes)
	}
	if n := len(c.Mesos.Frameworks()); n != 0 {
		c.T.Errorf("the master knows %d frameworks, want none yet", n)
	}
	mend()
	c.WaitBound("one")
	c.WaitSettled()
	c.AddPod("big", "5", "1Gi")
	// The list of agents is behind the same credentials.
	c.WaitUnscheduled("big", "0/1 nodes are available: 1 Mesos agent short of cpu")
	c.Finish()
}
