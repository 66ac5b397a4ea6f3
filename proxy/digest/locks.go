package digest

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/proxy/gitalypb"
)

// NoLocks is the digest of kind [Locks] of a replica whose references are not locked.
const NoLocks = "locks: none"

// namesMax bounds the names that are told; one is enough to know.
const namesMax = 16

// locks lists the lock files of references. A node has no call that tells them, but its snapshot
// of a repository is an archive that begins with the files of the references, whatever they are;
// the objects behind them are not read. A node without that call counts as having none.
func (r *replica) locks(ctx context.Context) (string, error) {
	archive, err := r.snapshot(ctx)
	if err != nil {
		return "", err
	}
	var names []string
	for len(names) < namesMax {
		header, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			return lockText(names), nil
		case status.Code(err) == codes.Unimplemented:
			return NoLocks, nil
		case err != nil:
			return "", fmt.Errorf("get snapshot: %w", err)
		case header.Name == "objects", strings.HasPrefix(header.Name, "objects/"):
			return lockText(names), nil
		case strings.HasSuffix(header.Name, ".lock"):
			names = append(names, header.Name)
		}
	}
	return lockText(names), nil
}

// snapshot is an archive of the repository's files, HEAD first. Whoever stops reading cancels ctx.
func (r *replica) snapshot(ctx context.Context) (*tar.Reader, error) {
	stream, err := gitalypb.NewRepositoryServiceClient(r.conn).GetSnapshot(ctx,
		&gitalypb.GetSnapshotRequest{Repository: r.message})
	if err != nil {
		return nil, fmt.Errorf("get snapshot: %w", err)
	}

	return tar.NewReader(&reader[gitalypb.GetSnapshotResponse]{
		stream: stream,
		data:   func(m *gitalypb.GetSnapshotResponse) []byte { return m.GetData() },
	}), nil
}

func lockText(names []string) string {
	if len(names) == 0 {
		return NoLocks
	}
	slices.Sort(names)
	return "locks: " + strings.Join(names, " ")
}
