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

package conformance

import (
	"fmt"
	"regexp"
	"strings"
)

// idPattern finds what a master makes up and a replay cannot repeat: uuids, the
// agent, offer and framework ids derived from the master's uuid, and uuids as
// base64.
var idPattern = regexp.MustCompile(
	`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?:-[SOI]\d+|-\d{4})?` +
		`|[A-Za-z0-9+/]{22}==`)

// bijection maps what the recording names to what the emulator names, one to
// one. Names live in namespaces, so that a port is never mistaken for a pid.
type bijection struct {
	live map[string]string // recorded to live
	back map[string]string // live to recorded
}

func newBijection() *bijection {
	return &bijection{live: map[string]string{}, back: map[string]string{}}
}

// pair records that the two name the same thing. It fails if either already
// names something else.
func (b *bijection) pair(space, recorded, live string) error {
	r, l := space+":"+recorded, space+":"+live
	if was, ok := b.live[r]; ok && was != l {
		return fmt.Errorf("%s is %s in the recording, which was %s before", live, recorded, strings.TrimPrefix(was, space+":"))
	}
	if was, ok := b.back[l]; ok && was != r {
		return fmt.Errorf("%s is %s in the recording, but was %s before", live, recorded, strings.TrimPrefix(was, space+":"))
	}
	b.live[r], b.back[l] = l, r
	return nil
}

// compatible tells whether pair would succeed.
func (b *bijection) compatible(space, recorded, live string) bool {
	r, l := space+":"+recorded, space+":"+live
	if was, ok := b.live[r]; ok {
		return was == l
	}
	_, taken := b.back[l]
	return !taken
}

// translate replaces every known recorded id in s by the live one.
func (b *bijection) translate(s string) string {
	return idPattern.ReplaceAllStringFunc(s, func(id string) string {
		space := spaceOf(id)
		if live, ok := b.live[space+":"+id]; ok {
			return strings.TrimPrefix(live, space+":")
		}
		return id
	})
}

// translateTree is translate for every string of a JSON tree.
func (b *bijection) translateTree(v any) any {
	switch v := v.(type) {
	case string:
		return b.translate(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = b.translateTree(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = b.translateTree(x)
		}
		return out
	}
	return v
}

// spaceOf is the namespace of an id found by idPattern.
func spaceOf(id string) string {
	switch {
	case strings.HasSuffix(id, "=="):
		return "bytes"
	case len(id) > 37 && strings.ContainsRune("SOI", rune(id[37])):
		return "id-" + string(id[37])
	case len(id) > 36:
		return "id-framework"
	}
	return "id"
}

// pairText compares two texts that may hold ids: the ids are paired, the rest
// must be equal. It returns what differs, "" if nothing.
func (b *bijection) pairText(recorded, live string) string {
	rids, lids := idPattern.FindAllString(recorded, -1), idPattern.FindAllString(live, -1)
	if mask(recorded) != mask(live) || len(rids) != len(lids) {
		return fmt.Sprintf("recorded %q, emulated %q", recorded, live)
	}
	for i := range rids {
		if err := b.pair(spaceOf(rids[i]), rids[i], lids[i]); err != nil {
			return err.Error()
		}
	}
	return ""
}

// mask replaces ids by their namespace, and puts renderings of resources into one
// order.
func mask(s string) string {
	s = idPattern.ReplaceAllStringFunc(s, func(id string) string { return "<" + spaceOf(id) + ">" })
	return sortRenderings(s)
}

// rendering finds resources as Mesos prints them: "cpus(allocated: a):0.5; mem:1".
var rendering = regexp.MustCompile(`[a-z]\w*(?:\([^;]*?\))*(?:\{\w+\})*(?:\[[^\]]*\])?:(?:\[[\d, -]*\]|-?[\d.]+(?:e[+-]?\d+)?)(?:; [a-z]\w*(?:\([^;]*?\))*(?:\{\w+\})*(?:\[[^\]]*\])?:(?:\[[\d, -]*\]|-?[\d.]+(?:e[+-]?\d+)?))+`)

// sortRenderings orders the items of renderings of resources: their order is
// internal to a master.
func sortRenderings(s string) string {
	return rendering.ReplaceAllStringFunc(s, func(list string) string {
		return strings.Join(sorted(strings.Split(list, "; ")), "; ")
	})
}
