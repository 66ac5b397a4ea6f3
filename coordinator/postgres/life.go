package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"praefect/coordinator"
)

// Create implements [coordinator.Creator].
func (s *Store) Create(ctx context.Context, creation coordinator.Creation) error {
	_, err := query(ctx, s, createSQL, arguments{
		"id":              int64(creation.ID),
		"virtual_storage": string(creation.Key.VirtualStorage),
		"relative_path":   creation.Key.RelativePath,
		"replica_path":    creation.ReplicaPath,
		"primary":         string(creation.Primary),
		"participants":    names(creation.Participants),
		"assigned":        names(creation.Assigned),
		"ttl":             milliseconds(creation.TTL),
	}, pgx.RowTo[int64])
	return err
}

// RenewCreations implements [coordinator.Creator].
func (s *Store) RenewCreations(
	ctx context.Context, ids []coordinator.RepositoryID, ttl time.Duration,
) error {
	numbers := make([]int64, 0, len(ids))
	for _, id := range ids {
		numbers = append(numbers, int64(id))
	}
	_, err := query(ctx, s, renewCreationsSQL, arguments{
		"ids": numbers, "ttl": milliseconds(ttl),
	}, pgx.RowTo[int64])
	return err
}

// Complete implements [coordinator.Creator].
func (s *Store) Complete(ctx context.Context, id coordinator.RepositoryID) error {
	return s.changed(ctx, completeSQL, arguments{"id": int64(id)}, coordinator.ErrSuperseded)
}

// Delete implements [coordinator.Remover].
func (s *Store) Delete(
	ctx context.Context, id coordinator.RepositoryID, grace time.Duration,
) (coordinator.Repository, error) {
	err := s.changed(ctx, deleteSQL, arguments{"id": int64(id), "grace": milliseconds(grace)},
		coordinator.ErrRepositoryNotFound)
	if err != nil {
		return coordinator.Repository{}, err
	}
	return s.Load(ctx, id)
}

// ClaimRemovals implements [coordinator.Remover].
func (s *Store) ClaimRemovals(
	ctx context.Context, limit int, ttl time.Duration,
) ([]coordinator.Repository, error) {
	ids, err := query(ctx, s, claimRemovalsSQL, arguments{
		"limit": limit, "ttl": milliseconds(ttl),
	}, pgx.RowTo[coordinator.RepositoryID])
	if err != nil {
		return nil, err
	}
	claimed := make([]coordinator.Repository, 0, len(ids))
	for _, id := range ids {
		repository, err := s.Load(ctx, id)
		if err != nil {
			return nil, err
		}
		claimed = append(claimed, repository)
	}
	return claimed, nil
}

// Removed implements [coordinator.Remover].
func (s *Store) Removed(
	ctx context.Context, id coordinator.RepositoryID, storages []coordinator.Storage,
) error {
	_, err := query(ctx, s, removedSQL, arguments{
		"id": int64(id), "storages": names(storages),
	}, pgx.RowTo[int64])
	return err
}
