package proxy_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"praefect/proxy"
	"praefect/proxy/auth"
	"praefect/proxy/gitalypb"
	"praefect/proxy/native"
	"praefect/proxy/replicate"
)

const (
	findRemote = "/gitaly.RemoteService/FindRemoteRepository"
	serverInfo = "/gitaly.ServerService/ServerInfo"
)

// clientMetadata is everything that clients are known to send, and some that they should not.
func clientMetadata() metadata.MD {
	return metadata.MD{
		"call_site":                               {"web"},
		"client_name":                             {"gitlab-web"},
		"deadline_type":                           {"regular"},
		"gitaly-client-context-bin":               {"\x00\xff binary"},
		"gitaly-feature-gpg-signing":              {"false"},
		"gitaly-feature-of-tomorrow":              {"true"},
		"gitaly-reference-transaction":            {"eyJpZCI6MX0="},
		"gitaly-route-repository-accessor-policy": {"primary-only"},
		"gitaly-servers":                          {"eyJvdGhlciI6e319"},
		"gitaly-sidechannel-id":                   {"7"},
		"grpc-previous-rpc-attempts":              {"1"},
		"relative-path-bin":                       {"group/\xfe.git"},
		"remote_ip":                               {"192.0.2.1"},
		"traceparent":                             {"00-0af7651916cd43dd-b7ad6b71-01"},
		"tracestate":                              {"a=b"},
		"twice":                                   {"one", "two"},
		"uber-trace-id":                           {"1:2:3:1"},
		"user_id":                                 {"7"},
		"username":                                {"jane"},
		"virtual_storage":                         {"mine"},
		"x-gitlab-client-name":                    {"gitlab-workhorse"},
		"x-gitlab-correlation-id":                 {"abc"},
		"x-unknown-to-everybody-so-far":           {"kept"},
		"x-unknown-to-everybody-so-far-2":         {""},
	}
}

// withServices lets the proxy answer its own calls as the product does.
func withServices(s *settings) {
	s.own = func(c *cluster) func(grpc.ServiceRegistrar) error {
		copier, err := replicate.New(c.pool)
		require.NoError(c.t, err)
		return native.New(native.Dependencies{
			Directory: c.coordinator, Router: c.coordinator, Nodes: c.pool, Disks: copier,
		}, zap.NewNop()).Register
	}
}

// TestMetadata compares what nodes see of what a client sends, for each kind of call, with a table.
// A new column or line is a decision: does a node need it, may it have it.
func TestMetadata(t *testing.T) {
	t.Parallel()
	c := newCluster(t, withServices)
	c.onAll(refExists, answerRefExists)
	c.onAll(createBranch, change("v"))
	c.onAll(optimize, func(v *visit) error {
		return v.SendMsg(&gitalypb.OptimizeRepositoryResponse{})
	})
	c.onAll(findRemote, func(v *visit) error {
		return v.SendMsg(&gitalypb.FindRemoteRepositoryResponse{})
	})
	c.onAll(serverInfo, func(v *visit) error {
		return v.SendMsg(&gitalypb.ServerInfoResponse{
			StorageStatuses: []*gitalypb.ServerInfoResponse_StorageStatus{
				{StorageName: v.node.storage},
			},
		})
	})
	columns := []string{"read", "write", "maintain", "storage", "own"}
	seen := map[string]metadata.MD{}
	for i, call := range []struct {
		name    string
		request any
	}{
		{refExists, &gitalypb.RefExistsRequest{Repository: target()}},
		{createBranch, &gitalypb.UserCreateBranchRequest{Repository: target()}},
		{optimize, &gitalypb.OptimizeRepositoryRequest{Repository: target()}},
		{findRemote, &gitalypb.FindRemoteRepositoryRequest{StorageName: virtualStorage}},
		{serverInfo, &gitalypb.ServerInfoRequest{}},
	} {
		ctx := metadata.NewOutgoingContext(t.Context(), clientMetadata())
		require.NoError(t, c.client.Invoke(ctx, call.name, call.request,
			&gitalypb.OptimizeRepositoryResponse{}), call.name)
		seen[columns[i]] = c.agreed(call.name)
	}
	want, err := os.ReadFile("testdata/metadata.txt")
	require.NoError(t, err)
	got := render(columns, seen)
	if string(want) != got && os.Getenv("PRAEFECT_GOLDEN") != "" {
		require.NoError(t, os.WriteFile("testdata/metadata.txt", []byte(got), 0o600))
	}
	require.Equal(t, string(want), got)
}

// agreed returns what the nodes that were called have seen, which must be the same on all.
func (c *cluster) agreed(method string) metadata.MD {
	c.t.Helper()
	var agreed metadata.MD
	for _, n := range c.nodes {
		if n.called(method) == 0 {
			continue
		}
		seen := n.metadata().Copy()
		c.requireOwnToken(seen)
		for _, key := range []string{
			"authorization", ":authority", "content-type", "user-agent", "grpc-accept-encoding",
		} {
			delete(seen, key)
		}
		for key, values := range seen {
			if key == "gitaly-reference-transaction" {
				require.NotEqual(c.t, clientMetadata()[key], values)
				seen[key] = []string{"(its own)"}
			}
		}
		if agreed != nil {
			require.Equal(c.t, agreed, seen, "all nodes of a call are told the same")
		}
		agreed = seen
	}
	require.NotNil(c.t, agreed, method)
	return agreed
}

// requireOwnToken asserts that a node was given its own token and not the client's.
func (c *cluster) requireOwnToken(seen metadata.MD) {
	c.t.Helper()
	require.Len(c.t, seen["authorization"], 1)
	ctx := metadata.NewIncomingContext(context.Background(), seen)
	for token, admits := range map[string]bool{"inner": true, secret: false} {
		verifier, err := auth.New(prometheus.NewRegistry(), auth.Config{Token: token})
		require.NoError(c.t, err)
		_, err = verifier.Unary(ctx, nil, &grpc.UnaryServerInfo{FullMethod: refExists},
			func(context.Context, any) (any, error) { return struct{}{}, nil })
		require.Equal(c.t, admits, err == nil, token)
	}
}

// render writes a table: "=" is what the client sent, "-" nothing.
func render(columns []string, seen map[string]metadata.MD) string {
	keys := map[string]bool{}
	for key := range clientMetadata() {
		keys[key] = true
	}
	for _, md := range seen {
		for key := range md {
			keys[key] = true
		}
	}
	var b strings.Builder
	b.WriteString("# What nodes are told, by kind of call. = is what the client sent, - nothing.\n")
	fmt.Fprintf(&b, "%-44s", "# key")
	for _, column := range columns {
		fmt.Fprintf(&b, " %-12s", column)
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		fmt.Fprintf(&b, "\n%-44s", key)
		for _, column := range columns {
			values := seen[column][key]
			shown := strings.Join(values, ",")
			switch {
			case values == nil:
				shown = "-"
			case slices.Equal(values, clientMetadata()[key]):
				shown = "="
			}
			fmt.Fprintf(&b, " %-12s", shown)
		}
	}
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

// TestMetadataComesBack passes headers and trailers of the node on, those of a failure too.
func TestMetadataComesBack(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	send := func(v *visit) {
		_ = v.SetHeader(metadata.Pairs("h", "1", "h", "2", "h-bin", "\x00\xff"))
		v.SetTrailer(metadata.Pairs("t", "1", "t", "2", "t-bin", "\xfe"))
	}
	c.onAll(refExists, func(v *visit) error { send(v); return answerRefExists(v) })
	c.onAll(createBranch, func(v *visit) error { send(v); return change("v")(v) })
	c.onAll(repoSize, func(v *visit) error { send(v); return errAborted })
	c.onAll(findRemote, func(v *visit) error {
		send(v)
		return v.SendMsg(&gitalypb.FindRemoteRepositoryResponse{})
	})
	for name, request := range map[string]any{
		refExists:    &gitalypb.RefExistsRequest{Repository: target()},
		createBranch: &gitalypb.UserCreateBranchRequest{Repository: target()},
		repoSize:     &gitalypb.RepositorySizeRequest{Repository: target()},
		findRemote:   &gitalypb.FindRemoteRepositoryRequest{StorageName: virtualStorage},
	} {
		var header, trailer metadata.MD
		err := c.client.Invoke(t.Context(), name, request, &gitalypb.RefExistsResponse{},
			grpc.Header(&header), grpc.Trailer(&trailer))
		require.Equal(t, name == repoSize, err != nil, name)
		require.Equal(t, []string{"1", "2"}, header["h"], name)
		require.Equal(t, []string{"\x00\xff"}, header["h-bin"], name)
		require.Equal(t, []string{"1", "2"}, trailer["t"], name)
		require.Equal(t, []string{"\xfe"}, trailer["t-bin"], name)
	}
}

// TestFeatures has an operator change a default, add a flag, and a client override both.
//
// Requirements: T008
func TestFeatures(t *testing.T) {
	t.Parallel()
	c := newCluster(t, func(s *settings) {
		s.proxy.Features = map[string]bool{"gpg_signing": false, "new_thing": true}
	})
	c.onAll(refExists, answerRefExists)
	for name, tc := range map[string]struct {
		sent      []string
		gpg, news string
	}{
		"configured": {gpg: "false", news: "true"},
		"overridden": {
			sent: []string{
				"gitaly-feature-gpg-signing", "true", "gitaly-feature-new-thing", "false",
			},
			gpg: "true", news: "false",
		},
	} {
		var trailer metadata.MD
		_, err := c.refExists(metadata.AppendToOutgoingContext(t.Context(), tc.sent...),
			grpc.Trailer(&trailer))
		require.NoError(t, err)
		seen := c.named(trailer.Get("storage")[0]).metadata()
		require.Equal(t, []string{tc.gpg}, seen["gitaly-feature-gpg-signing"], name)
		require.Equal(t, []string{tc.news}, seen["gitaly-feature-new-thing"], name)
		require.Equal(t, []string{"true"}, seen["gitaly-feature-mailmap-options"], name)
	}
	for _, bad := range []string{"", "gpg-signing", "GPG", "gpg signing"} {
		err := proxy.Config{Features: map[string]bool{bad: true}}.Validate()
		require.ErrorIs(t, err, proxy.ErrInvalidConfig, bad)
	}
}

// TestOwnCallsAreCorrelated gives calls to nodes an id that the client did not send.
func TestOwnCallsAreCorrelated(t *testing.T) {
	t.Parallel()
	c := newCluster(t, withServices)
	c.onAll(serverInfo, func(v *visit) error {
		return v.SendMsg(&gitalypb.ServerInfoResponse{})
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := gitalypb.NewServerServiceClient(c.client).ServerInfo(
		ctx, &gitalypb.ServerInfoRequest{})
	require.NoError(t, err)
	first := c.nodes[0].metadata()["x-gitlab-correlation-id"]
	require.Len(t, first, 1)
	require.NotEmpty(t, first[0])
	require.Equal(t, first, c.nodes[1].metadata()["x-gitlab-correlation-id"])
}
