package backend

import (
	"fmt"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"

	"praefect/proxy/backchannel"
	"praefect/proxy/gitalypb"
)

// Node is one storage of a virtual storage and how it is reached. Several
// storages may share an address; each has a connection of its own, so that
// whoever votes on it can be told from the others.
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

// backend is the connection to one node.
type backend struct {
	node Node
	mux  *backchannel.Client
	conn *grpc.ClientConn
	// breaks counts connections that broke after the node had answered.
	breaks atomic.Uint64
}

func dial(node Node, deps Dependencies, log *zap.Logger, cfg Config) (*backend, error) {
	address, err := ParseAddress(node.Address)
	if err != nil {
		return nil, err
	}
	b := &backend{node: node}
	services := backchannel.Services{
		Server: voteServer(node, deps),
		Broken: func(err error) {
			b.breaks.Add(1)
			log.Warn("connection to node broke", zap.Object("node", node), zap.Error(err))
			if deps.OnBroken != nil {
				deps.OnBroken(node)
			}
		},
	}
	if deps.Sidechannels != nil {
		services.Sidechannel = deps.Sidechannels.Accept
	}
	b.mux = backchannel.NewClient(cfg.security(address), services, log, cfg.Multiplexing)
	options := append(cfg.options(node, address), grpc.WithTransportCredentials(b.mux))
	b.conn, err = grpc.NewClient(address.Target, append(options, deps.DialOptions...)...)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	return b, nil
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

// close ends the connection and waits for the handlers of votes on it.
func (b *backend) close() error {
	err := b.conn.Close()
	_ = b.mux.Close() // returns nil
	if err != nil {
		return fmt.Errorf("close connection to %s: %w", b.node, err)
	}
	return nil
}
