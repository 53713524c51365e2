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

package codec

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"sort"
	"strconv"
	"strings"
)

// ParseJSON parses a request body into a tree for UnmarshalTree. The error text
// is the one a master answers for anything that is not JSON.
func ParseJSON(body []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, errors.New("syntax error at line 1 near: ")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("syntax error at line 1 near: ")
	}
	return tree, nil
}

// Decode fills msg from a tree of ParseJSON by the rules of the master's own
// parser (stout's protobuf.hpp): unknown members are ignored, null means unset,
// an unknown name of an optional enum leaves it unset. It returns the paths of
// required fields that are missing; error texts are the master's.
func Decode(tree any, msg any) (missing []string, err error) {
	v, err := structOf(msg)
	if err != nil {
		return nil, err
	}
	obj, ok := tree.(map[string]any)
	if !ok {
		return nil, errors.New("Expecting a JSON object")
	}
	return decodeMessage(obj, v)
}

// Missing is the master's error for missing required fields, nil for none.
func Missing(paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	return errors.New("Missing required fields: " + strings.Join(paths, ", "))
}

// UnmarshalTree is Decode with missing fields as an error.
func UnmarshalTree(tree any, msg any) error {
	missing, err := Decode(tree, msg)
	if err != nil {
		return err
	}
	return Missing(missing)
}

// decodeMessage returns the paths of required fields that are missing, own ones
// first, then those of members in field order, as protobuf lists them.
func decodeMessage(obj map[string]any, v reflect.Value) ([]string, error) {
	p := planOf(v.Type())
	var own, nested []string
	for _, f := range p.byNumber {
		raw, ok := obj[f.name]
		if !ok || raw == nil {
			if f.required {
				own = append(own, f.name)
			}
			continue
		}
		sub, set, err := decodeField(f, raw, v.Field(f.index))
		if err != nil {
			return nil, err
		}
		if !set && f.required {
			own = append(own, f.name)
		}
		nested = append(nested, sub...)
	}
	return append(own, nested...), nil
}

func decodeField(f *field, raw any, dst reflect.Value) (missing []string, set bool, err error) {
	if dst.Kind() == reflect.Map {
		return decodeMap(f, raw, dst)
	}
	list, isList := raw.([]any)
	switch {
	case isList && !f.repeated:
		return nil, false, notExpecting("array", f)
	case !isList && !f.repeated:
		return decodeValue(f, raw, dst, f.name)
	case !isList:
		list = []any{raw}
	}
	for i, item := range list {
		elem := reflect.New(dst.Type().Elem()).Elem()
		sub, ok, err := decodeValue(f, item, elem, fmt.Sprintf("%s[%d]", f.name, i))
		if err != nil {
			return nil, false, err
		}
		missing = append(missing, sub...)
		if ok {
			dst.Set(reflect.Append(dst, elem))
		}
	}
	return missing, true, nil
}

func decodeMap(f *field, raw any, dst reflect.Value) (missing []string, set bool, err error) {
	obj, ok := raw.(map[string]any)
	if !ok {
		return nil, false, notExpecting(kindOf(raw), f)
	}
	dst.Set(reflect.MakeMapWithSize(dst.Type(), len(obj)))
	keys := make([]string, 0, len(obj))
	for k := range obj {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for i, k := range keys {
		elem := reflect.New(dst.Type().Elem()).Elem()
		sub, ok, err := decodeValue(f, obj[k], elem, fmt.Sprintf("%s[%d].value", f.name, i))
		if err != nil {
			return nil, false, err
		}
		missing = append(missing, sub...)
		if ok {
			dst.SetMapIndex(reflect.ValueOf(k).Convert(dst.Type().Key()), elem)
		}
	}
	return missing, true, nil
}

// decodeValue decodes one value that is not a list.
func decodeValue(f *field, raw any, dst reflect.Value, path string) (missing []string, set bool, err error) {
	if raw == nil {
		return nil, false, nil
	}
	target := dst
	if dst.Kind() == reflect.Pointer {
		target = reflect.New(dst.Type().Elem()).Elem()
	}
	switch x := raw.(type) {
	case map[string]any:
		if target.Kind() != reflect.Struct {
			return nil, false, notExpecting("object", f)
		}
		missing, err = decodeMessage(x, target)
		for i := range missing {
			missing[i] = path + "." + missing[i]
		}
		set = true
	case string:
		set, err = decodeString(f, x, target)
	case json.Number:
		set, err = decodeNumber(f, x, target)
	case bool:
		if target.Kind() != reflect.Bool {
			return nil, false, notExpecting("boolean", f)
		}
		target.SetBool(x)
		set = true
	default:
		err = notExpecting(kindOf(raw), f)
	}
	if err != nil || !set {
		return nil, false, err
	}
	if dst.Kind() == reflect.Pointer {
		p := reflect.New(dst.Type().Elem())
		p.Elem().Set(target)
		dst.Set(p)
	}
	return missing, true, nil
}

func decodeString(f *field, s string, dst reflect.Value) (bool, error) {
	switch dst.Kind() {
	case reflect.String:
		dst.SetString(s)
		return true, nil
	case reflect.Slice:
		b, err := decodeBase64(s)
		if err != nil {
			return false, fmt.Errorf("Failed to base64 decode bytes field '%s': %w", f.name, err)
		}
		dst.SetBytes(b)
		return true, nil
	case reflect.Int32:
		if f.enum == nil {
			break
		}
		n, ok := f.enum[s]
		if !ok && f.required {
			return false, fmt.Errorf("Failed to find enum for '%s'", s)
		}
		if ok {
			dst.SetInt(int64(n))
		}
		return ok, nil
	case reflect.Float32, reflect.Float64:
		switch s {
		case "Infinity":
			dst.SetFloat(math.Inf(1))
		case "-Infinity":
			dst.SetFloat(math.Inf(-1))
		case "NaN":
			dst.SetFloat(math.NaN())
		default:
			return decodeNumber(f, json.Number(s), dst)
		}
		return true, nil
	}
	if dst.CanInt() || dst.CanUint() {
		return decodeNumber(f, json.Number(s), dst)
	}
	return false, notExpecting("string", f)
}

func decodeNumber(f *field, n json.Number, dst reflect.Value) (bool, error) {
	x, err := n.Float64()
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return false, notExpecting("string", f)
	}
	switch {
	case dst.CanFloat():
		dst.SetFloat(x)
	case dst.CanInt() && f.enum == nil:
		i, err := n.Int64()
		if err != nil {
			i = int64(x)
		}
		dst.SetInt(i)
	case dst.CanUint():
		u, err := strconv.ParseUint(n.String(), 10, 64)
		if err != nil {
			u = uint64(max(x, 0))
		}
		dst.SetUint(u)
	default:
		return false, notExpecting("number", f)
	}
	return true, nil
}

// decodeBase64 accepts what stout's decoder accepts and names the first
// character it does not.
func decodeBase64(s string) ([]byte, error) {
	for _, r := range s {
		if strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\r\n", r) {
			continue
		}
		return nil, fmt.Errorf("Invalid character '%c'", r)
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		b, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	}
	return b, err
}

func kindOf(raw any) string {
	switch raw.(type) {
	case map[string]any:
		return "object"
	case []any:
		return "array"
	case string:
		return "string"
	case bool:
		return "boolean"
	default:
		return "number"
	}
}

func notExpecting(kind string, f *field) error {
	return fmt.Errorf("Not expecting a JSON %s for field '%s'", kind, f.name)
}
