package boot

import (
	"context"
	"fmt"
	"time"

	"praefect/coordinator/verify"
	"praefect/proxy/backend"
	"praefect/proxy/gitalypb"
)

// nodeVerifier lets verification ask nodes about replicas.
type nodeVerifier struct{ pool *backend.Pool }

// Exists implements [verify.Prober].
func (v nodeVerifier) Exists(ctx context.Context, replica verify.Replica) (bool, error) {
	client, err := v.client(replica)
	if err != nil {
		return false, err
	}
	answer, err := client.RepositoryExists(ctx, &gitalypb.RepositoryExistsRequest{
		Repository: repositoryOf(replica),
	})
	if err != nil {
		return false, fmt.Errorf("ask for repository: %w", err)
	}

	return answer.GetExists(), nil
}

// Checksum implements [verify.Prober].
func (v nodeVerifier) Checksum(ctx context.Context, replica verify.Replica) (string, error) {
	client, err := v.client(replica)
	if err != nil {
		return "", err
	}
	answer, err := client.CalculateChecksum(ctx, &gitalypb.CalculateChecksumRequest{
		Repository: repositoryOf(replica),
	})
	if err != nil {
		return "", fmt.Errorf("ask for checksum: %w", err)
	}

	return answer.GetChecksum(), nil
}

func (v nodeVerifier) client(
	replica verify.Replica,
) (gitalypb.RepositoryServiceClient, error) {
	conn, ok := v.pool.Conn(string(replica.VirtualStorage), string(replica.Storage))
	if !ok {
		return nil, fmt.Errorf("no connection to %q/%q", replica.VirtualStorage, replica.Storage)
	}

	return gitalypb.NewRepositoryServiceClient(conn), nil
}

func repositoryOf(replica verify.Replica) *gitalypb.Repository {
	return &gitalypb.Repository{
		StorageName: string(replica.Storage), RelativePath: replica.ReplicaPath,
	}
}

// startVerification starts the search for missing replicas.
func (s *server) startVerification() error {
	settings := s.Config.BackgroundVerification
	worker, err := verify.New(verify.Dependencies{
		Cluster:    s.Config.Cluster(),
		Store:      s.store,
		Prober:     nodeVerifier{s.pool},
		Turns:      s.coordinator,
		Health:     s.health,
		Registerer: s.metrics,
		Journal:    s.journal,
	}, s.log, verify.Config{
		Interval: time.Duration(settings.VerificationInterval),
		Keep:     !settings.DeleteInvalidRecords,
	})
	if err != nil {
		return err
	}
	s.workers.run(worker.Run)

	return nil
}
