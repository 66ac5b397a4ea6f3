package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

// The header of a read that the primary has to answer.
const (
	policyKey   = "gitaly-route-repository-accessor-policy"
	policyValue = "primary-only"
)

// client calls one proxy about one repository.
type client struct {
	conn *grpc.ClientConn
	repo *gitalypb.Repository
}

// dial returns a client of a proxy; the caller closes it.
func (s *stage) dial(proxy *cluster.Proxy, path string) (*client, error) {
	conn, err := cluster.Dial(proxy.Address, s.Token(), grpc.WithDisableRetry())
	if err != nil {
		return nil, err
	}

	return &client{conn: conn, repo: &gitalypb.Repository{
		StorageName: s.VirtualStorage(), RelativePath: path,
		GlRepository: "project-1", GlProjectPath: "group/project",
	}}, nil
}

func (c *client) close() { _ = c.conn.Close() } // nothing is under way

func (c *client) create(ctx context.Context) answer {
	var trailer metadata.MD
	_, err := gitalypb.NewRepositoryServiceClient(c.conn).CreateRepository(ctx,
		&gitalypb.CreateRepositoryRequest{Repository: c.repo, DefaultBranch: []byte("main")},
		grpc.Trailer(&trailer))

	return answered(err, trailer)
}

func (c *client) remove(ctx context.Context) answer {
	var trailer metadata.MD
	_, err := gitalypb.NewRepositoryServiceClient(c.conn).RemoveRepository(ctx,
		&gitalypb.RemoveRepositoryRequest{Repository: c.repo}, grpc.Trailer(&trailer))

	return answered(err, trailer)
}

// writeRef sets a reference without saying what it was; zeroID deletes it.
func (c *client) writeRef(ctx context.Context, name, to string) answer {
	var trailer metadata.MD
	_, err := gitalypb.NewRepositoryServiceClient(c.conn).WriteRef(ctx,
		&gitalypb.WriteRefRequest{
			Repository: c.repo, Ref: []byte(name), Revision: []byte(to),
		}, grpc.Trailer(&trailer))

	return answered(err, trailer)
}

// fetch makes the repository a mirror of another one.
func (c *client) fetch(ctx context.Context, source string) answer {
	var trailer metadata.MD
	_, err := gitalypb.NewRepositoryServiceClient(c.conn).FetchRemote(ctx,
		&gitalypb.FetchRemoteRequest{
			Repository: c.repo, NoTags: true,
			RemoteParams: &gitalypb.Remote{
				Url: source, MirrorRefmaps: []string{"+refs/heads/*:refs/heads/*"},
			},
		}, grpc.Trailer(&trailer))

	return answered(err, trailer)
}

// fromPrimary asks for reads that the primary answers.
func fromPrimary(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, policyKey, policyValue)
}

// reference reads what a reference holds; zeroID if it is not there.
func (c *client) reference(ctx context.Context, name string) (string, error) {
	stream, err := gitalypb.NewRefServiceClient(c.conn).ListRefs(ctx, &gitalypb.ListRefsRequest{
		Repository: c.repo, Patterns: [][]byte{[]byte(name)},
	})
	if err != nil {
		return "", err
	}
	id := zeroID
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return id, nil
		}
		if err != nil {
			return "", err
		}
		for _, found := range message.GetReferences() {
			id = found.GetTarget()
		}
	}
}

// pieceSize is how much of a request is sent at once.
const pieceSize = 64 << 10

// setHooks replaces the custom hooks by one with the given content.
func (c *client) setHooks(ctx context.Context, content string) answer {
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	err := errors.Join(
		writer.WriteHeader(&tar.Header{
			Typeflag: tar.TypeDir, Name: "custom_hooks/", Mode: 0o755,
		}),
		writer.WriteHeader(&tar.Header{
			Name: "custom_hooks/pre-receive", Mode: 0o755, Size: int64(len(content)),
		}))
	if err != nil {
		return answer{err: err}
	}
	_, err = io.WriteString(writer, content)
	if err := errors.Join(err, writer.Close()); err != nil {
		return answer{err: err}
	}

	stream, err := gitalypb.NewRepositoryServiceClient(c.conn).SetCustomHooks(ctx)
	if err != nil {
		return answer{err: err}
	}
	// When sending fails the answer says why.
	_ = stream.Send(&gitalypb.SetCustomHooksRequest{Repository: c.repo, Data: archive.Bytes()})
	_, err = stream.CloseAndRecv()

	return answered(err, stream.Trailer())
}

// push sends updates as Git does over HTTP.
func (c *client) push(
	ctx context.Context, goods *material, updates []update, capabilities string,
) answer {
	stream, err := gitalypb.NewSmartHTTPServiceClient(c.conn).PostReceivePack(ctx)
	if err != nil {
		return answer{err: err}
	}
	err = stream.Send(&gitalypb.PostReceivePackRequest{
		Repository: c.repo, GlId: "user-1", GlRepository: "project-1",
	})
	request := goods.request(updates, capabilities)
	for err == nil && len(request) > 0 {
		n := min(pieceSize, len(request))
		err = stream.Send(&gitalypb.PostReceivePackRequest{Data: request[:n]})
		request = request[n:]
	}
	if err == nil {
		err = stream.CloseSend()
	}
	if err != nil && !errors.Is(err, io.EOF) { // An end of the stream is told by Recv.
		return answer{err: err}
	}

	var report strings.Builder
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return answered(declined(report.String(), updates), stream.Trailer())
		}
		if err != nil {
			return answered(err, stream.Trailer())
		}
		report.Write(message.GetData())
	}
}

// declined reads what git-receive-pack reports.
func declined(report string, updates []update) error {
	for _, u := range updates {
		if !strings.Contains(report, "ok "+u.name) {
			return fmt.Errorf("%w: %q", errDeclined, report)
		}
	}

	return nil
}
