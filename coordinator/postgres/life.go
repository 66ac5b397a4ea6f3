package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"praefect/coordinator"
)

// Create implements [coordinator.Creator].
func (s *Store) Create(ctx context.Context, creation coordinator.Creation) error {
	return s.changed(ctx, createSQL, arguments{
		"id":              int64(creation.ID),
		"virtual_storage": string(creation.Key.VirtualStorage),
		"relative_path":   creation.Key.RelativePath,
		"replica_path":    creation.ReplicaPath,
		"primary":         string(creation.Primary),
		"participants":    names(creation.Participants),
		"assigned":        names(creation.Assigned),
		"incarnation":     int64(creation.Incarnation),
		"everywhere":      creation.Everywhere,
	}, coordinator.ErrLeaseLost)
}

// Complete implements [coordinator.Creator].
func (s *Store) Complete(ctx context.Context, id coordinator.RepositoryID) error {
	return s.changed(ctx, completeSQL, arguments{"id": int64(id)}, coordinator.ErrSuperseded)
}

// deleted says what a deletion found and whether it was allowed.
type deleted struct{ found, done bool }

func scanDeleted(row pgx.CollectableRow) (deleted, error) {
	var d deleted
	if err := row.Scan(&d.found, &d.done); err != nil {
		return deleted{}, fmt.Errorf("scan deletion: %w", err)
	}
	return d, nil
}

// Delete implements [coordinator.Remover].
func (s *Store) Delete(
	ctx context.Context, deletion coordinator.Deletion,
) (coordinator.Repository, error) {
	var (
		was   deleted
		after []coordinator.Repository
	)
	err := s.batch(ctx, func(a *answers) error {
		err := a.skip()
		if err == nil {
			was, err = first(a, scanDeleted)
		}
		if err == nil {
			after, err = nextRepositories(a)
		}
		return err
	}, lock(deletion.Repository), statement{deleteSQL, arguments{
		"id": int64(deletion.Repository), "write": int64(deletion.Write),
		"grace": milliseconds(deletion.Grace), "keep": milliseconds(deletion.Keep),
	}}, load(deletion.Repository))
	switch {
	case err != nil:
		return coordinator.Repository{}, err
	case !was.found || len(after) == 0:
		return coordinator.Repository{}, coordinator.ErrRepositoryNotFound
	case !was.done:
		return coordinator.Repository{}, coordinator.ErrSuperseded
	}
	return after[0], nil
}

// ClaimRemovals implements [coordinator.Remover].
func (s *Store) ClaimRemovals(
	ctx context.Context, request coordinator.RemovalRequest,
) ([]coordinator.Repository, error) {
	ids, err := query(ctx, s, claimRemovalsSQL, arguments{
		"limit": request.Limit, "ttl": milliseconds(request.TTL),
		"keep": milliseconds(request.Keep),
	}, pgx.RowTo[coordinator.RepositoryID])
	if err != nil {
		return nil, err
	}
	found, err := s.repositories(ctx, ids)
	if err != nil {
		return nil, err
	}
	claimed := make([]coordinator.Repository, 0, len(ids))
	for _, repository := range found {
		claimed = append(claimed, repository)
	}
	return claimed, nil
}

// Removed implements [coordinator.Remover].
func (s *Store) Removed(
	ctx context.Context, id coordinator.RepositoryID, storages []coordinator.Storage,
) error {
	gone := arguments{"id": int64(id), "storages": names(storages)}
	return s.batchAgain(ctx, func(a *answers) error {
		for range 3 {
			if err := a.skip(); err != nil {
				return err
			}
		}
		return nil
	}, lock(id), statement{removedSQL, gone}, statement{forgetRemovedSQL, gone})
}
