package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"praefect/proxy/gitalypb"
)

// Sizes of the workloads, from the budget of the project.
const (
	readers      = 8
	writers      = 8
	repositories = 16
	streamers    = 2
	uploadSize   = 64 << 20
	hotWriters   = 16
)

// workload is one line of the report.
type workload struct {
	name    string
	clients int
	// streams says that bytes count, not operations.
	streams bool
	// hot runs on one repository of the bundled nodes instead of the null nodes.
	hot bool
	do  func(ctx context.Context, e *endpoint, client, n int) (int64, error)
}

func workloads() []*workload {
	return []*workload{
		{name: "read_8_clients", clients: readers, do: read},
		{name: "read_1_client", clients: 1, do: read},
		{name: "write_8_clients", clients: writers, do: write},
		{name: "write_1_client", clients: 1, do: write},
		{name: "clone_2_clients", clients: streamers, streams: true, do: download},
		{name: "push_2_clients", clients: streamers, streams: true, do: upload},
		{name: "hot_repository", clients: hotWriters, hot: true, do: writeHot},
	}
}

func read(ctx context.Context, e *endpoint, client, n int) (int64, error) {
	_, err := e.refs(client).RefExists(ctx, &gitalypb.RefExistsRequest{
		Repository: e.repository(client + n*readers), Ref: []byte("refs/heads/main"),
	})

	return 0, err
}

// write creates a branch, which on real nodes waits for its turn like most mutators do: at a vote,
// not before it is dispatched.
func write(ctx context.Context, e *endpoint, client, n int) (int64, error) {
	_, err := e.operations(client).UserCreateBranch(ctx, &gitalypb.UserCreateBranchRequest{
		Repository: e.repository(client + n*writers),
		BranchName: []byte("branch"),
		StartPoint: []byte("main"),
		User:       &gitalypb.User{GlId: "user-1", Name: []byte("Bench"), Email: []byte("b@e")},
	})

	return 0, err
}

func download(ctx context.Context, e *endpoint, client, n int) (int64, error) {
	stream, err := e.smart(client).InfoRefsUploadPack(ctx, &gitalypb.InfoRefsRequest{
		Repository: e.repository(client + n*streamers),
	})
	if err != nil {
		return 0, err
	}

	var moved int64
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return moved, err
		}
		moved += int64(len(message.GetData()))
	}

	if moved != downloadSize {
		return moved, fmt.Errorf("download has %d bytes, expected %d", moved, downloadSize)
	}

	return moved, nil
}

func upload(ctx context.Context, e *endpoint, client, n int) (int64, error) {
	stream, err := e.smart(client).PostReceivePack(ctx)
	if err != nil {
		return 0, err
	}

	request := &gitalypb.PostReceivePackRequest{
		Repository: e.repository(client + n*streamers), GlId: "user-1",
	}
	data := &gitalypb.PostReceivePackRequest{Data: e.payload}
	for moved := 0; moved < uploadSize; moved += len(e.payload) {
		if err := stream.Send(request); err != nil {
			_, err := stream.Recv()

			return 0, err
		}
		request = data
	}
	if err := stream.CloseSend(); err != nil {
		return 0, err
	}

	for {
		_, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return uploadSize, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// writeHot moves a reference that no other client touches back and forth between two commits.
func writeHot(ctx context.Context, e *endpoint, client, n int) (int64, error) {
	_, err := e.repositories(client).WriteRef(ctx, &gitalypb.WriteRefRequest{
		Repository: e.hot,
		Ref:        fmt.Appendf(nil, "refs/heads/client-%d", client),
		Revision:   []byte(e.commits[n%len(e.commits)]),
	})

	return 0, err
}
