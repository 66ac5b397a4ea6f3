package migrations_test

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"praefect/migrations"
	"praefect/test/pgtest"
)

func open(t *testing.T) *sql.DB {
	t.Helper()
	db, err := pgtest.Empty(t).OpenDB()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func migrator(t *testing.T, db *sql.DB) *migrations.Migrator {
	t.Helper()
	made, err := migrations.New(db)
	require.NoError(t, err)
	return made
}

func text(t *testing.T, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	var values []string
	for rows.Next() {
		var value string
		require.NoError(t, rows.Scan(&value))
		values = append(values, value)
	}
	require.NoError(t, rows.Err())
	return values
}

const tables = `SELECT schemaname || '.' || tablename FROM pg_tables
	WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`

func TestUpAndDown(t *testing.T) {
	t.Parallel()
	db := open(t)
	_, err := db.ExecContext(t.Context(), "CREATE TABLE public.repositories (mine text)")
	require.NoError(t, err)
	m := migrator(t, db)

	pending, err := m.Pending(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, pending)
	require.ErrorIs(t, m.Down(t.Context(), 1, nil), migrations.ErrNothingToRollBack)
	require.Equal(t, []string{"public.repositories"}, text(t, db, tables),
		"looking leaves nothing behind")

	var steps []migrations.Step
	note := func(step migrations.Step) { steps = append(steps, step) }
	require.NoError(t, m.Up(t.Context(), note))
	require.Len(t, steps, 2*len(pending), "one before and one after each")
	require.Equal(t, "00001_metadata", steps[0].Name)
	require.Contains(t, steps[0].SQL, "CREATE TABLE praefect.repositories")
	require.NotContains(t, steps[0].SQL, "DROP TABLE")
	require.False(t, steps[0].Done)
	require.True(t, steps[1].Done)
	require.False(t, steps[1].Skipped)
	require.Subset(t, text(t, db, tables), []string{
		"praefect.migrations", "praefect.migration_lock",
		"praefect.repositories", "praefect.replicas",
	})

	steps = nil
	require.NoError(t, m.Up(t.Context(), note), "running twice is fine")
	require.Empty(t, steps)
	status, err := m.Status(t.Context())
	require.NoError(t, err)
	for _, migration := range status {
		require.NotZero(t, migration.AppliedAt, migration.Name)
	}

	require.NoError(t, m.Down(t.Context(), len(status), note))
	require.Equal(t, []string{
		"praefect.migration_lock", "praefect.migrations", "public.repositories",
	}, text(t, db, tables), "other tables of the same names are left alone")
	require.ErrorIs(t, m.Down(t.Context(), 1, note), migrations.ErrNothingToRollBack)
	require.NoError(t, m.Up(t.Context(), note), "and up again")
}

func TestUpConcurrently(t *testing.T) {
	t.Parallel()
	config := pgtest.Empty(t)
	const processes = 6
	var group errgroup.Group
	applied := make([]int, processes)
	for i := range processes {
		group.Go(func() error {
			db, err := config.OpenDB()
			if err != nil {
				return err
			}
			defer db.Close() //nolint:errcheck // nothing is under way
			m, err := migrations.New(db)
			if err != nil {
				return err
			}
			return m.Up(t.Context(), func(step migrations.Step) {
				if step.Done && !step.Skipped {
					applied[i]++
				}
			})
		})
	}
	require.NoError(t, group.Wait())
	total := 0
	for _, count := range applied {
		total += count
	}

	db, err := config.OpenDB()
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	status, err := migrator(t, db).Status(t.Context())
	require.NoError(t, err)
	require.Len(t, status, total, "each migration is applied once")
}

func TestNewerRelease(t *testing.T) {
	t.Parallel()
	db := open(t)
	m := migrator(t, db)
	none := func(migrations.Step) {}
	require.NoError(t, m.Up(t.Context(), none))
	_, err := db.ExecContext(t.Context(),
		"INSERT INTO praefect.migrations (version_id, is_applied) VALUES (99999, true)")
	require.NoError(t, err)

	m = migrator(t, db)
	require.NoError(t, m.Up(t.Context(), none), "this release works with a newer schema")
	status, err := m.Status(t.Context())
	require.NoError(t, err)
	last := status[len(status)-1]
	require.True(t, last.Unknown)
	require.Equal(t, "99999", last.Name)
	require.ErrorIs(t, m.Down(t.Context(), 1, none), migrations.ErrUnknownMigration)
}

// TestNoRights has a role that may connect and not make a schema.
func TestNoRights(t *testing.T) {
	t.Parallel()
	config := pgtest.Empty(t)
	db, err := config.OpenDB()
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	// Roles belong to the server, which other tests share.
	config.User = "reader_of_" + config.DBName
	_, err = db.ExecContext(t.Context(), "CREATE ROLE "+config.User+" LOGIN")
	require.NoError(t, err)
	reader, err := config.OpenDB()
	require.NoError(t, err)
	defer func() { require.NoError(t, reader.Close()) }()
	m := migrator(t, reader)
	pending, err := m.Pending(t.Context())
	require.NoError(t, err, "looking needs no rights")
	require.NotEmpty(t, pending)
	err = m.Up(t.Context(), func(migrations.Step) {})
	require.ErrorContains(t, err, "create schema praefect")
	require.ErrorContains(t, err, "permission denied")
}
