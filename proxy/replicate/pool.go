package replicate

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"praefect/proxy/gitalypb"
)

// alignPool gives the target the source's link to an object pool, or none. Pools have the same
// path on every node of a virtual storage.
func (c *Copier) alignPool(ctx context.Context, source Replica, to *gitalypb.Repository) error {
	from, ok := c.nodes.Conn(source.VirtualStorage, source.Storage)
	if !ok {
		return fmt.Errorf("read pool of %q: %w", source.Storage, ErrUnknownNode)
	}
	target, ok := c.nodes.Conn(source.VirtualStorage, to.GetStorageName())
	if !ok {
		return fmt.Errorf("read pool of %q: %w", to.GetStorageName(), ErrUnknownNode)
	}
	want, err := pool(ctx, from, source.message())
	if err != nil {
		return fmt.Errorf("read pool of %q: %w", source.Storage, err)
	}
	have, err := pool(ctx, target, to)
	if err != nil {
		return fmt.Errorf("read pool of %q: %w", to.GetStorageName(), err)
	}
	if path(have) == path(want) {
		return nil
	}
	return relink(ctx, target, to, link{have: have, want: want})
}

// link is a change of the link to an object pool; nil means none.
type link struct{ have, want *gitalypb.ObjectPool }

func relink(
	ctx context.Context, conn grpc.ClientConnInterface, repo *gitalypb.Repository, l link,
) error {
	client := gitalypb.NewObjectPoolServiceClient(conn)
	if path(l.have) != "" {
		_, err := client.DisconnectGitAlternates(ctx,
			&gitalypb.DisconnectGitAlternatesRequest{Repository: repo})
		if err != nil {
			return fmt.Errorf("disconnect %q from its pool: %w", repo.GetStorageName(), err)
		}
	}
	if path(l.want) == "" {
		return nil
	}
	shared := proto.CloneOf(l.want)
	shared.Repository.StorageName = repo.GetStorageName()
	_, err := client.LinkRepositoryToObjectPool(ctx,
		&gitalypb.LinkRepositoryToObjectPoolRequest{ObjectPool: shared, Repository: repo})
	if err != nil && !otherPartition(err) {
		return fmt.Errorf("link %q to its pool: %w", repo.GetStorageName(), err)
	}
	return nil
}

// otherPartition recognises nodes with partitions that keep pool and member apart: there the
// member holds its objects itself, and needs no link.
func otherPartition(err error) bool {
	return strings.Contains(err.Error(), "repositories are in different partitions")
}

func pool(
	ctx context.Context, conn grpc.ClientConnInterface, repo *gitalypb.Repository,
) (*gitalypb.ObjectPool, error) {
	answer, err := gitalypb.NewObjectPoolServiceClient(conn).GetObjectPool(ctx,
		&gitalypb.GetObjectPoolRequest{Repository: repo})
	if err != nil {
		return nil, fmt.Errorf("get object pool: %w", err)
	}
	return answer.GetObjectPool(), nil
}

func path(p *gitalypb.ObjectPool) string { return p.GetRepository().GetRelativePath() }
