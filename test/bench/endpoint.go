package main

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

// endpoint is one way to the nodes: directly, or through a proxy.
type endpoint struct {
	name string
	// pid is the proxy's process, 0 when there is none; others are those of clients and null nodes.
	pid     int
	others  []int
	storage string
	conns   []*grpc.ClientConn
	payload []byte

	// hot is a repository of the bundled nodes, remote where git finds it, commits are two of its
	// commits.
	hot     *gitalypb.Repository
	remote  string
	commits []string
}

// connect opens one connection per client, as many separate programs would.
func connect(address, storage, token string) (*endpoint, error) {
	e := &endpoint{storage: storage, payload: make([]byte, chunkSize)}

	for range max(readers, writers, hotWriters) {
		conn, err := cluster.Dial(address, token)
		if err != nil {
			return nil, err
		}
		e.conns = append(e.conns, conn)
	}

	return e, nil
}

func (e *endpoint) close() {
	for _, conn := range e.conns {
		_ = conn.Close() // Nothing is under way any more.
	}
}

// create makes the repositories of the null nodes.
func (e *endpoint) create(ctx context.Context) error {
	for number := range repositories {
		_, err := e.repositories(0).CreateRepository(ctx, &gitalypb.CreateRepositoryRequest{
			Repository: e.repository(number),
		})
		if err != nil {
			return fmt.Errorf("create repository: %w", err)
		}
	}

	return nil
}

// repository is one of the repositories of the null nodes.
func (e *endpoint) repository(number int) *gitalypb.Repository {
	return &gitalypb.Repository{
		StorageName:  e.storage,
		RelativePath: fmt.Sprintf("bench/%d.git", number%repositories),
	}
}

func (e *endpoint) refs(client int) gitalypb.RefServiceClient {
	return gitalypb.NewRefServiceClient(e.conns[client])
}

func (e *endpoint) operations(client int) gitalypb.OperationServiceClient {
	return gitalypb.NewOperationServiceClient(e.conns[client])
}

func (e *endpoint) smart(client int) gitalypb.SmartHTTPServiceClient {
	return gitalypb.NewSmartHTTPServiceClient(e.conns[client])
}

func (e *endpoint) repositories(client int) gitalypb.RepositoryServiceClient {
	return gitalypb.NewRepositoryServiceClient(e.conns[client])
}
