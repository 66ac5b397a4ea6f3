package backend_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"praefect/proxy/backchannel"
	"praefect/proxy/backend"
	"praefect/proxy/gitalypb"
)

func TestPoolFindsNodes(t *testing.T) {
	t.Parallel()
	nodes := []backend.Node{
		{VirtualStorage: "default", Storage: "b", Address: "tcp://127.0.0.1:1"},
		{VirtualStorage: "default", Storage: "a", Address: "tcp://127.0.0.1:1"},
		{VirtualStorage: "other", Storage: "a", Address: "tcp://127.0.0.1:1"},
	}
	pool := dial(t, backend.Dependencies{}, nodes...)
	require.Empty(t, cmp.Diff(nodes, pool.Nodes()))
	seen := make(map[grpc.ClientConnInterface]bool)
	for _, node := range nodes {
		conn, ok := pool.Conn(node.VirtualStorage, node.Storage)
		require.True(t, ok)
		seen[conn] = true
	}
	require.Len(t, seen, len(nodes), "no connection is shared")
	_, ok := pool.Conn("other", "b")
	require.False(t, ok)
	require.ErrorIs(t, pool.Probe(t.Context(), backend.Node{}), backend.ErrUnknownNode)
	require.NoError(t, pool.Close())
}

func TestDialRefuses(t *testing.T) {
	t.Parallel()
	good := backend.Node{VirtualStorage: "default", Storage: "a", Address: "tcp://127.0.0.1:1"}
	bad := backend.Node{VirtualStorage: "default", Storage: "b", Address: "gitaly"}
	_, err := backend.Dial([]backend.Node{good, bad}, backend.Dependencies{}, zap.NewNop(),
		backend.DefaultConfig())
	require.EqualError(t, err, `dial default/b: invalid connection string: "gitaly"`)
	_, err = backend.Dial([]backend.Node{good, good}, backend.Dependencies{}, zap.NewNop(),
		backend.DefaultConfig())
	require.ErrorIs(t, err, backend.ErrDuplicateNode)
	_, err = backend.Dial(nil, backend.Dependencies{}, zap.NewNop(), backend.Config{})
	require.ErrorContains(t, err, "stream open timeout must be positive")
	cfg := backend.DefaultConfig()
	cfg.ConnectTimeout = 0
	require.EqualError(t, cfg.Validate(), "connect timeout must be positive but it was 0s")
}

// TestNodeHidesToken keeps the secret out of texts and logs.
func TestNodeHidesToken(t *testing.T) {
	t.Parallel()
	node := backend.Node{VirtualStorage: "v", Storage: "s", Address: "unix:/x", Token: "secret"}
	require.Equal(t, "v/s", fmt.Sprint(node))
	fields := zapcore.NewMapObjectEncoder()
	require.NoError(t, node.MarshalLogObject(fields))
	require.Equal(t, map[string]any{
		"virtual_storage": "v", "storage": "s", "address": "unix:/x",
	}, fields.Fields)
}

// TestMetadataTowardsNode looks at what a node sees of a call.
func TestMetadataTowardsNode(t *testing.T) {
	t.Parallel()
	seen := make(chan metadata.MD, 2)
	listener := listen(t)
	(&fakeNode{write: func(ctx context.Context) (*gitalypb.WriteRefResponse, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		seen <- md
		return nil, status.Error(codes.Unavailable, "try again")
	}}).start(t, listener)
	pool := dial(t, backend.Dependencies{}, node("a", listener))
	err := write(within(t), connTo(t, pool, "a"))
	require.Equal(t, codes.Unavailable, status.Code(err))
	md := receive(t, seen)
	require.Equal(t, []string{"application/grpc"}, md.Get("content-type"))
	require.Len(t, md.Get("authorization"), 1)
	require.True(t, strings.HasPrefix(md.Get("authorization")[0], "Bearer v2."))
	require.Empty(t, seen, "nothing is retried")
}

// TestMessageSizes sends more than a node takes, and gets more than we take.
func TestMessageSizes(t *testing.T) {
	t.Parallel()
	const limit = 4 << 20
	filler := protowire.AppendBytes(
		protowire.AppendTag(nil, 1000, protowire.BytesType), make([]byte, limit))
	listener := listen(t)
	(&fakeNode{write: func(context.Context) (*gitalypb.WriteRefResponse, error) {
		response := &gitalypb.WriteRefResponse{}
		response.ProtoReflect().SetUnknown(filler)
		return response, nil
	}}).start(t, listener)
	calls := 0
	pool := dial(t, backend.Dependencies{
		DialOptions: []grpc.DialOption{grpc.WithUnaryInterceptor(
			func(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn,
				invoke grpc.UnaryInvoker, options ...grpc.CallOption,
			) error {
				calls++
				return invoke(ctx, method, request, reply, conn, options...)
			})},
	}, node("a", listener))
	client := gitalypb.NewRepositoryServiceClient(connTo(t, pool, "a"))
	for _, request := range []*gitalypb.WriteRefRequest{{}, {Ref: make([]byte, limit)}} {
		_, err := client.WriteRef(within(t), request)
		require.Equal(t, codes.ResourceExhausted, status.Code(err))
		require.ErrorContains(t, err, "grpc: received message larger than max (")
		require.ErrorContains(t, err, " vs. 4194304)")
	}
	require.Equal(t, 2, calls, "dial options are added")
}

func TestUnixAddress(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "node.socket")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	require.NoError(t, err)
	(&fakeNode{}).start(t, listener)
	for _, address := range []string{"unix:" + path, "unix://" + path} {
		to := backend.Node{VirtualStorage: "default", Storage: "a", Address: address}
		pool := dial(t, backend.Dependencies{}, to)
		require.NoError(t, pool.Probe(within(t), to))
	}
}

// TestTLSWithoutALPN connects to a node that does not speak ALPN, and refuses
// one that nobody vouches for.
func TestTLSWithoutALPN(t *testing.T) {
	t.Parallel()
	certificate, authorities := certify(t)
	listener := listen(t)
	(&fakeNode{}).start(t, tls.NewListener(listener, &tls.Config{
		Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12,
	}))
	to := backend.Node{
		VirtualStorage: "default", Storage: "a", Address: "tls://" + listener.Addr().String(),
	}
	cfg := backend.DefaultConfig()
	cfg.RootCAs = authorities
	require.NoError(t, dialWith(t, backend.Dependencies{}, cfg, to).Probe(within(t), to))

	err := dial(t, backend.Dependencies{}, to).Probe(within(t), to)
	require.ErrorIs(t, err, backend.ErrUnreachable)
	require.ErrorContains(t, err, "certificate")
}

func certify(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	authorities := x509.NewCertPool()
	authorities.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, authorities
}

// TestPlainNodeIsUnreachable meets a server that knows no multiplexing: there
// is no falling back.
func TestPlainNodeIsUnreachable(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	server := grpc.NewServer()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-served)
	})
	broken := make(chan backend.Node, 1)
	pool := dial(t, backend.Dependencies{OnBroken: func(n backend.Node) { broken <- n }},
		node("a", listener))
	require.ErrorIs(t, pool.Probe(within(t), node("a", listener)), backend.ErrUnreachable)
	require.Empty(t, broken, "it never was a connection")
}

// TestCloseEndsVotes closes the pool while a vote waits.
func TestCloseEndsVotes(t *testing.T) {
	t.Parallel()
	waiting, returned := make(chan struct{}), make(chan struct{})
	listener := listen(t)
	n := &fakeNode{}
	n.write = func(ctx context.Context) (*gitalypb.WriteRefResponse, error) {
		id, err := backchannel.PeerID(ctx)
		if err != nil {
			return nil, err
		}
		back, err := n.peers.Conn(id)
		if err != nil {
			return nil, err
		}
		_, err = gitalypb.NewRefTransactionClient(back).VoteTransaction(
			ctx, &gitalypb.VoteTransactionRequest{})
		return &gitalypb.WriteRefResponse{}, err
	}
	n.start(t, listener)
	pool := dial(t, backend.Dependencies{
		Votes: func(backend.Node) gitalypb.RefTransactionServer {
			return votes{cast: func(ctx context.Context, _ string) error {
				close(waiting)
				<-ctx.Done()
				close(returned)
				return ctx.Err()
			}}
		},
	}, node("a", listener))
	answers := make(chan error, 1)
	ctx, conn := within(t), connTo(t, pool, "a")
	go func() { answers <- write(ctx, conn) }()
	receive(t, waiting)
	require.NoError(t, pool.Close())
	select {
	case <-returned:
	default:
		require.Fail(t, "closed before the vote's handler had returned")
	}
	require.Equal(t, codes.Canceled, status.Code(receive(t, answers)))
}

// votes answers votes with a function of the test.
type votes struct {
	gitalypb.UnimplementedRefTransactionServer
	cast func(ctx context.Context, storage string) error
}

// VoteTransaction implements gitalypb.RefTransactionServer.
func (v votes) VoteTransaction(
	ctx context.Context, request *gitalypb.VoteTransactionRequest,
) (*gitalypb.VoteTransactionResponse, error) {
	if err := v.cast(ctx, request.GetNode()); err != nil {
		return nil, err
	}
	return &gitalypb.VoteTransactionResponse{}, nil
}
