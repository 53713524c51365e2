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

package ha

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
)

// Somebody else stores an id between our look and our write: theirs is used, and ours,
// which nobody knows, is forgotten.
func TestIdentityConflict(t *testing.T) {
	kube := cluster.StartKube(t)
	c := kube.New(t, 1, cluster.Quick())
	const theirs = "0f1e2d3c-0000-4000-8000-000000000000-0007"
	var once sync.Once
	c.API = func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		if req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/namespaces/kube-system/configmaps") {
			once.Do(func() {
				_, err := c.Client.CoreV1().ConfigMaps("kube-system").Create(req.Context(), &v1.ConfigMap{
					ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: c.Namespace + "-framework"},
					Data:       map[string]string{"frameworkID": theirs},
				}, metav1.CreateOptions{})
				if err != nil {
					t.Error(err)
				}
			})
		}
		return next.RoundTrip(req)
	}
	c.StartScheduler()
	c.AddPod("one", "100m", "64Mi")
	c.WaitBound("one")
	c.WaitSettled()
	if id := c.Task("one").FrameworkID; id != theirs {
		t.Errorf("the task is framework %s's, want that of who was first", id)
	}
	if id := identity(c).Data["frameworkID"]; id != theirs {
		t.Errorf("stored is %q", id)
	}
}
