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
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config"
)

// maxEvictions bounds what counts evictions: more than that bounds nothing.
const maxEvictions = 10000

func validateClaims(path *field.Path, claims *config.Claims) field.ErrorList {
	errs := oneOf(path.Child("onLost"), claims.OnLost, config.OnClaimLostEvict, config.OnClaimLostReacquire, config.OnClaimLostKeep)
	errs = append(errs, inRange(path.Child("reacquireTimeout"), claims.ReacquireTimeout, 0, 24*time.Hour)...)
	errs = append(errs, inRange(path.Child("pdbDeadline"), claims.PDBDeadline, 0, 24*time.Hour)...)
	errs = append(errs, intInRange(path.Child("evictionsPerMinute"), claims.EvictionsPerMinute, 1, maxEvictions)...)
	errs = append(errs, intInRange(path.Child("evictionBurst"), claims.EvictionBurst, 1, maxEvictions)...)
	errs = append(errs, intInRange(path.Child("evictionPercent"), claims.EvictionPercent, 1, 100)...)
	errs = append(errs, inRange(path.Child("evictionWindow"), claims.EvictionWindow, 10*time.Second, time.Hour)...)
	return errs
}

func validateMaintenance(path *field.Path, maintenance *config.Maintenance) field.ErrorList {
	errs := inRange(path.Child("evictBefore"), maintenance.EvictBefore, 0, 24*time.Hour)
	errs = append(errs, oneOf(path.Child("cordonedNodes"), maintenance.CordonedNodes,
		config.CordonedNodesIgnore, config.CordonedNodesDeactivate, config.CordonedNodesDrain)...)
	errs = append(errs, inRange(path.Child("drainGrace"), maintenance.DrainGrace, 0, 24*time.Hour)...)
	return errs
}
