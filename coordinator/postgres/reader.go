package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"praefect/coordinator"
)

// Lookup implements [coordinator.Reader].
func (s *Store) Lookup(
	ctx context.Context, key coordinator.Key,
) (coordinator.Repository, error) {
	return s.repository(ctx, statement{lookupSQL, arguments{
		"virtual_storage": string(key.VirtualStorage), "relative_path": key.RelativePath,
	}})
}

// Load implements [coordinator.Reader].
func (s *Store) Load(
	ctx context.Context, id coordinator.RepositoryID,
) (coordinator.Repository, error) {
	return s.repository(ctx, load(id))
}

// load reads repositories as they are when the statement begins.
func load(ids ...coordinator.RepositoryID) statement {
	numbers := make([]int64, 0, len(ids))
	for _, id := range ids {
		numbers = append(numbers, int64(id))
	}
	return statement{loadSQL, arguments{"ids": numbers}}
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
	ctx context.Context, from statement,
) (coordinator.Repository, error) {
	rows, err := read(ctx, s, from.text, from.parameters, scanRepository)
	if err != nil {
		return coordinator.Repository{}, err
	}
	if len(rows) == 0 {
		return coordinator.Repository{}, coordinator.ErrRepositoryNotFound
	}
	return assemble(rows)[0], nil
}

// repositories reads those of the repositories that are there.
func (s *Store) repositories(
	ctx context.Context, ids []coordinator.RepositoryID,
) (map[coordinator.RepositoryID]coordinator.Repository, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	from := load(ids...)
	rows, err := read(ctx, s, from.text, from.parameters, scanRepository)
	if err != nil {
		return nil, err
	}
	found := map[coordinator.RepositoryID]coordinator.Repository{}
	for _, repository := range assemble(rows) {
		found[repository.ID] = repository
	}
	return found, nil
}

// nextRepositories takes the answer to [load] in a batch.
func nextRepositories(a *answers) ([]coordinator.Repository, error) {
	rows, err := next(a, scanRepository)
	return assemble(rows), err
}

// assemble puts the rows of each repository, which follow each other, together.
func assemble(rows []repositoryRow) []coordinator.Repository {
	var list []coordinator.Repository
	for _, row := range rows {
		if len(list) == 0 || list[len(list)-1].ID != row.repository.ID {
			list = append(list, row.repository)
		}
		last := &list[len(list)-1]
		if row.present {
			last.Replicas = append(last.Replicas, row.replica)
		}
	}
	return list
}

func scanRepository(row pgx.CollectableRow) (repositoryRow, error) {
	var (
		scanned           repositoryRow
		r                 = &scanned.repository
		state             string
		storage           *string
		generation        *int64
		assigned, joining *bool
		filling           *bool
		verifiedAt        *time.Time
	)
	err := row.Scan(&r.ID, &r.Key.VirtualStorage, &r.Key.RelativePath, &r.ReplicaPath, &state,
		&r.Generation, &r.Primary, &r.Epoch, &r.Invalidated, &r.TurnHeld,
		&storage, &generation, &assigned, &joining, &scanned.replica.Repairing,
		&verifiedAt, &filling)
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
		scanned.replica.Filling = *filling
		if verifiedAt != nil {
			scanned.replica.VerifiedAt = verifiedAt.UTC()
		}
	}
	return scanned, nil
}

// changed runs a statement that returns the rows it changed: none is an error of the contract.
func (s *Store) changed(
	ctx context.Context, text string, parameters arguments, otherwise error,
) error {
	_, err := queryOne(ctx, s, text, parameters, pgx.RowTo[int64])
	if errors.Is(err, pgx.ErrNoRows) {
		return otherwise
	}
	return err
}

// execute runs a statement whose rows do not matter.
func (s *Store) execute(ctx context.Context, text string, parameters arguments) error {
	_, err := query(ctx, s, text, parameters, func(pgx.CollectableRow) (struct{}, error) {
		return struct{}{}, nil
	})
	return err
}
