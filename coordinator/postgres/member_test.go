package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
	"praefect/test/pgtest"
)

// renewals are enough for one of them to prune.
const renewals = 60

// TestPruning keeps only what somebody may still ask for.
func TestPruning(t *testing.T) {
	t.Parallel()
	config := pgtest.Migrated(t)
	store, dsn := open(t, config), pgtest.Server(t).DSN(config.DBName)
	watch := connect(t, dsn)
	enlist(t, store)
	execute(t, dsn, `
		INSERT INTO praefect.proxies (incarnation, name, lease_ends_at, applied)
		VALUES (2, 'behind', now() + interval '1 hour', 5),
		       (3, 'ended', now() - interval '1 minute', 0),
		       (4, 'forgotten', now() - interval '1 hour', 0),
		       (5, 'creator', now() - interval '1 hour', 0),
		       (6, 'owner', now() - interval '1 hour', 0),
		       (7, 'adopter', now() - interval '1 hour', 0)`)
	execute(t, dsn, `
		INSERT INTO praefect.repositories
		       (id, virtual_storage, relative_path, replica_path, state, primary_storage, creator)
		VALUES (1, 'default', 'a.git', 'a', 'creating', 'a', 5),
		       (2, 'default', 'b.git', 'b', 'ready', 'b', NULL)`)
	execute(t, dsn, `
		INSERT INTO praefect.write_intents
		       (repository_id, write_id, incarnation, kind, participants, adopter)
		VALUES (2, 1, 6, 'references', '{}', 7)`)
	execute(t, dsn, `
		INSERT INTO praefect.invalidations
		       (sequence, repository_id, virtual_storage, relative_path, created_at)
		SELECT n, 1, 'default', 'a.git', now() - interval '1 hour' * (n <> 3)::integer
		  FROM generate_series(1, 8) AS n`)
	execute(t, dsn, "UPDATE praefect.invalidation_counter SET last = 8")

	for range renewals {
		_, err := store.Renew(t.Context(), coordinator.Renewal{
			Incarnation: self, TTL: time.Hour, Applied: 8,
		})
		require.NoError(t, err)
	}
	list := func(column, table string) (numbers []int64) {
		require.NoError(t, watch.QueryRow(t.Context(), fmt.Sprintf(
			"SELECT array_agg(%[1]s ORDER BY %[1]s) FROM praefect.%[2]s", column, table,
		)).Scan(&numbers))
		return numbers
	}
	require.Equal(t, []int64{3, 6, 7, 8}, list("sequence", "invalidations"),
		"one is young, and somebody lacks the last ones")
	require.Equal(t, []int64{1, 2, 3, 5, 6, 7}, list("incarnation", "proxies"))
}

// TestOrdinaryUser needs nothing but the rights on the tables.
func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	config := pgtest.Migrated(t)
	user := "ordinary_" + config.DBName
	dsn := pgtest.Server(t).DSN(config.DBName)
	execute(t, dsn, "CREATE ROLE "+user+" LOGIN")
	execute(t, dsn, "GRANT USAGE ON SCHEMA praefect TO "+user)
	execute(t, dsn,
		"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA praefect TO "+user)
	defer func() {
		execute(t, dsn, "DROP OWNED BY "+user)
		execute(t, dsn, "DROP ROLE "+user)
	}()
	config.User = user
	store := open(t, config)
	enlist(t, store)
	known, err := store.Renew(t.Context(), coordinator.Renewal{
		Incarnation: self, TTL: time.Hour,
	})
	require.NoError(t, err)
	require.Equal(t, "00000001", known.Timeline)
	require.NoError(t, store.Create(t.Context(), creation("a.git")))
	hear(t, dsn, "free 1", coordinator.Notice{
		Kind: coordinator.NoticeTurnFree, Repository: 1,
	}, listening(t, store))
	store.Close()
}
