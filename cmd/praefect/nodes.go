package main

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"praefect/cmd/internal/configfile"
	"praefect/proxy/backend"
	"praefect/proxy/gitalypb"
)

// nodes are plain connections to all configured nodes.
type nodes struct {
	list  []backend.Node
	conns map[[2]string]*grpc.ClientConn
}

// dialNodesOf connects to every node with its first call.
func dialNodesOf(config *configfile.Loaded) (*nodes, error) {
	security, err := nodeSecurity(config)
	if err != nil {
		return nil, fmt.Errorf("dial nodes: %w", err)
	}
	n := &nodes{list: config.Nodes(), conns: map[[2]string]*grpc.ClientConn{}}
	for _, node := range n.list {
		conn, err := dialPlain(node.Address, node.Token, security)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("dial nodes: dial with %q gitaly at %q: %w",
				node.Storage, node.Address, err), n.close())
		}
		n.conns[[2]string{node.VirtualStorage, node.Storage}] = conn
	}

	return n, nil
}

// Nodes lists the nodes in the order of the configuration.
func (n *nodes) Nodes() []backend.Node { return n.list }

// Conn returns the connection to a node, if it is configured.
func (n *nodes) Conn(virtualStorage, storage string) (grpc.ClientConnInterface, bool) {
	conn, ok := n.conns[[2]string{virtualStorage, storage}]
	if !ok {
		return nil, false // A nil pointer in an interface would not be nil.
	}

	return conn, true
}

func (n *nodes) close() error {
	var errs []error
	for _, conn := range n.conns {
		errs = append(errs, conn.Close())
	}

	return errors.Join(errs...)
}

// exists asks a node whether it has a repository on its disk.
func (n *nodes) exists(
	ctx context.Context, virtualStorage, storage, path string,
) (bool, error) {
	conn, ok := n.Conn(virtualStorage, storage)
	if !ok {
		return false, fmt.Errorf("connection for %q not found", storage)
	}
	answer, err := gitalypb.NewRepositoryServiceClient(conn).RepositoryExists(ctx,
		&gitalypb.RepositoryExistsRequest{Repository: &gitalypb.Repository{
			StorageName: storage, RelativePath: path,
		}})
	if err != nil {
		return false, fmt.Errorf("ask %q: %w", storage, err)
	}

	return answer.GetExists(), nil
}

// named tells nodes in their logs who asks.
func named(ctx context.Context, client string) context.Context {
	return metadata.AppendToOutgoingContext(ctx,
		"client_name", client, "x-gitlab-correlation-id", correlationID())
}
