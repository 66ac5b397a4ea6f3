package boot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc/metadata"

	"praefect/coordinator"
	"praefect/coordinator/cleaner"
	"praefect/proxy/backend"
	"praefect/proxy/gitalypb"
)

// nodeDisks lets the cleaner look through disks by calls to nodes.
type nodeDisks struct{ pool *backend.Pool }

// Walk implements [cleaner.Disks].
func (d nodeDisks) Walk(
	ctx context.Context, place coordinator.Place, visit func(cleaner.Found) error,
) error {
	conn, ok := d.pool.Conn(string(place.VirtualStorage), string(place.Storage))
	if !ok {
		return fmt.Errorf("no connection to %q/%q", place.VirtualStorage, place.Storage)
	}
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(ctx,
		"client_name", "repository-cleaner"))
	defer cancel()
	stream, err := gitalypb.NewInternalGitalyClient(conn).WalkRepos(ctx,
		&gitalypb.WalkReposRequest{StorageName: string(place.Storage)})
	if err != nil {
		return fmt.Errorf("walk: %w", err)
	}
	for {
		found, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("walk: %w", err)
		}
		if err := visit(cleaner.Found{
			ReplicaPath: found.GetRelativePath(),
			ChangedAt:   found.GetModificationTime().AsTime(),
		}); err != nil {
			return err
		}
	}
}

// startCleaner starts the search for repositories that nobody knows.
func (s *server) startCleaner() error {
	settings := s.Config.RepositoriesCleanup
	if settings.RunInterval == 0 {
		s.log.Warn(`Repository cleanup background task disabled as ` +
			`"repositories_cleanup.run_interval" is not set or 0.`)

		return nil
	}
	worker, err := cleaner.New(cleaner.Dependencies{
		Cluster:    s.Config.Cluster(),
		Store:      s.store,
		Disks:      nodeDisks{s.pool},
		Health:     s.health,
		Registerer: s.metrics,
	}, s.log, cleaner.Config{
		Check: time.Duration(settings.CheckInterval), Run: time.Duration(settings.RunInterval),
		Batch: settings.RepositoriesInBatch,
	})
	if err != nil {
		return err
	}
	s.workers.run(func(ctx context.Context) error {
		// Before the first round of checks no storage is known to be healthy, and the next look is
		// half an hour later.
		select {
		case <-s.health.Checked():
			return worker.Run(ctx)
		case <-ctx.Done():
			return nil
		}
	})

	return nil
}
