package main

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"net"
	"os/signal"
	"strings"
	"syscall"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"praefect/proxy/backchannel"
	"praefect/proxy/gitalypb"
)

const (
	// downloadSize is what one download of a null node carries, in messages of chunkSize, which is
	// the size in which Gitaly sends packs.
	downloadSize = 64 << 20
	chunkSize    = 128 << 10
)

// nullNode answers every call at once, whatever it asks for.
type nullNode struct {
	peers *backchannel.Peers
	// chunk is an encoded InfoRefsResponse, exists an encoded RepositoryExistsResponse: a proxy
	// that looks after its replicas must find them.
	chunk, exists []byte
	vote          [sha1.Size]byte
}

// serveNullNodes runs a null node at each address until it is told to end, or one of them fails.
func serveNullNodes(ctx context.Context, addresses []string) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()

	group, ctx := errgroup.WithContext(ctx)
	for _, address := range addresses {
		group.Go(func() error { return serveNullNode(ctx, address) })
	}

	return group.Wait()
}

// serveNullNode runs a null node until the context ends.
func serveNullNode(ctx context.Context, address string) error {
	chunk, err := proto.Marshal(&gitalypb.InfoRefsResponse{Data: make([]byte, chunkSize)})
	if err != nil {
		return fmt.Errorf("marshal chunk: %w", err)
	}

	exists, err := proto.Marshal(&gitalypb.RepositoryExistsResponse{Exists: true})
	if err != nil {
		return fmt.Errorf("marshal answer: %w", err)
	}

	log := zap.NewNop()
	node := &nullNode{
		peers:  backchannel.NewPeers(log),
		chunk:  chunk,
		exists: exists,
		vote:   sha1.Sum([]byte("bench")),
	}
	defer node.peers.Close() //nolint:errcheck // It returns nil.

	multiplexer := backchannel.NewServer(
		insecure.NewCredentials(), node.peers, log, backchannel.DefaultConfig(),
	)
	server := grpc.NewServer(append(multiplexer.Options(),
		grpc.ForceServerCodecV2(rawCodec{}),
		grpc.UnknownServiceHandler(node.handle),
	)...)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())

	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", strings.TrimPrefix(address, "tcp://"))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	context.AfterFunc(ctx, server.Stop)

	if err := server.Serve(multiplexer.Listener(listener)); err != nil {
		return fmt.Errorf("serve: %w", err)
	}

	return nil
}

// handle serves any method: it reads the whole request, votes when it is told to, and answers.
func (n *nullNode) handle(_ any, stream grpc.ServerStream) error {
	if err := swallow(stream); err != nil {
		return err
	}

	ctx := stream.Context()
	ballot, err := ballotFrom(ctx)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	if ballot != nil {
		if err := n.cast(ctx, ballot); err != nil {
			return err
		}
	}

	switch method, _ := grpc.Method(ctx); method {
	case gitalypb.SmartHTTPService_InfoRefsUploadPack_FullMethodName:
		return n.download(stream)
	case gitalypb.RepositoryService_RepositoryExists_FullMethodName:
		return stream.SendMsg(&mem.BufferSlice{mem.SliceBuffer(n.exists)})
	}

	// An empty message is a valid answer of every type.
	return stream.SendMsg(&mem.BufferSlice{})
}

func (n *nullNode) download(stream grpc.ServerStream) error {
	for range downloadSize / chunkSize {
		if err := stream.SendMsg(&mem.BufferSlice{mem.SliceBuffer(n.chunk)}); err != nil {
			return err
		}
	}

	return nil
}

// swallow reads messages until the client has sent the last one.
func swallow(stream grpc.ServerStream) error {
	for {
		var message mem.BufferSlice

		err := stream.RecvMsg(&message)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		message.Free()
	}
}
