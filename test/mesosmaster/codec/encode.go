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
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"sort"
	"strconv"
	"strings"
)

// AppendJSON appends msg (a generated message or a pointer to one) as JSON the
// way a Mesos master writes it: protobuf field names, enums by name, bytes in
// base64, 64-bit integers as numbers, floats always with a fraction. Unset
// fields without an explicit default and empty lists are left out.
func AppendJSON(dst []byte, msg any) ([]byte, error) {
	v, err := structOf(msg)
	if err != nil {
		return dst, err
	}
	return appendMessage(dst, v), nil
}

// MarshalJSON is AppendJSON into a new slice.
func MarshalJSON(msg any) ([]byte, error) { return AppendJSON(nil, msg) }

func appendMessage(dst []byte, v reflect.Value) []byte {
	dst = append(dst, '{')
	first := true
	for _, f := range planOf(v.Type()).fields {
		fv := v.Field(f.index)
		set := f.always || isSet(f, fv)
		if !set && f.unset == nil {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, '"')
		dst = append(dst, f.name...)
		dst = append(dst, '"', ':')
		if !set {
			dst = append(dst, f.unset...)
			continue
		}
		dst = appendField(dst, f, fv)
	}
	return append(dst, '}')
}

func appendField(dst []byte, f *field, v reflect.Value) []byte {
	switch {
	case v.Kind() == reflect.Map:
		return appendMap(dst, f, v)
	case f.repeated:
		dst = append(dst, '[')
		for i := range v.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendValue(dst, f, v.Index(i))
		}
		return append(dst, ']')
	default:
		return appendValue(dst, f, v)
	}
}

func appendMap(dst []byte, f *field, v reflect.Value) []byte {
	keys := v.MapKeys()
	sort.Slice(keys, func(i, j int) bool { return keys[i].String() < keys[j].String() })
	dst = append(dst, '{')
	for i, k := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, k.String())
		dst = append(dst, ':')
		dst = appendValue(dst, f, v.MapIndex(k))
	}
	return append(dst, '}')
}

func appendValue(dst []byte, f *field, v reflect.Value) []byte {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Struct:
		return appendMessage(dst, v)
	case reflect.String:
		return appendString(dst, v.String())
	case reflect.Bool:
		return strconv.AppendBool(dst, v.Bool())
	case reflect.Int32, reflect.Int64:
		if f.enum != nil {
			return appendEnum(dst, f, int32(v.Int()))
		}
		return strconv.AppendInt(dst, v.Int(), 10)
	case reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(dst, v.Uint(), 10)
	case reflect.Float32, reflect.Float64:
		return appendFloat(dst, v.Float())
	case reflect.Slice:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, v.Bytes())
		return append(dst, '"')
	default:
		return append(dst, "null"...)
	}
}

func appendEnum(dst []byte, f *field, n int32) []byte {
	name, ok := f.enumName[n]
	if !ok {
		return strconv.AppendInt(dst, int64(n), 10)
	}
	dst = append(dst, '"')
	dst = append(dst, name...)
	return append(dst, '"')
}

// appendFloat writes 15 as 15.0, as the master's JSON does.
func appendFloat(dst []byte, x float64) []byte {
	if math.IsInf(x, 0) || math.IsNaN(x) {
		return appendString(dst, fmt.Sprint(x))
	}
	s := strconv.FormatFloat(x, 'g', 17, 64)
	if short := strconv.FormatFloat(x, 'f', -1, 64); len(short) < 24 {
		s = short
	}
	dst = append(dst, s...)
	if !strings.ContainsAny(s, ".e") {
		dst = append(dst, '.', '0')
	}
	return dst
}

// appendString quotes s; plain ASCII, the common case, takes no detour.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, err := json.Marshal(s)
			if err != nil {
				return strconv.AppendQuoteToASCII(dst, s)
			}
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// Text renders msg in protobuf's text format, fields by number, as Mesos puts
// messages into its error texts.
func Text(msg any) string {
	v, err := structOf(msg)
	if err != nil {
		return ""
	}
	var b strings.Builder
	writeText(&b, v, "")
	return b.String()
}

func writeText(b *strings.Builder, v reflect.Value, indent string) {
	for _, f := range planOf(v.Type()).byNumber {
		fv := v.Field(f.index)
		if !isSet(f, fv) || fv.Kind() == reflect.Map {
			continue
		}
		if !f.repeated {
			writeTextValue(b, f, fv, indent)
			continue
		}
		for i := range fv.Len() {
			writeTextValue(b, f, fv.Index(i), indent)
		}
	}
}

func writeTextValue(b *strings.Builder, f *field, v reflect.Value, indent string) {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch {
	case v.Kind() == reflect.Struct:
		fmt.Fprintf(b, "%s%s {\n", indent, f.name)
		writeText(b, v, indent+"  ")
		fmt.Fprintf(b, "%s}\n", indent)
	case f.enum != nil && v.CanInt():
		fmt.Fprintf(b, "%s%s: %s\n", indent, f.name, f.enumName[int32(v.Int())])
	case v.Kind() == reflect.String:
		fmt.Fprintf(b, "%s%s: %s\n", indent, f.name, strconv.Quote(v.String()))
	case v.Kind() == reflect.Slice:
		fmt.Fprintf(b, "%s%s: %s\n", indent, f.name, strconv.Quote(string(v.Bytes())))
	default:
		fmt.Fprintf(b, "%s%s: %v\n", indent, f.name, v.Interface())
	}
}
