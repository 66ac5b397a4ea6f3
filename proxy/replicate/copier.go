package replicate

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/proxy/backend"
	"praefect/proxy/gitalypb"
)

// Nodes is where the connections to nodes come from.
type Nodes interface {
	// Conn returns the connection to a node; false when there is no such node.
	Conn(virtualStorage, storage string) (grpc.ClientConnInterface, bool)
	// Nodes returns the configured nodes.
	Nodes() []backend.Node
}

// Replica is one copy of a repository on the disk of a node.
type Replica struct {
	VirtualStorage string
	Storage        string
	// Path is the one on disk.
	Path string
}

// Copier copies and removes replicas by calls to the nodes.
type Copier struct {
	nodes Nodes
	// servers holds the `gitaly-servers` value of every node.
	servers map[node]string
}

type node struct{ virtualStorage, storage string }

// New returns a copier between the given nodes.
func New(nodes Nodes) (*Copier, error) {
	c := &Copier{nodes: nodes, servers: map[node]string{}}
	for _, n := range nodes.Nodes() {
		value, err := serversHeader(n)
		if err != nil {
			return nil, fmt.Errorf("describe node %s: %w", n, err)
		}
		c.servers[node{n.VirtualStorage, n.Storage}] = value
	}
	return c, nil
}

// Copy makes the replica on the target equal to the source, whether or not the target has one,
// and links it to the same object pool. The caller keeps writes away or repeats the copy. It
// returns [ErrSourceMissing], [ErrUnknownNode], or the node's status.
func (c *Copier) Copy(ctx context.Context, source Replica, target string) error {
	conn, ok := c.nodes.Conn(source.VirtualStorage, target)
	servers, known := c.servers[node{source.VirtualStorage, source.Storage}]
	if !ok || !known {
		return fmt.Errorf("copy from %q to %q: %w", source.Storage, target, ErrUnknownNode)
	}
	ctx = metadata.AppendToOutgoingContext(ctx, headerServers, servers)
	to := &gitalypb.Repository{StorageName: target, RelativePath: source.Path}
	_, err := gitalypb.NewRepositoryServiceClient(conn).ReplicateRepository(ctx,
		&gitalypb.ReplicateRepositoryRequest{Repository: to, Source: source.message()})
	switch {
	case sourceMissing(err):
		return fmt.Errorf("copy from %q: %w", source.Storage, ErrSourceMissing)
	case err != nil:
		return fmt.Errorf("copy from %q to %q: %w", source.Storage, target, err)
	}
	return c.alignPool(ctx, source, to)
}

// Begin makes an empty repository on the target, in the object format of the source, unless there
// is one. A copy then fetches what Git knows. Without it nodes begin with the source's files, and
// among these are locks that a call that was cut off has left behind. Where the source has its
// references in tables it does nothing: no call makes an empty repository of that kind. It returns
// [ErrSourceMissing], [ErrUnknownNode], or a node's status.
func (c *Copier) Begin(ctx context.Context, source Replica, target string) error {
	from, known := c.nodes.Conn(source.VirtualStorage, source.Storage)
	to, ok := c.nodes.Conn(source.VirtualStorage, target)
	if !ok || !known {
		return fmt.Errorf("copy from %q to %q: %w", source.Storage, target, ErrUnknownNode)
	}
	client := gitalypb.NewRepositoryServiceClient(from)
	format, err := client.ObjectFormat(ctx,
		&gitalypb.ObjectFormatRequest{Repository: source.message()})
	switch {
	case status.Code(err) == codes.NotFound:
		return fmt.Errorf("copy from %q: %w", source.Storage, ErrSourceMissing)
	case err != nil:
		return fmt.Errorf("ask %q for object format: %w", source.Storage, err)
	}
	// A node that does not tell has but one kind of references.
	info, err := client.RepositoryInfo(ctx,
		&gitalypb.RepositoryInfoRequest{Repository: source.message()})
	if err != nil && status.Code(err) != codes.Unimplemented {
		return fmt.Errorf("ask %q for kind of references: %w", source.Storage, err)
	}
	if info.GetReferences().GetReferenceBackend() == reftable {
		return nil
	}
	_, err = gitalypb.NewRepositoryServiceClient(to).CreateRepository(ctx,
		&gitalypb.CreateRepositoryRequest{
			Repository:   &gitalypb.Repository{StorageName: target, RelativePath: source.Path},
			ObjectFormat: format.GetFormat(),
		})
	if err != nil && status.Code(err) != codes.AlreadyExists {
		return fmt.Errorf("create on %q: %w", target, err)
	}
	return nil
}

const reftable = gitalypb.RepositoryInfoResponse_ReferencesInfo_REFERENCE_BACKEND_REFTABLE

// Remove removes the replica from the node's disk. A replica that is not there counts as removed.
func (c *Copier) Remove(ctx context.Context, replica Replica) error {
	conn, ok := c.nodes.Conn(replica.VirtualStorage, replica.Storage)
	if !ok {
		return fmt.Errorf("remove from %q: %w", replica.Storage, ErrUnknownNode)
	}
	_, err := gitalypb.NewRepositoryServiceClient(conn).RemoveRepository(ctx,
		&gitalypb.RemoveRepositoryRequest{Repository: replica.message()})
	if err != nil && status.Code(err) != codes.NotFound {
		return fmt.Errorf("remove from %q: %w", replica.Storage, err)
	}
	return nil
}

func (r Replica) message() *gitalypb.Repository {
	return &gitalypb.Repository{StorageName: r.Storage, RelativePath: r.Path}
}

// sourceMissing recognises the answer of a target whose source does not know the repository.
// Nodes tell it from other missing things only in the text.
func sourceMissing(err error) bool {
	return status.Code(err) == codes.NotFound &&
		strings.Contains(status.Convert(err).Message(), "invalid source repository")
}
