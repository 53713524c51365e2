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

package roles

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config"
)

const (
	// Annotation on a Namespace names its Mesos roles in order of preference,
	// parted by commas.
	Annotation = "kube-mesos.io/roles"
	// PodAnnotation on a Pod chooses one of the roles of its namespace.
	PodAnnotation = "kube-mesos.io/role"
)

const (
	// SourceAnnotation is the Source of roles that the namespace's annotation names.
	SourceAnnotation = "annotation"
	// SourceDefault is the Source of the default role.
	SourceDefault = "default"
)

// Config says where the roles of namespaces come from.
type Config struct {
	// Default is the role of the namespaces that nothing else gives roles to.
	Default string
	// Annotation is whether namespaces may name their roles themselves.
	Annotation bool
	// Rules give roles by labels; the first that matches counts.
	Rules []Rule
}

// Rule gives roles to the namespaces with certain labels.
type Rule struct {
	// Selector selects by labels; nil selects every namespace.
	Selector labels.Selector
	// Templates are the roles in order of preference; {namespace} in them stands
	// for the namespace's name.
	Templates []string
}

// Assignment is which roles a namespace has, and why. Its slices are shared: do not
// change them.
type Assignment struct {
	// Roles are legal, in order of preference and without duplicates. None: the
	// namespace's pods wait, and Problems say why.
	Roles []string
	// Source is what gave the roles: "annotation", "rule N" (the first is 1) or
	// "default".
	Source string
	// Problems say for people what was left out and why.
	Problems []string
}

// Equal is whether both say the same.
func (a Assignment) Equal(b Assignment) bool {
	return a.Source == b.Source && slices.Equal(a.Roles, b.Roles) && slices.Equal(a.Problems, b.Problems)
}

// Resolver knows the roles of any namespace. It is safe for concurrent use.
type Resolver struct {
	config Config
}

// New returns a resolver. The configuration must not be changed afterwards. What is
// illegal in it becomes a Problem of the namespaces that it concerns.
func New(c Config) *Resolver {
	return &Resolver{config: c}
}

// Resolve returns the roles of a namespace. An annotation that names no legal role
// leaves the namespace without roles, as does such a rule: pods in a role that
// nobody chose would use up another team's share.
func (r *Resolver) Resolve(namespace string, l, annotations map[string]string) Assignment {
	named, annotated := annotations[Annotation]
	if annotated && r.config.Annotation {
		a := Assignment{Source: SourceAnnotation}
		for role := range strings.SplitSeq(named, ",") {
			a.add(strings.TrimSpace(role), "namespace's annotation "+Annotation)
		}
		return a
	}
	a := r.byRule(namespace, labels.Set(l))
	if annotated {
		a.Problems = append(a.Problems, "the namespace's annotation "+Annotation+" is ignored: the scheduler's configuration (roles.annotation) does not allow it")
	}
	return a
}

func (r *Resolver) byRule(namespace string, set labels.Set) Assignment {
	for i, rule := range r.config.Rules {
		if rule.Selector != nil && !rule.Selector.Matches(set) {
			continue
		}
		a := Assignment{Source: "rule " + strconv.Itoa(i+1)}
		origin := "scheduler's configuration (roles.rules[" + strconv.Itoa(i) + "])"
		for _, template := range rule.Templates {
			a.add(strings.ReplaceAll(template, config.RoleTemplateNamespace, namespace), origin)
		}
		if len(rule.Templates) == 0 {
			a.Problems = append(a.Problems, "the "+origin+" gives no roles")
		}
		return a
	}
	a := Assignment{Source: SourceDefault}
	a.add(r.config.Default, "scheduler's configuration (framework.role)")
	return a
}

// add takes in one role, or tells why it is left out.
func (a *Assignment) add(role, origin string) {
	if problem := check(role, origin); problem != "" {
		if !slices.Contains(a.Problems, problem) {
			a.Problems = append(a.Problems, problem)
		}
		return
	}
	if !slices.Contains(a.Roles, role) {
		a.Roles = append(a.Roles, role)
	}
}

// Choose returns the roles that a pod may use, in order of preference: those of its
// namespace, or the one of them that its annotation names. The error is for the
// pod's owner. The slice is shared: do not change it.
func Choose(a Assignment, podAnnotation string) ([]string, error) {
	if len(a.Roles) == 0 {
		if len(a.Problems) == 0 {
			return nil, errors.New("the pod's namespace has no Mesos role")
		}
		return nil, fmt.Errorf("the pod's namespace has no Mesos role: %s", strings.Join(a.Problems, "; "))
	}
	if podAnnotation == "" {
		return a.Roles, nil
	}
	role := strings.TrimSpace(podAnnotation)
	if i := slices.Index(a.Roles, role); i >= 0 {
		return a.Roles[i : i+1 : i+1], nil
	}
	return nil, fmt.Errorf("the pod's annotation %s names the Mesos role %s, but its namespace has only %s (source: %s)",
		PodAnnotation, shown(role), shownList(a.Roles), a.Source)
}
