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

// Package codec is the wire format of the emulated master: messages as JSON the
// way a Mesos master reads and writes them, and RecordIO frames. It works on
// the generated mesos-go structs through their protobuf tags, because the JSON
// code generated with them neither checks required fields nor words its errors
// as a master does.
package codec

import (
	"fmt"
	"maps"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/gogo/protobuf/proto"
)

// field is what one protobuf tag says of one struct field.
type field struct {
	name     string
	number   int
	index    int
	required bool
	repeated bool
	always   bool   // written even while empty
	unset    []byte // the JSON of its default, nil if there is none
	enum     map[string]int32
	enumName map[int32]string
}

// plan is the list of fields of one message, in declaration order and by name.
type plan struct {
	fields   []*field
	byNumber []*field
	byName   map[string]*field
}

// newerNames are enum values of Mesos 1.11 and later that the generated types
// lack.
var newerNames = map[string]map[int32]string{
	"mesos.MasterInfo_Capability_Type": {3: "QUOTA_V2"},
	"mesos.executor.Event_Type":        {9: "HEARTBEAT"},
	"mesos.executor.Call_Type":         {4: "HEARTBEAT"},
}

var plans sync.Map // reflect.Type -> *plan

// planOf returns the plan of a message struct type. Besides the protobuf tags it
// knows one of its own: `mesos:"always"` marks lists to be written even while
// they are empty, `mesos:"name,json"` a field that only the JSON form has.
func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	p := &plan{byName: map[string]*field{}}
	for i := range t.NumField() {
		f, ok := parseTag(t.Field(i).Tag.Get("protobuf"))
		ours := t.Field(i).Tag.Get("mesos")
		if name, json := strings.CutSuffix(ours, ",json"); json {
			f, ok = &field{name: name}, true
		}
		if !ok {
			continue
		}
		f.always = ours == "always"
		f.unset = defaultJSON(f, t.Field(i))
		f.index = i
		p.fields = append(p.fields, f)
		p.byName[f.name] = f
	}
	p.byNumber = append(p.byNumber, p.fields...)
	sort.Slice(p.byNumber, func(i, j int) bool { return p.byNumber[i].number < p.byNumber[j].number })
	stored, _ := plans.LoadOrStore(t, p)
	return stored.(*plan)
}

// parseTag reads "bytes,1,req,name=task_id,json=taskId,enum=mesos.X".
func parseTag(tag string) (*field, bool) {
	parts := strings.Split(tag, ",")
	if len(parts) < 3 {
		return nil, false
	}
	number, err := strconv.Atoi(parts[1])
	if err != nil {
		return nil, false
	}
	f := &field{number: number, required: parts[2] == "req", repeated: parts[2] == "rep"}
	for _, p := range parts[3:] {
		switch {
		case strings.HasPrefix(p, "name="):
			f.name = p[len("name="):]
		case strings.HasPrefix(p, "enum="):
			f.enum = proto.EnumValueMap(p[len("enum="):])
			f.enumName = make(map[int32]string, len(f.enum))
			for k, v := range f.enum {
				f.enumName[v] = k
			}
			if newer := newerNames[p[len("enum="):]]; len(newer) > 0 {
				f.enum = maps.Clone(f.enum) // the registry's own otherwise
				for v, k := range newer {
					f.enumName[v], f.enum[k] = k, v
				}
			}
		}
	}
	return f, f.name != ""
}

// defaultJSON is what stands for an unset field with an explicit default: Mesos
// writes it, unless the field is deprecated, which of those with defaults are
// FrameworkInfo.role and Resource.role (stout protobuf.hpp, JSON::Protobuf).
func defaultJSON(f *field, in reflect.StructField) []byte {
	_, def, ok := strings.Cut(in.Tag.Get("protobuf"), ",def=")
	if !ok || f.name == "role" || in.Type.Kind() != reflect.Pointer {
		return nil
	}
	v := reflect.New(in.Type.Elem()).Elem()
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(def == "1")
	case reflect.String:
		v.SetString(def)
	case reflect.Float32, reflect.Float64:
		if x, err := strconv.ParseFloat(def, 64); err == nil {
			v.SetFloat(x)
		}
	default:
		x, err := strconv.ParseInt(def, 10, 32)
		if err != nil {
			return nil
		}
		v = reflect.ValueOf(x).Convert(v.Type())
	}
	return appendValue(nil, f, v)
}

// structOf dereferences a message down to its struct value.
func structOf(v any) (reflect.Value, error) {
	rv := reflect.ValueOf(v)
	for rv.Kind() == reflect.Pointer {
		if rv.IsNil() {
			return reflect.Value{}, fmt.Errorf("codec: nil message %T", v)
		}
		rv = rv.Elem()
	}
	if rv.Kind() != reflect.Struct {
		return reflect.Value{}, fmt.Errorf("codec: %T is not a message", v)
	}
	return rv, nil
}

// isSet tells whether a field carries a value. A plain (not pointer) optional
// field of value zero counts as unset: the generated types hold optional enums
// that way, and the zero of each of them means "unknown".
func isSet(f *field, v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return !v.IsNil()
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 && !f.repeated {
			return !v.IsNil()
		}
		return v.Len() > 0
	case reflect.Map:
		return v.Len() > 0
	case reflect.Struct:
		return true
	default:
		return f.required || !v.IsZero()
	}
}
