package proxy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"praefect/proxy/method"
	"praefect/proxy/wire"
)

// inField says in which field of a method's first message an error was found: the one that was
// looked for, or one below it that is malformed.
func inField(m *method.Method, path method.Path, err error) error {
	var syntax *wire.SyntaxError
	if errors.As(err, &syntax) && len(syntax.Path) > len(path) {
		path = syntax.Path
	}
	return fmt.Errorf("field %q: %w", fieldName(m.Name, path), err)
}

// fieldName is the name of a field as clients know it: "object_pool.repository". Of methods without
// a description here it has numbers.
func fieldName(name string, path method.Path) string {
	fields := fieldsOf(name)
	names := make([]string, 0, len(path))
	for _, number := range path {
		var field protoreflect.FieldDescriptor
		if fields != nil {
			field = fields.ByNumber(protoreflect.FieldNumber(number))
		}
		if field == nil {
			names, fields = append(names, strconv.Itoa(int(number))), nil
			continue
		}
		names, fields = append(names, string(field.Name())), nil
		if message := field.Message(); message != nil {
			fields = message.Fields()
		}
	}
	return strings.Join(names, ".")
}

// fieldsOf describes the first message of a method, if that is known.
func fieldsOf(name string) protoreflect.FieldDescriptors {
	full := strings.ReplaceAll(strings.TrimPrefix(name, "/"), "/", ".")
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(full))
	if err != nil {
		return nil
	}
	if described, ok := found.(protoreflect.MethodDescriptor); ok {
		return described.Input().Fields()
	}
	return nil
}
