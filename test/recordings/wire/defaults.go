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

package wire

import "google.golang.org/protobuf/reflect/protoreflect"

// A master writes into JSON an optional field that is not set but has a default, as
// the protocol of an IP address, unless the field is deprecated (stout
// protobuf.hpp, json()). In protobuf the field is absent. No JSON tells whether the
// field was set to its default: masters seldom do that.

// defaulted are the fields of a message to which that applies.
func defaulted(m protoreflect.Message) []protoreflect.FieldDescriptor {
	var out []protoreflect.FieldDescriptor
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.HasDefault() && f.Cardinality() == protoreflect.Optional && !deprecated(f) {
			out = append(out, f)
		}
	}
	return out
}

// deprecated tells of the two fields with a default that masters leave out.
func deprecated(f protoreflect.FieldDescriptor) bool {
	options, ok := f.Options().(interface{ GetDeprecated() bool })
	return ok && options.GetDeprecated()
}

// dropDefaults makes the message what it was before it became JSON.
func dropDefaults(m protoreflect.Message) {
	for _, f := range defaulted(m) {
		if m.Has(f) && m.Get(f).Equal(f.Default()) {
			m.Clear(f)
		}
	}
	each(m, dropDefaults)
}

// addDefaults prepares the message for JSON.
func addDefaults(m protoreflect.Message) {
	for _, f := range defaulted(m) {
		if !m.Has(f) {
			m.Set(f, f.Default())
		}
	}
	each(m, addDefaults)
}

// each visits the messages in a message.
func each(m protoreflect.Message, visit func(protoreflect.Message)) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			if f.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					visit(v.Message())
					return true
				})
			}
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				visit(v.List().Get(i).Message())
			}
		default:
			visit(v.Message())
		}
		return true
	})
}
