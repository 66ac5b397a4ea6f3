package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/urfave/cli/v3"

	"praefect/cmd/internal/configfile"
	"praefect/coordinator"
	"praefect/coordinator/postgres"
	"praefect/proxy/gitalypb"
)

// poolBatch is how many paths one statement or message has.
const poolBatch = 500

func poolCommand() *cli.Command {
	return &cli.Command{
		Name:  "pool",
		Usage: "tell the nodes which repositories borrow from which object pool",
		Description: "Looks on the disks which repositories borrow objects from a pool, asks " +
			"GitLab through the first node which of them a pool was made of, and stores both on " +
			"all nodes, in place of what they knew. The nodes have to keep such metadata.",
		Action: subcommand(pool),
	}
}

func pool(ctx context.Context, cmd *cli.Command, config *configfile.Loaded) error {
	ctx = named(ctx, cmd.Name)

	return withNodes(ctx, config, func(nodes *nodes, store *postgres.Store) error {
		for _, virtual := range config.VirtualStorages {
			p := &pooling{
				printer: printer{out: cmd.Root().Writer}, nodes: nodes, store: store,
				virtual: virtual, warnings: cmd.Root().ErrWriter,
			}
			if err := p.run(ctx); err != nil {
				return err
			}
		}

		return nil
	})
}

// pooling is what the command does in one virtual storage.
type pooling struct {
	printer
	nodes    *nodes
	store    *postgres.Store
	virtual  configfile.VirtualStorage
	warnings io.Writer
	// members are those found, strays how many borrow from a pool that is in no row.
	members []member
	strays  int
}

// member is a repository that borrows from a pool. The paths are those that clients use.
type member struct {
	path, pool string
	upstream   bool
}

func (p *pooling) run(ctx context.Context) error {
	if err := p.scan(ctx); err != nil {
		return fmt.Errorf("scan primaries for %q: %w", p.virtual.Name, err)
	}
	p.say("found %d unique pool members in virtual storage %q\n", len(p.members), p.virtual.Name)
	if p.strays > 0 {
		// A warning that cannot be shown is no failure.
		_, _ = fmt.Fprintf(p.warnings, "left out %d repositories in virtual storage %q whose "+
			"pool Praefect knows nothing of\n", p.strays, p.virtual.Name)
	}
	if len(p.members) == 0 {
		p.say("no pool members found on virtual storage %q, nothing to store\n", p.virtual.Name)

		return p.err
	}
	if err := p.share(ctx); err != nil {
		return fmt.Errorf("store pool members for %q: %w", p.virtual.Name, err)
	}
	p.say("stored pool metadata for virtual storage %q on %d nodes\n",
		p.virtual.Name, len(p.virtual.Nodes))

	return p.err
}

// scan asks every storage that is a primary for the repositories of which it is.
func (p *pooling) scan(ctx context.Context) error {
	leaders, err := p.store.Leaders(ctx, p.name(), p.storages())
	if err != nil {
		return err
	}
	for _, leader := range leaders {
		if leader == "" {
			continue // No configured storage has all of that repository.
		}
		if err := p.scanNode(ctx, leader); err != nil {
			return fmt.Errorf("scan %q: %w", leader, err)
		}
	}
	slices.SortFunc(p.members, func(a, b member) int { return cmp.Compare(a.path, b.path) })

	return nil
}

func (p *pooling) scanNode(ctx context.Context, storage coordinator.Storage) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := p.client(string(storage)).ScanPoolMetadata(ctx,
		&gitalypb.ScanPoolMetadataRequest{StorageName: string(storage)})
	if err != nil {
		return err
	}
	for batch := make([]*gitalypb.ScanPoolMetadataResponse, 0, poolBatch); ; {
		found, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return p.take(ctx, storage, batch)
		}
		if err != nil {
			return err //nolint:wrapcheck // as above
		}
		if batch = append(batch, found); len(batch) < poolBatch {
			continue
		}
		if err := p.take(ctx, storage, batch); err != nil {
			return err
		}
		batch = batch[:0]
	}
}

// take keeps what a storage tells of repositories that it leads, under the paths of clients.
func (p *pooling) take(
	ctx context.Context, storage coordinator.Storage, batch []*gitalypb.ScanPoolMetadataResponse,
) error {
	paths := map[string]struct{}{}
	for _, found := range batch {
		paths[found.GetRelativePath()] = struct{}{}
		paths[found.GetPoolDiskPath()] = struct{}{}
	}
	list, err := p.store.Known(ctx, p.name(), p.storages(), slices.Collect(maps.Keys(paths)))
	if err != nil {
		return err
	}
	known := make(map[string]postgres.Known, len(list))
	for _, repository := range list {
		known[repository.ReplicaPath] = repository
	}
	for _, found := range batch {
		repository, ok := known[found.GetRelativePath()]
		if !ok || repository.Leader != storage {
			continue
		}
		if pool, ok := known[found.GetPoolDiskPath()]; ok {
			p.members = append(p.members, member{repository.RelativePath, pool.RelativePath, false})
		} else {
			p.strays++
		}
	}

	return nil
}

// share finds the upstream of each pool, and stores everything on all nodes. It goes on when a node
// fails, and names all that did.
func (p *pooling) share(ctx context.Context) error {
	upstreams, err := p.upstreams(ctx)
	if err != nil {
		return fmt.Errorf("list upstreams through %q: %w", p.virtual.Nodes[0].Storage, err)
	}
	for i, m := range p.members {
		p.members[i].upstream = upstreams[m.pool] == m.path
	}
	var errs []error
	for _, node := range p.virtual.Nodes {
		if err := p.storeOn(ctx, node.Storage); err != nil {
			errs = append(errs, fmt.Errorf("store on %q: %w", node.Storage, err))
		}
	}

	return errors.Join(errs...)
}

// upstreams asks GitLab, through a node, which repository each pool was made of. GitLab knows the
// virtual storage.
func (p *pooling) upstreams(ctx context.Context) (map[string]string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := p.client(p.virtual.Nodes[0].Storage).ListPoolUpstreams(ctx)
	if err != nil {
		return nil, err
	}
	request := &gitalypb.ListPoolUpstreamsRequest{StorageName: p.virtual.Name}
	for pools := range slices.Chunk(p.pools(), poolBatch) {
		request.PoolDiskPaths = pools
		if err := stream.Send(request); err != nil && !errors.Is(err, io.EOF) {
			return nil, err //nolint:wrapcheck // as above
		}
		request = &gitalypb.ListPoolUpstreamsRequest{}
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err //nolint:wrapcheck // as above
	}
	upstreams := map[string]string{}
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return upstreams, nil
		}
		if err != nil {
			return nil, err //nolint:wrapcheck // as above
		}
		maps.Copy(upstreams, answer.GetUpstreams())
	}
}

// pools are those of the members, in order.
func (p *pooling) pools() []string {
	distinct := map[string]struct{}{}
	for _, m := range p.members {
		distinct[m.pool] = struct{}{}
	}

	return slices.Sorted(maps.Keys(distinct))
}

func (p *pooling) storeOn(ctx context.Context, storage string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := p.client(storage).StorePoolMetadata(ctx)
	if err != nil {
		return err
	}
	for _, m := range p.members {
		err := stream.Send(&gitalypb.StorePoolMetadataRequest{
			StorageName: storage, RelativePath: m.path, PoolDiskPath: m.pool,
			IsUpstream: m.upstream,
		})
		if errors.Is(err, io.EOF) {
			break // The node has answered already; its error comes next.
		}
		if err != nil {
			return err //nolint:wrapcheck // as above
		}
	}
	_, err = stream.CloseAndRecv()

	return err //nolint:wrapcheck // as above
}

func (p *pooling) client(storage string) gitalypb.InternalGitalyClient {
	conn, _ := p.nodes.Conn(p.virtual.Name, storage) // All configured ones have one.

	return gitalypb.NewInternalGitalyClient(conn)
}

func (p *pooling) name() coordinator.VirtualStorage {
	return coordinator.VirtualStorage(p.virtual.Name)
}

func (p *pooling) storages() []coordinator.Storage {
	storages := make([]coordinator.Storage, 0, len(p.virtual.Nodes))
	for _, node := range p.virtual.Nodes {
		storages = append(storages, coordinator.Storage(node.Storage))
	}

	return storages
}
