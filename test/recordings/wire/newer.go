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

import "google.golang.org/protobuf/types/descriptorpb"

// extendMesos and extendScheduler add what v1 mesos.proto and scheduler.proto have
// gained since mesos-go's copies of them, as far as the scheduler API uses it. The
// numbers are those of Mesos' include/mesos/v1.
func extendMesos(file *descriptorpb.FileDescriptorProto) {
	quota := int32(3)
	name := "QUOTA_V2"
	capability := enumIn(messageIn(file.MessageType, "MasterInfo"), "Capability", "Type")
	capability.Value = append(capability.Value, &descriptorpb.EnumValueDescriptorProto{Name: &name, Number: &quota})
}

func extendScheduler(file *descriptorpb.FileDescriptorProto) {
	const prefix = ".mesos.scheduler."
	file.MessageType = append(file.MessageType,
		message("AttributeConstraint",
			required(1, "selector", prefix+"AttributeConstraint.Selector"),
			required(2, "predicate", prefix+"AttributeConstraint.Predicate")),
		message("OfferConstraints", entries(1, "role_constraints", prefix+"OfferConstraints.RoleConstraintsEntry")))
	offers := messageIn(file.MessageType, "OfferConstraints")
	offers.NestedType = append(offers.NestedType,
		message("RoleConstraints", entries(1, "groups", prefix+"OfferConstraints.RoleConstraints.Group")),
		mapEntry("RoleConstraintsEntry", prefix+"OfferConstraints.RoleConstraints"))
	role := messageIn(offers.NestedType, "RoleConstraints")
	role.NestedType = append(role.NestedType, message("Group", entries(1, "attribute_constraints", prefix+"AttributeConstraint")))

	constraint := messageIn(file.MessageType, "AttributeConstraint")
	constraint.NestedType = append(constraint.NestedType,
		message("Selector", enumField(1, "pseudoattribute_type", prefix+"AttributeConstraint.Selector.PseudoattributeType"), text(2, "attribute_name")),
		message("Predicate",
			single(1, "exists", prefix+"AttributeConstraint.Predicate.Exists"),
			single(2, "not_exists", prefix+"AttributeConstraint.Predicate.NotExists"),
			single(3, "text_equals", prefix+"AttributeConstraint.Predicate.TextEquals"),
			single(4, "text_not_equals", prefix+"AttributeConstraint.Predicate.TextNotEquals"),
			single(5, "text_matches", prefix+"AttributeConstraint.Predicate.TextMatches"),
			single(6, "text_not_matches", prefix+"AttributeConstraint.Predicate.TextNotMatches")))
	selector := messageIn(constraint.NestedType, "Selector")
	selector.EnumType = append(selector.EnumType, enum("PseudoattributeType", "UNKNOWN", "HOSTNAME", "REGION", "ZONE"))
	predicate := messageIn(constraint.NestedType, "Predicate")
	predicate.NestedType = append(predicate.NestedType,
		message("Exists"), message("NotExists"),
		message("TextEquals", text(1, "value")), message("TextNotEquals", text(1, "value")),
		message("TextMatches", text(1, "regex")), message("TextNotMatches", text(1, "regex")))

	call := messageIn(file.MessageType, "Call")
	for _, name := range []string{"Subscribe", "UpdateFramework"} {
		m := messageIn(call.NestedType, name)
		m.Field = append(m.Field, single(3, "offer_constraints", prefix+"OfferConstraints"))
	}
}

func messageIn(list []*descriptorpb.DescriptorProto, name string) *descriptorpb.DescriptorProto {
	for _, m := range list {
		if m.GetName() == name {
			return m
		}
	}
	panic("mesos-go has no message " + name) // its version is fixed in go.mod
}

func enumIn(m *descriptorpb.DescriptorProto, nested, name string) *descriptorpb.EnumDescriptorProto {
	for _, e := range messageIn(m.NestedType, nested).EnumType {
		if e.GetName() == name {
			return e
		}
	}
	panic("mesos-go has no enum " + name)
}

func message(name string, fields ...*descriptorpb.FieldDescriptorProto) *descriptorpb.DescriptorProto {
	return &descriptorpb.DescriptorProto{Name: &name, Field: fields}
}

// mapEntry is the message that a map<string, of> consists of.
func mapEntry(name, of string) *descriptorpb.DescriptorProto {
	isEntry := true
	m := message(name, text(1, "key"), single(2, "value", of))
	m.Options = &descriptorpb.MessageOptions{MapEntry: &isEntry}
	return m
}

func enum(name string, values ...string) *descriptorpb.EnumDescriptorProto {
	e := &descriptorpb.EnumDescriptorProto{Name: &name}
	for i, value := range values {
		number := int32(i)
		e.Value = append(e.Value, &descriptorpb.EnumValueDescriptorProto{Name: &value, Number: &number})
	}
	return e
}

func field(number int32, name string, label descriptorpb.FieldDescriptorProto_Label, kind descriptorpb.FieldDescriptorProto_Type, of string) *descriptorpb.FieldDescriptorProto {
	f := &descriptorpb.FieldDescriptorProto{Name: &name, Number: &number, Label: &label, Type: &kind}
	if of != "" {
		f.TypeName = &of
	}
	return f
}

func text(number int32, name string) *descriptorpb.FieldDescriptorProto {
	return field(number, name, descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL, descriptorpb.FieldDescriptorProto_TYPE_STRING, "")
}

func single(number int32, name, of string) *descriptorpb.FieldDescriptorProto {
	return field(number, name, descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, of)
}

func required(number int32, name, of string) *descriptorpb.FieldDescriptorProto {
	return field(number, name, descriptorpb.FieldDescriptorProto_LABEL_REQUIRED, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, of)
}

func entries(number int32, name, of string) *descriptorpb.FieldDescriptorProto {
	return field(number, name, descriptorpb.FieldDescriptorProto_LABEL_REPEATED, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, of)
}

func enumField(number int32, name, of string) *descriptorpb.FieldDescriptorProto {
	return field(number, name, descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL, descriptorpb.FieldDescriptorProto_TYPE_ENUM, of)
}
