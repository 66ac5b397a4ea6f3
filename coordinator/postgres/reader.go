package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"praefect/coordinator"
)

// Lookup implements [coordinator.Reader].
func (s *Store) Lookup(
	ctx context.Context, key coordinator.Key,
) (coordinator.Repository, error) {
	return s.repository(ctx, lookupSQL, arguments{
		"virtual_storage": string(key.VirtualStorage), "relative_path": key.RelativePath,
	})
}

// Load implements [coordinator.Reader].
func (s *Store) Load(
	ctx context.Context, id coordinator.RepositoryID,
) (coordinator.Repository, error) {
	return s.repository(ctx, loadSQL, arguments{"id": int64(id)})
}

// Paths implements [coordinator.Reader].
func (s *Store) Paths(ctx context.Context, page coordinator.Page) ([]string, error) {
	return read(ctx, s, pathsSQL, arguments{
		"virtual_storage": string(page.VirtualStorage), "after": page.After, "limit": page.Limit,
	}, pgx.RowTo[string])
}

// repositoryRow is a repository with one of its replicas, if it has any.
type repositoryRow struct {
	repository coordinator.Repository
	replica    coordinator.Replica
	present    bool
}

func (s *Store) repository(
	ctx context.Context, statement string, parameters arguments,
) (coordinator.Repository, error) {
	rows, err := read(ctx, s, statement, parameters, scanRepository)
	if err != nil {
		return coordinator.Repository{}, err
	}
	if len(rows) == 0 {
		return coordinator.Repository{}, coordinator.ErrRepositoryNotFound
	}
	repository := rows[0].repository
	for _, row := range rows {
		if row.present {
			repository.Replicas = append(repository.Replicas, row.replica)
		}
	}
	return repository, nil
}

func scanRepository(row pgx.CollectableRow) (repositoryRow, error) {
	var (
		scanned           repositoryRow
		r                 = &scanned.repository
		state             string
		storage           *string
		generation        *int64
		assigned, joining *bool
	)
	err := row.Scan(&r.ID, &r.Key.VirtualStorage, &r.Key.RelativePath, &r.ReplicaPath, &state,
		&r.Generation, &r.Primary, &r.Epoch,
		&storage, &generation, &assigned, &joining, &scanned.replica.Repairing)
	if err != nil {
		return repositoryRow{}, fmt.Errorf("scan repository: %w", err)
	}
	if r.State, err = coordinator.ParseState(state); err != nil {
		return repositoryRow{}, err
	}
	if storage != nil {
		scanned.present = true
		scanned.replica.Storage = coordinator.Storage(*storage)
		scanned.replica.Generation = coordinator.Generation(*generation)
		scanned.replica.Assigned, scanned.replica.Joining = *assigned, *joining
	}
	return scanned, nil
}

// changed turns the answer of a statement that returns the rows it changed: none is an error of
// the contract.
func (s *Store) changed(
	ctx context.Context, statement string, parameters arguments, otherwise error,
) error {
	_, err := queryOne(ctx, s, statement, parameters, pgx.RowTo[int64])
	if errors.Is(err, pgx.ErrNoRows) {
		return otherwise
	}
	return err
}
