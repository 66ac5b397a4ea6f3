package learn

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"praefect/proxy/method"
)

// TestBuiltinIsLearntAlike reads the descriptors of all methods that are known, as if they were
// not: what the options tell must be what the table says.
func TestBuiltinIsLearntAlike(t *testing.T) {
	t.Parallel()
	s := newSchema()
	protoregistry.GlobalFiles.RangeFilesByPackage("gitaly",
		func(file protoreflect.FileDescriptor) bool {
			s.add(protodesc.ToFileDescriptorProto(file))
			return true
		})
	learnt := s.methods(&method.Table{}, zap.NewNop())
	carried := 0
	for want := range method.Builtin().All() {
		got, known := learnt[want.Name]
		if want.Operation == method.OperationNone ||
			want.Scope == method.ScopeStorage && len(want.Storage) == 0 {
			require.False(t, known, want.Name)
			continue
		}
		carried++
		require.True(t, known, want.Name)
		require.Empty(t, cmp.Diff(described(want), described(got)), want.Name)
	}
	require.Len(t, learnt, carried)
	require.Greater(t, carried, 130)
}

// described returns what the options tell.
func described(m *method.Method) method.Method {
	return method.Method{
		Operation: m.Operation, Scope: m.Scope,
		ClientStream: m.ClientStream, ServerStream: m.ServerStream,
		Target: m.Target, Additional: m.Additional, Storage: m.Storage, Partition: m.Partition,
	}
}
