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

// Package wire turns the JSON that was recorded into the protobuf that the same
// master sends to who asks for it, and back. It works from the message descriptors
// alone, completed by what newer masters say: nothing is dropped that the JSON
// names, and an unknown name is an error.
package wire

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"path"
	"slices"
	"sync"

	mesosv1 "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// types are the messages of the scheduler API.
type types struct {
	call, event protoreflect.MessageDescriptor
}

var load = sync.OnceValues(build)

// Call reads a recorded call into a protobuf message.
func Call(json []byte) (*dynamicpb.Message, error) {
	t, err := load()
	if err != nil {
		return nil, err
	}
	return fromJSON(t.call, json)
}

// Event reads a recorded event into a protobuf message.
func Event(json []byte) (*dynamicpb.Message, error) {
	t, err := load()
	if err != nil {
		return nil, err
	}
	m, err := fromJSON(t.event, json)
	if err == nil {
		dropDefaults(m)
	}
	return m, err
}

// fromJSON is as strict as the recordings allow: every name must be known, but
// required fields may be missing, since calls without them were recorded, too.
func fromJSON(of protoreflect.MessageDescriptor, json []byte) (*dynamicpb.Message, error) {
	m := dynamicpb.NewMessage(of)
	if err := (protojson.UnmarshalOptions{AllowPartial: true}).Unmarshal(json, m); err != nil {
		return nil, fmt.Errorf("%s: %w", of.Name(), err)
	}
	return m, nil
}

// Marshal returns the bytes of a message, the fields in the order of their
// numbers, as a master sends them.
func Marshal(m *dynamicpb.Message) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true, AllowPartial: true}.Marshal(m)
}

// DecodeCall reads the bytes of a call. Fields that no scheduler API has are kept
// as unknown fields.
func DecodeCall(b []byte) (*dynamicpb.Message, error) {
	t, err := load()
	if err != nil {
		return nil, err
	}
	return decode(t.call, b)
}

// DecodeEvent reads the bytes of an event.
func DecodeEvent(b []byte) (*dynamicpb.Message, error) {
	t, err := load()
	if err != nil {
		return nil, err
	}
	return decode(t.event, b)
}

func decode(of protoreflect.MessageDescriptor, b []byte) (*dynamicpb.Message, error) {
	m := dynamicpb.NewMessage(of)
	if err := (proto.UnmarshalOptions{AllowPartial: true}).Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%s: %w", of.Name(), err)
	}
	return m, nil
}

// JSON returns a message as a master would write it: names as in the .proto files,
// defaults of fields that are not set.
func JSON(m *dynamicpb.Message) ([]byte, error) {
	full := proto.Clone(m)
	addDefaults(full.ProtoReflect())
	return jsonOf(full)
}

func jsonOf(m proto.Message) ([]byte, error) {
	return protojson.MarshalOptions{AllowPartial: true, UseProtoNames: true}.Marshal(m)
}

// Text returns the string at a path of fields, "" if one of them is absent.
func Text(m protoreflect.Message, path ...protoreflect.Name) string {
	for i, name := range path {
		field := m.Descriptor().Fields().ByName(name)
		if field == nil || !m.Has(field) {
			return ""
		}
		if i == len(path)-1 {
			return m.Get(field).String()
		}
		m = m.Get(field).Message()
	}
	return ""
}

// Bytes returns the bytes field of that name, nil if it is absent.
func Bytes(m protoreflect.Message, name protoreflect.Name) []byte {
	field := m.Descriptor().Fields().ByName(name)
	if field == nil || !m.Has(field) {
		return nil
	}
	return m.Get(field).Bytes()
}

// Enum returns the name of an enum field, "" if it is absent.
func Enum(m protoreflect.Message, name protoreflect.Name) string {
	field := m.Descriptor().Fields().ByName(name)
	if field == nil || !m.Has(field) {
		return ""
	}
	number := m.Get(field).Enum()
	if value := field.Enum().Values().ByNumber(number); value != nil {
		return string(value.Name())
	}
	return fmt.Sprint(number)
}

// Sub returns a message field, nil if it is absent.
func Sub(m protoreflect.Message, name protoreflect.Name) protoreflect.Message {
	field := m.Descriptor().Fields().ByName(name)
	if field == nil || !m.Has(field) {
		return nil
	}
	return m.Get(field).Message()
}

// List returns the messages of a repeated field.
func List(m protoreflect.Message, name protoreflect.Name) []protoreflect.Message {
	list := m.Get(m.Descriptor().Fields().ByName(name)).List()
	out := make([]protoreflect.Message, list.Len())
	for i := range out {
		out[i] = list.Get(i).Message()
	}
	return out
}

// build links the descriptors that mesos-go was generated with.
func build() (types, error) {
	files := &protoregistry.Files{}
	var last protoreflect.FileDescriptor
	for _, source := range []struct {
		zipped func() ([]byte, []int)
		extend func(*descriptorpb.FileDescriptorProto)
	}{
		{(&mesosv1.FrameworkID{}).Descriptor, extendMesos},
		{(&scheduler.Event{}).Descriptor, extendScheduler},
	} {
		zipped, _ := source.zipped()
		file, err := unzip(zipped)
		if err != nil {
			return types{}, err
		}
		source.extend(file)
		if last, err = protodesc.NewFile(file, files); err != nil {
			return types{}, err
		}
		if err := files.RegisterFile(last); err != nil {
			return types{}, err
		}
	}
	return types{call: last.Messages().ByName("Call"), event: last.Messages().ByName("Event")}, nil
}

// unzip reads a descriptor without the options of the Go code generator.
func unzip(zipped []byte) (*descriptorpb.FileDescriptorProto, error) {
	r, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	file := &descriptorpb.FileDescriptorProto{}
	if err := proto.Unmarshal(b, file); err != nil {
		return nil, err
	}
	// One file was generated under another path than the other imports.
	name := path.Base(file.GetName())
	file.Name, file.Options = &name, nil
	file.Dependency = slices.DeleteFunc(file.Dependency, func(name string) bool { return path.Base(name) == "gogo.proto" })
	for i, name := range file.Dependency {
		file.Dependency[i] = path.Base(name)
	}
	return file, nil
}
