package learn

import (
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"praefect/proxy/gitalypb"
	"praefect/proxy/method"
)

// schema is what a node says of its services. It is read as descriptors without the checks and
// links of a compiler: a file that another version of the library finds faulty says all the same
// what has to be known.
type schema struct {
	files    map[string]bool
	messages map[string]*descriptorpb.DescriptorProto
	services []service
}

type service struct {
	name       string
	descriptor *descriptorpb.ServiceDescriptorProto
}

func newSchema() *schema {
	return &schema{
		files: map[string]bool{}, messages: map[string]*descriptorpb.DescriptorProto{},
	}
}

// want tells whether a file is worth asking for, once. Those of the library itself have no fields
// that could be marked.
func (s *schema) want(file string) bool {
	if s.files[file] || strings.HasPrefix(file, "google/protobuf/") {
		return false
	}
	s.files[file] = true
	return true
}

// add adds a file.
func (s *schema) add(file *descriptorpb.FileDescriptorProto) {
	s.files[file.GetName()] = true
	prefix := ""
	if file.GetPackage() != "" {
		prefix = "." + file.GetPackage()
	}
	s.addMessages(prefix, file.GetMessageType())
	for _, descriptor := range file.GetService() {
		name := strings.TrimPrefix(prefix+"."+descriptor.GetName(), ".")
		s.services = append(s.services, service{name: name, descriptor: descriptor})
	}
}

func (s *schema) addMessages(prefix string, messages []*descriptorpb.DescriptorProto) {
	for _, message := range messages {
		name := prefix + "." + message.GetName()
		s.messages[name] = message
		s.addMessages(name, message.GetNestedType())
	}
}

// methods returns the methods that can be carried and are not in the table.
func (s *schema) methods(builtin *method.Table, log *zap.Logger) map[string]*method.Method {
	found := map[string]*method.Method{}
	for _, service := range s.services {
		for _, descriptor := range service.descriptor.GetMethod() {
			name := "/" + service.name + "/" + descriptor.GetName()
			if _, known := builtin.Lookup(name); known {
				continue
			}
			m, err := s.method(name, descriptor)
			switch {
			case errors.Is(err, errUnclassified):
				// A service that proxies answer themselves.
			case err != nil:
				log.Warn("method of node cannot be carried",
					zap.String("method", name), zap.Error(err))
			default:
				found[name] = m
			}
		}
	}
	return found
}

// method reads a method.
func (s *schema) method(
	name string, descriptor *descriptorpb.MethodDescriptorProto,
) (*method.Method, error) {
	if !proto.HasExtension(descriptor.GetOptions(), gitalypb.E_OpType) {
		return nil, errUnclassified
	}
	class, ok := proto.GetExtension(
		descriptor.GetOptions(), gitalypb.E_OpType).(*gitalypb.OperationMsg)
	if !ok {
		return nil, errUnclassified
	}
	m := &method.Method{
		Name:         name,
		ClientStream: descriptor.GetClientStreaming(),
		ServerStream: descriptor.GetServerStreaming(),
	}
	if err := classify(m, class); err != nil {
		return nil, err
	}
	if err := s.mark(m, descriptor.GetInputType()); err != nil {
		return nil, err
	}
	if len(m.Additional) > 0 && m.Operation != method.Mutator {
		return nil, errAdditional
	}
	assume(m)
	return m, nil
}

// classify reads operation and scope.
func classify(m *method.Method, class *gitalypb.OperationMsg) error {
	switch class.GetOp() {
	case gitalypb.OperationMsg_MUTATOR:
		m.Operation = method.Mutator
	case gitalypb.OperationMsg_ACCESSOR:
		m.Operation = method.Accessor
	case gitalypb.OperationMsg_MAINTENANCE:
		m.Operation = method.Maintenance
	case gitalypb.OperationMsg_UNKNOWN:
	}
	switch class.GetScopeLevel() {
	case gitalypb.OperationMsg_REPOSITORY:
		m.Scope = method.ScopeRepository
	case gitalypb.OperationMsg_STORAGE:
		m.Scope = method.ScopeStorage
	case gitalypb.OperationMsg_PARTITION:
		m.Scope = method.ScopePartition
	}
	if m.Operation == method.OperationNone || m.Scope == method.ScopeNone {
		return fmt.Errorf("%w: operation %d, scope %d",
			errUnclassified, class.GetOp(), class.GetScopeLevel())
	}
	return nil
}

// mark finds the fields that say what a call is for.
func (s *schema) mark(m *method.Method, input string) error {
	repository := m.Scope == method.ScopeRepository
	for _, wanted := range []struct {
		option   protoreflect.ExtensionType
		path     *method.Path
		required bool
	}{
		{gitalypb.E_TargetRepository, &m.Target, repository},
		{gitalypb.E_AdditionalRepository, &m.Additional, false},
		{gitalypb.E_Storage, &m.Storage, m.Scope == method.ScopeStorage},
		{gitalypb.E_PartitionId, &m.Partition, false},
	} {
		path, err := s.find(input, wanted.option)
		if errors.Is(err, errNoField) && !wanted.required {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", wanted.option.TypeDescriptor().FullName(), err)
		}
		*wanted.path = path
	}
	return nil
}

// assume fills in what no option tells, so that the least can go wrong.
func assume(m *method.Method) {
	unary := !m.ClientStream && !m.ServerStream
	m.Sidechannel = unary && m.Operation == method.Accessor
	if m.Operation != method.Mutator || m.Scope != method.ScopeRepository {
		return
	}
	m.Transactional, m.Verify, m.Kind = true, true, method.KindObjects
	m.Turn = method.TurnAtPrepared
	if !m.ClientStream {
		m.Turn = method.TurnBeforeDispatch
	}
}
