package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/jackc/pgx/v5"
)

// Ready is the state of a repository that is there.
const Ready = "ready"

// Repository is what is recorded about a repository.
type Repository struct {
	// Path is the relative path that clients use, Replica the one on disks.
	Path, Replica string
	State         string
	Primary       string
	Generation    int64
	// Replicas are the generations of the assigned replicas by storage.
	Replicas map[string]int64
}

// equal tells whether nothing has changed.
func (r Repository) equal(other Repository) bool {
	return r.Replica == other.Replica && r.State == other.State && r.Primary == other.Primary &&
		r.Generation == other.Generation && maps.Equal(r.Replicas, other.Replicas)
}

// Metadata reads what is recorded. It may be used concurrently.
type Metadata struct{ dsn string }

// NewMetadata returns a reader of a database.
func NewMetadata(dsn string) *Metadata { return &Metadata{dsn: dsn} }

// statements are those of a release.
type statements struct {
	// repositories lists replicas with what is recorded about their repository.
	repositories string
	// open lists writes that were begun and have not ended; empty when none are recorded.
	open string
}

// ours are the statements for the schema praefect, the intents only if there is a table for them.
func ours(intents bool) statements {
	s := statements{repositories: `
		SELECT r.relative_path, r.replica_path, r.state, r.primary_storage, r.generation,
		       coalesce(c.storage, ''), coalesce(c.generation, -1)
		FROM praefect.repositories AS r
		LEFT JOIN praefect.replicas AS c ON c.repository_id = r.id AND c.assigned
		ORDER BY 1, 2, 6`}
	if intents {
		s.open = `SELECT row_to_json(i)::text FROM praefect.write_intents AS i`
	}

	return s
}

// existing are the statements for the existing release.
func existing() statements {
	return statements{repositories: `
		SELECT r.relative_path, r.replica_path, 'ready', coalesce(r."primary", ''), r.generation,
		       coalesce(c.storage, ''), coalesce(c.generation, -1)
		FROM public.repositories AS r
		LEFT JOIN public.storage_repositories AS c ON c.repository_id = r.repository_id
		ORDER BY 1, 2, 6`}
}

// Snapshot is everything at one moment.
type Snapshot struct {
	Repositories []Repository
	// Open are the writes that have not ended, as they are recorded.
	Open []string
}

// Look reads everything in one snapshot.
func (m *Metadata) Look(ctx context.Context) (snapshot Snapshot, err error) {
	conn, err := pgx.Connect(ctx, m.dsn)
	if err != nil {
		return Snapshot{}, fmt.Errorf("connect to database: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()

	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, conn, options, func(tx pgx.Tx) error {
		s, err := choose(ctx, tx)
		if err != nil {
			return err
		}
		if snapshot.Repositories, err = repositories(ctx, tx, s); err != nil || s.open == "" {
			return err
		}
		rows, err := tx.Query(ctx, s.open)
		if err != nil {
			return fmt.Errorf("list open writes: %w", err)
		}
		if snapshot.Open, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return fmt.Errorf("list open writes: %w", err)
		}

		return nil
	})
	if err != nil {
		return Snapshot{}, fmt.Errorf("read metadata: %w", err)
	}

	return snapshot, nil
}

// choose finds out which release the metadata are of.
func choose(ctx context.Context, tx pgx.Tx) (statements, error) {
	var mine, intents bool
	err := tx.QueryRow(ctx, `SELECT to_regclass('praefect.repositories') IS NOT NULL,
		to_regclass('praefect.write_intents') IS NOT NULL`).Scan(&mine, &intents)
	if err != nil {
		return statements{}, fmt.Errorf("look for tables: %w", err)
	}
	if mine {
		return ours(intents), nil
	}

	return existing(), nil
}

func repositories(ctx context.Context, tx pgx.Tx, s statements) ([]Repository, error) {
	rows, err := tx.Query(ctx, s.repositories)
	if err != nil {
		return nil, fmt.Errorf("list replicas: %w", err)
	}

	var found []Repository
	var row Repository
	var storage string
	var generation int64
	_, err = pgx.ForEachRow(rows, []any{
		&row.Path, &row.Replica, &row.State, &row.Primary, &row.Generation, &storage, &generation,
	}, func() error {
		if len(found) == 0 || found[len(found)-1].Replica != row.Replica {
			row.Replicas = map[string]int64{}
			found = append(found, row)
		}
		if storage != "" {
			found[len(found)-1].Replicas[storage] = generation
		}

		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list replicas: %w", err)
	}

	return found, nil
}

// Unsettled says what is not as it has to be in the end, with so many replicas of each repository.
func (s Snapshot) Unsettled(replicas int) []string {
	var found []string
	for _, open := range s.Open {
		found = append(found, "a write is open: "+open)
	}
	for _, r := range s.Repositories {
		if r.State != Ready {
			found = append(found, fmt.Sprintf("%s (%s) is %s", r.Path, r.Replica, r.State))

			continue
		}
		current := 0
		for _, generation := range r.Replicas {
			if generation == r.Generation {
				current++
			}
		}
		if current < replicas {
			found = append(found, fmt.Sprintf("%s (%s) has generation %d, replicas %v",
				r.Path, r.Replica, r.Generation, r.Replicas))
		}
	}

	return found
}

// Behind tells whether a replica is behind.
func (s Snapshot) Behind() bool {
	for _, r := range s.Repositories {
		for _, generation := range r.Replicas {
			if r.State == Ready && generation != r.Generation {
				return true
			}
		}
	}

	return false
}

// Primary returns the paths of repositories with that primary.
func (s Snapshot) Primary(storage string) []string {
	var paths []string
	for _, r := range s.Repositories {
		if r.Primary == storage {
			paths = append(paths, r.Path)
		}
	}

	return paths
}
