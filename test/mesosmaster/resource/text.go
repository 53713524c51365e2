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

package resource

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
)

// Parse parses an agent's --resources text, such as
// "cpus:4;mem:16384;disk:100000;ports:[31000-32000];cpus(batch):2;cpus{REV}:4".
// A role in parentheses is a static reservation, {REV} marks revocable
// resources. A list in JSON, of mesos.Resource, is understood as well: for disks
// with a source (Mesos common/resources.cpp Resources::fromString). Ranges come
// first, then reserved, revocable and plain entries, the order a recorded master
// offers them in.
func Parse(text string) (Resources, error) {
	entries, err := parseSimple(text)
	if strings.HasPrefix(strings.TrimSpace(text), "[") {
		entries, err = parseJSON(text)
	}
	if err != nil {
		return nil, err
	}
	var groups [4]Resources
	for _, r := range entries {
		g := 3
		switch {
		case r.Kind == RangeSet && r.Flavor.key == "":
			g = 0
		case r.Flavor.Role() != "":
			g = 1
		case r.Flavor.Revocable():
			g = 2
		}
		groups[g] = appendEntry(groups[g], r)
	}
	var out Resources
	for _, g := range groups {
		out = append(out, g...)
	}
	return out, nil
}

func parseSimple(text string) (list []Resource, err error) {
	for _, part := range strings.Split(text, ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		r, err := parseResource(part)
		if err != nil {
			return nil, fmt.Errorf("resource %q in %q: %w", part, text, err)
		}
		list = append(list, r)
	}
	return list, nil
}

func parseJSON(text string) ([]Resource, error) {
	tree, err := codec.ParseJSON([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("resources in JSON: %w", err)
	}
	items, ok := tree.([]any)
	if !ok {
		return nil, errors.New("resources in JSON: not a list")
	}
	list := make([]Resource, len(items))
	for i := range items {
		p := mesos.Resource{}
		if err := codec.UnmarshalTree(items[i], &p); err != nil {
			return nil, fmt.Errorf("resource %d in JSON: %w", i, err)
		}
		if err := Validate(&p); err != nil {
			return nil, fmt.Errorf("resource %d in JSON: %w", i, err)
		}
		list[i] = FromProto(&p)
	}
	return list, nil
}

// ParseRevocable parses like Parse, and marks everything as revocable.
func ParseRevocable(text string) (Resources, error) {
	rs, err := Parse(text)
	for i := range rs {
		protos := Resources{rs[i]}.ToProto(WireForm{Refined: true})
		protos[0].Revocable = &mesos.Resource_RevocableInfo{}
		rs[i] = FromProto(&protos[0])
	}
	return rs, err
}

// appendEntry adds r but, unlike arithmetic, does not join adjacent ranges.
func appendEntry(rs Resources, r Resource) Resources {
	if rs.Find(&r) >= 0 {
		return rs.Add(Resources{r})
	}
	return append(rs, r)
}

func parseResource(part string) (Resource, error) {
	head, value, ok := strings.Cut(part, ":")
	if !ok {
		return Resource{}, fmt.Errorf("want name:value")
	}
	proto := mesos.Resource{}
	head = strings.TrimSpace(head)
	if h, ok := strings.CutSuffix(head, "{REV}"); ok {
		head = h
		proto.Revocable = &mesos.Resource_RevocableInfo{}
	}
	if i := strings.IndexByte(head, '('); i > 0 && strings.HasSuffix(head, ")") {
		role := head[i+1 : len(head)-1]
		if err := ValidRole(role); err != nil {
			return Resource{}, err
		}
		if role != "*" {
			proto.Role = &role
		}
		head = head[:i]
	}
	if head == "" {
		return Resource{}, fmt.Errorf("name missing")
	}
	r := Resource{Name: head, Flavor: FlavorOf(&proto)}
	return ParseValue(r, strings.TrimSpace(value))
}

// ParseValue fills in kind and amount of r from text: a number, [ranges] or
// {items}.
func ParseValue(r Resource, value string) (Resource, error) {
	switch {
	case strings.HasPrefix(value, "[") && strings.HasSuffix(value, "]"):
		r.Kind = RangeSet
		for _, item := range strings.Split(value[1:len(value)-1], ",") {
			x, err := parseRange(strings.TrimSpace(item))
			if err != nil {
				return r, err
			}
			r.Ranges = append(r.Ranges, x)
		}
		r.Ranges = sortRanges(r.Ranges)
		for i := 1; i < len(r.Ranges); i++ {
			if r.Ranges[i].Begin <= r.Ranges[i-1].End {
				return r, fmt.Errorf("overlapping ranges")
			}
		}
	case strings.HasPrefix(value, "{") && strings.HasSuffix(value, "}"):
		r.Kind = ItemSet
		for _, item := range strings.Split(value[1:len(value)-1], ",") {
			r.Items = append(r.Items, strings.TrimSpace(item))
		}
	default:
		x, err := strconv.ParseFloat(value, 64)
		if err != nil || !(x >= 0 && x <= 1e15) { // so that NaN is refused too
			return r, fmt.Errorf("want a number from 0 to 1e15, [ranges] or {items}")
		}
		r.Milli = MilliOf(x)
	}
	return r, nil
}

func parseRange(s string) (Range, error) {
	lo, hi, ok := strings.Cut(s, "-")
	if !ok {
		hi = lo
	}
	b, err := strconv.ParseUint(strings.TrimSpace(lo), 10, 64)
	if err != nil {
		return Range{}, fmt.Errorf("range %q: %w", s, err)
	}
	e, err := strconv.ParseUint(strings.TrimSpace(hi), 10, 64)
	if err != nil {
		return Range{}, fmt.Errorf("range %q: %w", s, err)
	}
	if b > e {
		return Range{}, fmt.Errorf("range %q: begin > end", s)
	}
	return Range{b, e}, nil
}
