package proxy_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/proxy/gitalypb"
)

// TestLine reads the line of each kind of call: what it was for, which way it went and how it
// ended, under the id that nodes are told too.
//
// Requirements: T197
func TestLine(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.InfoLevel)
	c := newCluster(t, func(s *settings) { s.log = zap.New(core) })
	c.onAll(refExists, answerRefExists)
	c.onAll(repoSize, func(*visit) error { return status.Error(codes.NotFound, "no such thing") })
	c.onAll(createBranch, change("v"))
	ctx := metadata.AppendToOutgoingContext(t.Context(),
		"x-gitlab-correlation-id", "abc", "username", "jane")

	var trailer metadata.MD
	_, err := c.refExists(ctx, grpc.Trailer(&trailer))
	require.NoError(t, err)
	storage := trailer.Get("storage")[0]
	_, err = gitalypb.NewRepositoryServiceClient(c.client).RepositorySize(
		ctx, &gitalypb.RepositorySizeRequest{Repository: target()})
	require.Equal(t, codes.NotFound, status.Code(err))
	_, err = gitalypb.NewOperationServiceClient(c.client).UserCreateBranch(
		ctx, &gitalypb.UserCreateBranchRequest{Repository: target()})
	require.NoError(t, err)

	require.Equal(t, []string{"abc"}, c.nodes[0].metadata()["x-gitlab-correlation-id"])
	about := map[string]any{
		"virtual_storage": virtualStorage, "relative_path": target().GetRelativePath(),
		"correlation_id": "abc", "username": "jane", "grpc.code": "OK",
	}
	for name, want := range map[string]map[string]any{
		refExists:    {"storage": storage, "grpc.meta.method_type": "unary"},
		repoSize:     {"storage": "node-1", "grpc.code": "NotFound", "error": "no such thing"},
		createBranch: {"primary": "node-1", "outcome": "recorded"},
	} {
		for key, value := range about {
			if _, other := want[key]; !other {
				want[key] = value
			}
		}
		lines := logs.Filter(func(line observer.LoggedEntry) bool {
			return strings.HasPrefix(line.Message, "finished streaming call with code ")
		}).FilterField(zap.String("grpc.request.fullMethod", name)).All()
		require.Len(t, lines, 1, name)
		fields := lines[0].ContextMap()
		for key, value := range want {
			assert.Equal(t, value, fields[key], "%s: %s", name, key)
		}
		assert.Contains(t, fields, "grpc.time_ms", name)
		assert.Equal(t, "praefect.StreamServerInterceptor", lines[0].LoggerName)
		assert.Positive(t, fields["grpc.request.payload_bytes"], name)
		assert.Equal(t, "repository", fields["grpc.meta.method_scope"], name)
	}
}
