package proxy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"praefect/proxy/method"
)

// TestStrangersAreBounded calls more methods that do not exist than there may be series.
func TestStrangersAreBounded(t *testing.T) {
	t.Parallel()
	s := newStrangers(method.Builtin())
	labels := map[string]struct{}{}
	count := s.counted(func(
		_ any, _ grpc.ServerStream, info *grpc.StreamServerInfo, _ grpc.StreamHandler,
	) error {
		labels[info.FullMethod] = struct{}{}
		return nil
	})
	called := func(name string) {
		t.Helper()
		info := &grpc.StreamServerInfo{FullMethod: name}
		require.NoError(t, count(nil, nil, info, nil))
		require.Equal(t, name, info.FullMethod, "others are told the real name")
	}
	called("/x/" + strings.Repeat("y", 1<<20))
	for i := range 3 * strangersMax {
		called(fmt.Sprint("/no.Such/Method", i))
	}
	called("/no.Such/Method0")
	require.Len(t, labels, strangersMax+1)
	require.Contains(t, labels, stranger)
	require.Contains(t, labels, "/no.Such/Method0")
	called(refExistsName)
	require.Contains(t, labels, refExistsName)
}
