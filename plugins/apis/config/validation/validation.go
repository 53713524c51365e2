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
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config"
)

// ValidateMesosOffersArgs returns everything that is wrong with the arguments,
// each with the field's path below path, its value and what is allowed. Path may
// be nil. The arguments must have their defaults; they are not changed.
func ValidateMesosOffersArgs(path *field.Path, args *config.MesosOffersArgs) field.ErrorList {
	var errs field.ErrorList
	errs = append(errs, validateConnection(path, args)...)
	errs = append(errs, validateFramework(path.Child("framework"), &args.Framework)...)
	errs = append(errs, validateConfigMap(path.Child("frameworkIDConfigMap"), args.FrameworkIDConfigMap)...)
	errs = append(errs, validateDefaultRequests(path.Child("defaultRequests"), args.DefaultRequests)...)
	errs = append(errs, inRange(path.Child("launchTimeout"), args.LaunchTimeout, time.Second, 10*time.Minute)...)
	errs = append(errs, validateOffers(path.Child("offers"), &args.Offers)...)
	errs = append(errs, inRange(path.Child("preemption", "starvationTimeout"), args.Preemption.StarvationTimeout, 0, time.Hour)...)
	errs = append(errs, validateSession(path.Child("session"), &args.Session)...)
	errs = append(errs, validatePlaceholder(path.Child("placeholder"), &args.Placeholder)...)
	errs = append(errs, validateRoles(path.Child("roles"), &args.Roles)...)
	errs = append(errs, oneOf(path.Child("reservations", "policy"), args.Reservations.Policy, config.ReservationPolicyReservedFirst,
		config.ReservationPolicyUnreservedFirst, config.ReservationPolicyReservedOnly)...)
	errs = append(errs, inRange(path.Child("reservations", "releaseAfter"), args.Reservations.ReleaseAfter, 0, 24*time.Hour)...)
	errs = append(errs, validateRevocable(path.Child("revocable"), &args.Revocable)...)
	errs = append(errs, validateResources(path.Child("resources"), &args.Resources)...)
	errs = append(errs, validateQuota(path.Child("quota"), &args.Quota)...)
	errs = append(errs, validateClaims(path.Child("claims"), &args.Claims)...)
	errs = append(errs, validateMaintenance(path.Child("maintenance"), &args.Maintenance)...)
	return errs
}

func validateFramework(path *field.Path, framework *config.Framework) field.ErrorList {
	var errs field.ErrorList
	if framework.Name == "" {
		errs = append(errs, field.Required(path.Child("name"), "Mesos shows it as the name of this framework"))
	}
	if framework.User == "" {
		errs = append(errs, field.Required(path.Child("user"), "agents run the placeholder tasks as this user, for example root"))
	}
	errs = append(errs, ValidateRole(path.Child("role"), framework.Role)...)
	if host := framework.Hostname; host != "" && !isHost(host) {
		errs = append(errs, field.Invalid(path.Child("hostname"), host, "must be a host name or an IP address"))
	}
	errs = append(errs, validateWebUIURL(path.Child("webUIURL"), framework.WebUIURL)...)
	if framework.FailoverTimeout.Duration < time.Minute {
		errs = append(errs, field.Invalid(path.Child("failoverTimeout"), framework.FailoverTimeout.Duration.String(),
			"must be at least 1m: Mesos kills every task of this framework when the scheduler is away for longer"))
	}
	errs = append(errs, oneOf(path.Child("onRemoved"), framework.OnRemoved, config.OnFrameworkRemovedNewIdentity, config.OnFrameworkRemovedWait)...)
	return errs
}

// notShown stands in errors for a value that may hold a password.
const notShown = "<not shown>"

func validateWebUIURL(path *field.Path, value string) field.ErrorList {
	if value == "" {
		return nil
	}
	// What stands before an @ may be a password.
	if strings.Contains(value, "@") {
		return field.ErrorList{field.Invalid(path, notShown, "must not hold an @, as credentials do: it is shown in the Mesos UI")}
	}
	parsed, err := url.Parse(value)
	if err != nil || parsed.Scheme != schemeHTTP && parsed.Scheme != schemeHTTPS || parsed.Hostname() == "" {
		return field.ErrorList{field.Invalid(path, value, "must be a URL such as http://host:port/path or https://host/path")}
	}
	return nil
}

func validateConfigMap(path *field.Path, ref config.ConfigMapReference) field.ErrorList {
	var errs field.ErrorList
	for _, message := range apivalidation.ValidateNamespaceName(ref.Namespace, false) {
		errs = append(errs, field.Invalid(path.Child("namespace"), ref.Namespace, message))
	}
	// The name of a ConfigMap is a DNS subdomain.
	for _, message := range validation.IsDNS1123Subdomain(ref.Name) {
		errs = append(errs, field.Invalid(path.Child("name"), ref.Name, message))
	}
	return errs
}

// claimable lists the resources a claim can hold. The first two every Mesos task
// needs (Mesos source, master/validation.cpp: a task's resources must have cpus
// and mem).
var claimable = []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage}

func validateDefaultRequests(path *field.Path, requests corev1.ResourceList) field.ErrorList {
	var errs field.ErrorList
	for _, name := range sets.List(sets.KeySet(requests)) {
		quantity := requests[name]
		key := path.Key(string(name))
		switch {
		case name != corev1.ResourceCPU && name != corev1.ResourceMemory && name != corev1.ResourceEphemeralStorage:
			errs = append(errs, field.NotSupported(key, name, claimable))
		case quantity.Sign() < 0:
			errs = append(errs, field.Invalid(key, quantity.String(), "must not be negative"))
		}
	}
	for _, name := range claimable[:2] {
		quantity, ok := requests[name]
		if !ok {
			errs = append(errs, field.Required(path.Key(string(name)), "Mesos launches no task without it"))
		} else if quantity.IsZero() {
			errs = append(errs, field.Invalid(path.Key(string(name)), quantity.String(), "must be greater than 0: Mesos launches no task without it"))
		}
	}
	return errs
}

// maxAgents bounds what counts agents: no Mesos cluster has many more.
const maxAgents = 10000

func validateOffers(path *field.Path, offers *config.Offers) field.ErrorList {
	var errs field.ErrorList
	errs = append(errs, inRange(path.Child("maxHold"), offers.MaxHold, 100*time.Millisecond, 5*time.Minute)...)
	errs = append(errs, inRange(path.Child("refuseUnused"), offers.RefuseUnused, 0, time.Hour)...)
	// Mesos itself shortens a longer filter to 365 days.
	errs = append(errs, inRange(path.Child("refuseForeign"), offers.RefuseForeign, time.Second, 8760*time.Hour)...)
	errs = append(errs, inRange(path.Child("reviveEvery"), offers.ReviveEvery, 10*time.Millisecond, time.Hour)...)
	errs = append(errs, inRange(path.Child("surplusAfter"), offers.SurplusAfter, time.Millisecond, time.Minute)...)
	errs = append(errs, inRange(path.Child("refuseSurplus"), offers.RefuseSurplus, time.Second, time.Hour)...)
	errs = append(errs, intInRange(path.Child("warmAgents"), offers.WarmAgents, 0, maxAgents)...)
	errs = append(errs, inRange(path.Child("idleGrace"), offers.IdleGrace, 0, time.Minute)...)
	errs = append(errs, inRange(path.Child("batchLinger"), offers.BatchLinger, 0, time.Second)...)
	errs = append(errs, inRange(path.Child("maxBatchLinger"), offers.MaxBatchLinger, 0, 5*time.Second)...)
	errs = append(errs, notBelow(path.Child("maxBatchLinger"), offers.MaxBatchLinger, "batchLinger", offers.BatchLinger)...)
	errs = append(errs, intInRange(path.Child("maxTasksPerAccept"), offers.MaxTasksPerAccept, 1, 500)...)
	errs = append(errs, intInRange(path.Child("candidateLimit"), offers.CandidateLimit, 0, 1024)...)
	errs = append(errs, inRange(path.Child("predictedWait"), offers.PredictedWait, 0, time.Minute)...)
	errs = append(errs, oneOf(path.Child("constraints"), offers.Constraints, config.OfferTermsAuto, config.OfferTermsNever)...)
	errs = append(errs, intInRange(path.Child("maxConstraintHosts"), offers.MaxConstraintHosts, 1, maxAgents)...)
	errs = append(errs, oneOf(path.Child("minAllocatable"), offers.MinAllocatable, config.OfferTermsAuto, config.OfferTermsNever)...)
	return errs
}

// minRecordBytes keeps MaxRecordBytes above what an event of a small cluster
// takes, so that a wrong unit is found here and not by lost connections.
const minRecordBytes = 64 << 10

func validateSession(path *field.Path, session *config.Session) field.ErrorList {
	errs := oneOf(path.Child("start"), session.Start, config.SessionStartLeading, config.SessionStartImmediately)
	errs = append(errs, inRange(path.Child("callTimeout"), session.CallTimeout, 100*time.Millisecond, 10*time.Minute)...)
	errs = append(errs, intInRange(path.Child("heartbeatMisses"), session.HeartbeatMisses, 1, 20)...)
	if session.MaxRecordBytes < minRecordBytes {
		errs = append(errs, field.Invalid(path.Child("maxRecordBytes"), session.MaxRecordBytes,
			fmt.Sprintf("must be at least %d bytes", minRecordBytes)))
	}
	errs = append(errs, inRange(path.Child("backoffInitial"), session.BackoffInitial, 10*time.Millisecond, time.Minute)...)
	errs = append(errs, inRange(path.Child("backoffMax"), session.BackoffMax, 10*time.Millisecond, time.Hour)...)
	errs = append(errs, notBelow(path.Child("backoffMax"), session.BackoffMax, "backoffInitial", session.BackoffInitial)...)
	return errs
}

func validatePlaceholder(path *field.Path, placeholder *config.Placeholder) field.ErrorList {
	command := path.Child("command")
	if len(placeholder.Command) == 0 {
		return field.ErrorList{field.Required(command, `a program and its arguments that run until killed, for example ["sleep", "infinity"]`)}
	}
	if placeholder.Command[0] == "" {
		return field.ErrorList{field.Invalid(command.Index(0), "", "must be the program to run")}
	}
	return nil
}

func validateQuota(path *field.Path, quota *config.Quota) field.ErrorList {
	errs := inRange(path.Child("pollPeriod"), quota.PollPeriod, time.Second, 10*time.Minute)
	if quota.ResourceQuota && quota.Push {
		errs = append(errs, field.Forbidden(path.Child("push"),
			fmt.Sprintf("must not be true together with %s: each quota would follow the other", path.Child("resourceQuota"))))
	}
	return errs
}

func oneOf[T ~string](path *field.Path, value T, allowed ...T) field.ErrorList {
	if slices.Contains(allowed, value) {
		return nil
	}
	return field.ErrorList{field.NotSupported(path, value, allowed)}
}

// duplicate says in detail what the value is the same as.
func duplicate(path *field.Path, value any, detail string) *field.Error {
	err := field.Duplicate(path, value)
	err.Detail = detail
	return err
}

func inRange(path *field.Path, value metav1.Duration, low, high time.Duration) field.ErrorList {
	if value.Duration >= low && value.Duration <= high {
		return nil
	}
	return field.ErrorList{field.Invalid(path, value.Duration.String(), fmt.Sprintf("must be between %v and %v, inclusive", low, high))}
}

func notBelow(path *field.Path, value metav1.Duration, floorName string, floor metav1.Duration) field.ErrorList {
	if value.Duration >= floor.Duration {
		return nil
	}
	return field.ErrorList{field.Invalid(path, value.Duration.String(), fmt.Sprintf("must not be below %s, which is %v", floorName, floor.Duration))}
}

func intInRange(path *field.Path, value, low, high int32) field.ErrorList {
	if value >= low && value <= high {
		return nil
	}
	return field.ErrorList{field.Invalid(path, value, validation.InclusiveRangeError(int(low), int(high)))}
}
