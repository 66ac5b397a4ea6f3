package proxy_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"praefect/proxy/backchannel"
	"praefect/proxy/gitalypb"
	"praefect/proxy/learn/learntest"
)

// script is what a node does with a call.
type script func(visit *visit) error

// visit is a call that has come to a node.
type visit struct {
	grpc.ServerStream
	node *node
	// tx is the transaction that the call takes part in; its id is 0 if it does not.
	tx struct {
		ID      uint64 `json:"id"`
		Node    string `json:"node"`
		Primary bool   `json:"primary"`
	}
}

// node is the server side of a node: real connections and votes, and scripts for methods.
type node struct {
	t       testing.TB
	storage string
	address string
	peers   *backchannel.Peers
	// kill ends the node as a crash would. It can be called repeatedly.
	kill       func()
	reflection learntest.Reflection

	mu      sync.Mutex
	scripts map[string]script
	calls   map[string]int
	seen    metadata.MD
}

// newNode serves a node until the test ends.
func newNode(t testing.TB, storage string) *node {
	t.Helper()
	n := &node{
		t: t, storage: storage, address: "127.0.0.1:0",
		scripts: map[string]script{}, calls: map[string]int{},
	}
	n.start()
	return n
}

// start starts the node, again at the same address if it was killed.
func (n *node) start() {
	n.t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(n.t.Context(), "tcp", n.address)
	require.NoError(n.t, err)
	n.address = listener.Addr().String()
	n.peers = backchannel.NewPeers(zap.NewNop())
	mux := backchannel.NewServer(
		insecure.NewCredentials(), n.peers, zap.NewNop(), backchannel.DefaultConfig())
	server := grpc.NewServer(append(mux.Options(), grpc.WaitForHandlers(true),
		grpc.UnknownServiceHandler(n.handle))...)
	reflectionpb.RegisterServerReflectionServer(server, &n.reflection)
	served := make(chan error, 1)
	go func() { served <- server.Serve(mux.Listener(listener)) }()
	n.kill = sync.OnceFunc(func() {
		server.Stop()
		<-served //nolint:errcheck // stopping is its only end
		_ = n.peers.Close()
	})
	n.t.Cleanup(n.kill)
}

// on sets what the node does when a method is called.
func (n *node) on(method string, do script) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.scripts[method] = do
}

// called tells how often a method was called.
func (n *node) called(method string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.calls[method]
}

// metadata returns what the last call came with.
func (n *node) metadata() metadata.MD {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.seen
}

func (n *node) handle(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	incoming, _ := metadata.FromIncomingContext(stream.Context())
	n.mu.Lock()
	n.calls[method]++
	n.seen = incoming
	do := n.scripts[method]
	n.mu.Unlock()
	v := &visit{ServerStream: stream, node: n}
	if header := incoming.Get("gitaly-reference-transaction"); len(header) > 0 {
		text, err := base64.StdEncoding.DecodeString(header[0])
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &v.tx); err != nil {
			return err
		}
	}
	if do == nil {
		return status.Errorf(codes.Unimplemented, "no script for %s", method)
	}
	return do(v)
}

// phases of votes, as on the wire.
const (
	prepared     = gitalypb.VoteTransactionRequest_PREPARED_PHASE
	committed    = gitalypb.VoteTransactionRequest_COMMITTED_PHASE
	synchronized = gitalypb.VoteTransactionRequest_SYNCHRONIZED_PHASE
	preparing    = gitalypb.VoteTransactionRequest_PREPARING_PHASE
)

// state is what a node is told.
type state = gitalypb.VoteTransactionResponse_TransactionState

const (
	commit = gitalypb.VoteTransactionResponse_COMMIT
	abort  = gitalypb.VoteTransactionResponse_ABORT
)

// vote casts a vote on the connection of the call. An error of the vote counts as an abort.
func (v *visit) vote(phase gitalypb.VoteTransactionRequest_Phase, what string) state {
	id, err := backchannel.PeerID(v.Context())
	if err != nil {
		return abort
	}
	conn, err := v.node.peers.Conn(id)
	if err != nil {
		return abort
	}
	hash := make([]byte, 20)
	copy(hash, what)
	response, err := gitalypb.NewRefTransactionClient(conn).VoteTransaction(
		context.WithoutCancel(v.Context()), &gitalypb.VoteTransactionRequest{
			TransactionId: v.tx.ID, Node: v.tx.Node,
			ReferenceUpdatesHash: hash, Phase: phase,
		})
	if err != nil {
		return abort
	}
	return response.GetState()
}

// stop tells that a hook has refused the change.
func (v *visit) stop() {
	id, err := backchannel.PeerID(v.Context())
	require.NoError(v.node.t, err)
	conn, err := v.node.peers.Conn(id)
	require.NoError(v.node.t, err)
	_, err = gitalypb.NewRefTransactionClient(conn).StopTransaction(
		context.WithoutCancel(v.Context()),
		&gitalypb.StopTransactionRequest{TransactionId: v.tx.ID})
	require.NoError(v.node.t, err)
}
