package method_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"praefect/proxy/gitalypb"
	"praefect/proxy/method"
)

// The descriptors classify methods by options. The table must say the same of each, and neither
// may have a method that the other lacks.
func TestDescriptors(t *testing.T) {
	t.Parallel()
	table := method.Builtin()
	seen := 0
	protoregistry.GlobalFiles.RangeFilesByPackage("gitaly",
		func(file protoreflect.FileDescriptor) bool {
			for i := range file.Services().Len() {
				service := file.Services().Get(i)
				for j := range service.Methods().Len() {
					seen++
					requireDescribed(t, table, service.Methods().Get(j))
				}
			}
			return true
		})
	require.Equal(t, table.Len(), seen)
}

func requireDescribed(
	t *testing.T, table *method.Table, descriptor protoreflect.MethodDescriptor,
) {
	t.Helper()
	name := "/" + string(descriptor.Parent().FullName()) + "/" + string(descriptor.Name())
	m, ok := table.Lookup(name)
	require.True(t, ok, name)
	require.Equal(t, descriptor.IsStreamingClient(), m.ClientStream, name)
	require.Equal(t, descriptor.IsStreamingServer(), m.ServerStream, name)

	intercepted, ok := proto.GetExtension(
		descriptor.Parent().Options(), gitalypb.E_Intercepted,
	).(bool)
	require.True(t, ok)
	if intercepted {
		require.False(t, proto.HasExtension(descriptor.Options(), gitalypb.E_OpType), name)
		require.Equal(t, method.OperationNone, m.Operation, name)
		return
	}
	class, ok := proto.GetExtension(
		descriptor.Options(), gitalypb.E_OpType,
	).(*gitalypb.OperationMsg)
	require.True(t, ok, name)
	require.Equal(t, operationOf(class.GetOp()), m.Operation, name)
	require.Equal(t, scopeOf(class.GetScopeLevel()), m.Scope, name)
	requirePaths(t, m, descriptor.Input())
}

func operationOf(op gitalypb.OperationMsg_Operation) method.Operation {
	return map[gitalypb.OperationMsg_Operation]method.Operation{
		gitalypb.OperationMsg_MUTATOR:     method.Mutator,
		gitalypb.OperationMsg_ACCESSOR:    method.Accessor,
		gitalypb.OperationMsg_MAINTENANCE: method.Maintenance,
	}[op]
}

func scopeOf(scope gitalypb.OperationMsg_Scope) method.Scope {
	return map[gitalypb.OperationMsg_Scope]method.Scope{
		gitalypb.OperationMsg_REPOSITORY: method.ScopeRepository,
		gitalypb.OperationMsg_STORAGE:    method.ScopeStorage,
		gitalypb.OperationMsg_PARTITION:  method.ScopePartition,
	}[scope]
}

// requirePaths compares the paths of the table with the fields that carry the options.
func requirePaths(t *testing.T, m *method.Method, input protoreflect.MessageDescriptor) {
	t.Helper()
	for _, tc := range []struct {
		option protoreflect.ExtensionType
		path   method.Path
	}{
		{gitalypb.E_TargetRepository, m.Target},
		{gitalypb.E_AdditionalRepository, m.Additional},
		{gitalypb.E_Storage, m.Storage},
		{gitalypb.E_PartitionId, m.Partition},
	} {
		found := annotated(input, tc.option, nil, nil)
		var want []method.Path
		if len(tc.path) > 0 {
			want = []method.Path{tc.path}
		}
		require.Empty(t, cmp.Diff(want, found), "%s: %s", m.Name,
			tc.option.TypeDescriptor().FullName())
	}
	if m.ReceivePack {
		require.Equal(t, protoreflect.BytesKind, input.Fields().ByNumber(2).Kind(), m.Name)
	}
	if len(m.Hint) > 0 {
		field := input.Fields().ByNumber(protoreflect.FieldNumber(m.Hint[0]))
		require.Equal(t, protoreflect.FullName("gitaly.Repository"), field.Message().FullName())
	}
}

// annotated returns the paths to all fields below message that carry the option. The path to an
// object pool goes on to the repository in it.
func annotated(
	message protoreflect.MessageDescriptor, option protoreflect.ExtensionType,
	prefix method.Path, above []protoreflect.FullName,
) []method.Path {
	for _, name := range above {
		if name == message.FullName() {
			return nil
		}
	}
	above = append(slices.Clip(above), message.FullName())
	var found []method.Path
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		path := append(slices.Clip(prefix), int32(field.Number()))
		marked, ok := proto.GetExtension(field.Options(), option).(bool)
		switch {
		case ok && marked && field.Message() != nil &&
			field.Message().FullName() == "gitaly.ObjectPool":
			found = append(found, append(path, 1))
		case ok && marked:
			found = append(found, path)
		case field.Message() != nil:
			found = append(found, annotated(field.Message(), option, path, above)...)
		}
	}
	return found
}
