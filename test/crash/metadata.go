package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/jackc/pgx/v5"
)

// record is what the metadata say about one repository.
type record struct {
	id          int64
	state       string
	replicaPath string
	primary     string
	generation  int64
	// replicas are the generations of assigned replicas by storage.
	replicas map[string]int64
	// intents counts the turns that are held or left, announcements the calls under way that may do
	// something without a vote.
	intents, announcements int
	// doubtful says that the replicas are to be compared because they may differ.
	doubtful bool
}

// errNoRecord says that the metadata do not know the repository.
var errNoRecord = errors.New("the metadata do not know the repository")

// current lists the storages whose replicas are recorded as current, sorted.
func (r record) current() []string {
	var storages []string
	for storage, generation := range r.replicas {
		if generation == r.generation {
			storages = append(storages, storage)
		}
	}
	slices.Sort(storages)

	return storages
}

// query runs f on a connection of its own: the server may just have been started again.
func (s *stage) query(ctx context.Context, f func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, s.Database().DSN())
	if err != nil {
		return fmt.Errorf("connect to database: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is under way

	return f(conn)
}

// look reads the metadata of the repository at a path, which may be being created, but not of one
// that is being deleted.
func (s *stage) look(ctx context.Context, path string) (record, error) {
	const query = `
		SELECT r.id, r.state::text, r.replica_path, coalesce(r.primary_storage, ''), r.generation,
			c.storage, c.generation,
			(SELECT count(*) FROM praefect.write_intents AS i WHERE i.repository_id = r.id),
			(SELECT count(*) FROM praefect.announcements AS a WHERE a.repository_id = r.id),
			r.verify_doubtful AND r.verify_due_at IS NOT NULL
		FROM praefect.repositories AS r
		JOIN praefect.replicas AS c ON c.repository_id = r.id
		WHERE r.relative_path = $1 AND r.state <> 'deleting' AND c.assigned`

	found := record{replicas: map[string]int64{}}
	err := s.query(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, query, path)
		if err != nil {
			return fmt.Errorf("read metadata: %w", err)
		}
		var storage string
		var generation int64
		_, err = pgx.ForEachRow(rows, []any{
			&found.id, &found.state, &found.replicaPath, &found.primary, &found.generation,
			&storage, &generation, &found.intents, &found.announcements, &found.doubtful,
		}, func() error {
			found.replicas[storage] = generation

			return nil
		})
		if err != nil {
			return fmt.Errorf("read metadata: %w", err)
		}

		return nil
	})
	if err == nil && len(found.replicas) == 0 {
		err = errNoRecord
	}

	return found, err
}

// known returns, by storage, the paths of all replicas that the metadata have a row for.
func (s *stage) known(ctx context.Context) (map[string]map[string]bool, error) {
	const query = `
		SELECT c.storage, r.replica_path
		FROM praefect.repositories AS r JOIN praefect.replicas AS c ON c.repository_id = r.id`

	found := map[string]map[string]bool{}
	for _, node := range s.Nodes() {
		found[node.Storage] = map[string]bool{}
	}
	err := s.query(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, query)
		if err != nil {
			return fmt.Errorf("read replicas: %w", err)
		}
		var storage, path string
		_, err = pgx.ForEachRow(rows, []any{&storage, &path}, func() error {
			found[storage][filepath.Clean(path)] = true

			return nil
		})

		return err
	})

	return found, err
}

// unfinished lists the creations and removals that have not come to their end, and the turns that
// are held, of all repositories.
func (s *stage) unfinished(ctx context.Context) (found []string, err error) {
	const query = `
		SELECT r.state || ' ' || r.relative_path || ' at ' || r.replica_path
		FROM praefect.repositories AS r WHERE r.state <> 'ready'
		UNION ALL
		SELECT 'a turn is held on repository ' || i.repository_id
		FROM praefect.write_intents AS i`

	err = s.query(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, query)
		if err != nil {
			return fmt.Errorf("read what is unfinished: %w", err)
		}
		if found, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return fmt.Errorf("read what is unfinished: %w", err)
		}

		return nil
	})

	return found, err
}
