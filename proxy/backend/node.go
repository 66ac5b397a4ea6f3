package backend

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	"praefect/proxy/backchannel"
	"praefect/proxy/gitalypb"
)

// Node is one storage of a virtual storage and how it is reached. Several
// storages may share an address; each has connections of its own, so that
// whoever votes can be told from the others.
type Node struct {
	VirtualStorage string
	Storage        string
	// Address is understood by [ParseAddress].
	Address string
	// Token authenticates our calls. It may be empty.
	Token string
}

// String returns the node's name. It does not show the token.
func (n Node) String() string { return n.VirtualStorage + "/" + n.Storage }

// MarshalLogObject implements zapcore.ObjectMarshaler. It leaves the token out.
func (n Node) MarshalLogObject(encoder zapcore.ObjectEncoder) error {
	encoder.AddString("virtual_storage", n.VirtualStorage)
	encoder.AddString("storage", n.Storage)
	encoder.AddString("address", n.Address)
	return nil
}

// name is what a node is found by.
type name struct {
	virtualStorage, storage string
}

func (n Node) name() name { return name{n.VirtualStorage, n.Storage} }

// backend is the two connections to one node.
type backend struct {
	node Node
	mux  *backchannel.Client
	// conn is multiplexed; plain is not, and spends nothing on what reads do
	// not need.
	conn, plain *grpc.ClientConn
	// breaks counts multiplexed connections that broke after the node had
	// answered.
	breaks atomic.Uint64
	// made counts multiplexed connections on which the node has answered.
	made atomic.Uint64
}

func dial(node Node, deps Dependencies, log *zap.Logger, cfg Config) (*backend, error) {
	address, err := ParseAddress(node.Address)
	if err != nil {
		return nil, err
	}
	b := &backend{node: node}
	security := cfg.security(address)
	broken := b.broken(deps, log)
	services := backchannel.Services{
		Server:   voteServer(node, deps),
		Broken:   func(err error) { b.breaks.Add(1); broken(err) },
		Answered: func() { b.made.Add(1) },
	}
	if deps.Sidechannels != nil {
		services.Sidechannel = deps.Sidechannels.Accept
	}
	b.mux = backchannel.NewClient(security, services, log, cfg.Multiplexing)
	common := cfg.options(node, address)
	if deps.NodeOptions != nil {
		common = append(common, deps.NodeOptions(node)...)
	}
	options := append(slices.Clone(common), grpc.WithTransportCredentials(b.mux))
	b.conn, err = grpc.NewClient(address.Target, append(options, deps.DialOptions...)...)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	options = append(slices.Clone(common), grpc.WithTransportCredentials(
		backchannel.Plain(security, broken)))
	b.plain, err = grpc.NewClient(address.Target, append(options, deps.ReadOptions...)...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make client of reads: %w", err), b.conn.Close())
	}
	return b, nil
}

// broken returns what is told of a connection that breaks.
func (b *backend) broken(deps Dependencies, log *zap.Logger) func(error) {
	return func(err error) {
		log.Warn("connection to node broke", zap.Object("node", b.node), zap.Error(err))
		if deps.OnBroken != nil {
			deps.OnBroken(b.node)
		}
	}
}

// reading returns the connection for reads. It never makes a call wait for the
// plain connection, or fail without it.
func (b *backend) reading() *grpc.ClientConn {
	switch b.plain.GetState() {
	case connectivity.Ready:
		return b.plain
	case connectivity.Idle:
		b.plain.Connect()
	case connectivity.Connecting, connectivity.TransientFailure, connectivity.Shutdown:
	}
	return b.conn
}

// voteServer returns the factory of the servers that the node can call, one
// for each connection, or nil when nobody counts votes.
func voteServer(node Node, deps Dependencies) func() *grpc.Server {
	if deps.Votes == nil {
		return nil
	}
	votes := deps.Votes(node)
	return func() *grpc.Server {
		options := append([]grpc.ServerOption{grpc.WaitForHandlers(true)}, deps.VoteOptions...)
		server := grpc.NewServer(options...)
		gitalypb.RegisterRefTransactionServer(server, votes)
		return server
	}
}

// close ends the connections and waits for the handlers of votes.
func (b *backend) close() error {
	err := errors.Join(b.plain.Close(), b.conn.Close())
	_ = b.mux.Close() // returns nil
	if err != nil {
		return fmt.Errorf("close connections to %s: %w", b.node, err)
	}
	return nil
}
