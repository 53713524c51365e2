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

package validation

import (
	"encoding/json"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kube-mesos/kube-mesos/test/recordings"
)

// TestRolesAgreeWithARecordedMaster: what a real master refused is refused here,
// before anything is started; what it took is taken.
func TestRolesAgreeWithARecordedMaster(t *testing.T) {
	lines, err := recordings.Read("10-roles")
	if err != nil {
		t.Fatal(err)
	}
	judged := 0
	role := ""
	for _, l := range lines {
		switch l.Kind {
		case "call":
			var call struct {
				Type      string
				Subscribe struct {
					Info struct{ Roles []string } `json:"framework_info"`
				}
			}
			role = "\x00"
			if json.Unmarshal(l.Body, &call) == nil && call.Type == "SUBSCRIBE" && len(call.Subscribe.Info.Roles) == 1 {
				role = call.Subscribe.Info.Roles[0]
			}
		case "event":
			var event struct {
				Type  string
				Error struct{ Message string }
			}
			if err := json.Unmarshal(l.Event, &event); err != nil {
				t.Fatal(err)
			}
			if role == "\x00" || event.Type != "ERROR" && event.Type != "SUBSCRIBED" {
				continue
			}
			judged++
			refused := strings.Contains(event.Error.Message, "contains invalid role")
			if errs := ValidateRole(field.NewPath("role"), role); (len(errs) > 0) != refused {
				t.Errorf("10:%d: role %q: refused by the master %v (%s), here %v", l.Number, role, refused, event.Error.Message, errs)
			}
			role = "\x00"
		}
	}
	if judged < 20 {
		t.Errorf("%d roles judged", judged)
	}
}
