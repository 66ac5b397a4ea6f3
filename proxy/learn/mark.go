package learn

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"praefect/proxy/gitalypb"
	"praefect/proxy/method"
)

const (
	// depthMax is how many messages may lie around a marked field. Package wire follows no path
	// that is longer.
	depthMax = 3
	// fieldsMax bounds the fields that are looked at for one option of one method.
	fieldsMax = 10_000
	// repositoryType is the message of a repository.
	repositoryType = ".gitaly.Repository"
)

// walk looks for the fields with one option.
type walk struct {
	schema *schema
	option protoreflect.ExtensionType
	seen   int
	found  []method.Path
	listed bool
	// last is the field at the end of the path that was found last.
	last *descriptorpb.FieldDescriptorProto
}

// find returns the path to the one field below a message that carries an option. The path to a
// message around a repository, like an object pool, goes on to that.
func (s *schema) find(input string, option protoreflect.ExtensionType) (method.Path, error) {
	w := &walk{schema: s, option: option}
	w.message(input, nil, nil)
	switch {
	case w.seen > fieldsMax:
		return nil, errTooLarge
	case w.listed:
		return nil, errListed
	case len(w.found) == 0:
		return nil, errNoField
	case len(w.found) > 1:
		return nil, fmt.Errorf("%w: %v", errManyFields, w.found)
	}
	return w.complete(w.found[0])
}

// message looks at the fields of a message and of those in it. above are the messages around it.
func (w *walk) message(name string, path method.Path, above []string) {
	message, known := w.schema.messages[name]
	if !known || len(path) > depthMax || slices.Contains(above, name) {
		return
	}
	above = append(slices.Clip(above), name)
	for _, field := range message.GetField() {
		if w.seen++; w.seen > fieldsMax {
			return
		}
		found := len(w.found)
		at := append(slices.Clip(path), field.GetNumber())
		if marked(field, w.option) {
			w.found, w.last = append(w.found, at), field
		} else if field.GetTypeName() != "" {
			w.message(field.GetTypeName(), at, above)
		}
		repeated := field.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REPEATED
		w.listed = w.listed || repeated && len(w.found) > found
	}
}

func marked(
	field *descriptorpb.FieldDescriptorProto, option protoreflect.ExtensionType,
) bool {
	value, ok := proto.GetExtension(field.GetOptions(), option).(bool)
	return ok && value
}

// complete checks that the field has the type that the option is for.
func (w *walk) complete(path method.Path) (method.Path, error) {
	switch w.option {
	case gitalypb.E_PartitionId:
		return path, nil
	case gitalypb.E_Storage:
		if w.last.GetType() != descriptorpb.FieldDescriptorProto_TYPE_STRING {
			return nil, errType
		}
		return path, nil
	}
	if w.last.GetTypeName() == repositoryType {
		return path, nil
	}
	for _, field := range w.schema.messages[w.last.GetTypeName()].GetField() {
		if marked(field, gitalypb.E_Repository) && field.GetTypeName() == repositoryType {
			return append(path, field.GetNumber()), nil
		}
	}
	return nil, errType
}
