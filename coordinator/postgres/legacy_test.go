package postgres_test

import (
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"praefect/coordinator"
	"praefect/coordinator/postgres"
	"praefect/test/pgtest"
)

// existing is a database that an existing Praefect has written to, and this release migrated.
type existing struct {
	config postgres.Config
	store  *postgres.Store
	pool   *pgxpool.Pool
}

func newExisting(t *testing.T) existing {
	t.Helper()
	config := pgtest.Migrated(t)
	pool, err := pgxpool.New(t.Context(), "host="+config.Host+" port="+config.Port+
		" user="+config.User+" dbname="+config.DBName)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	for _, file := range []string{"testdata/existing_schema.sql", "testdata/existing.sql"} {
		script, err := os.ReadFile(file)
		require.NoError(t, err)
		_, err = pool.Exec(t.Context(), string(script))
		require.NoError(t, err)
	}
	return existing{config: config, store: open(t, config), pool: pool}
}

func (e existing) request() postgres.ImportRequest {
	return postgres.ImportRequest{Source: e.config, Skip: true, Cluster: coordinator.Cluster{
		VirtualStorages: map[coordinator.VirtualStorage]coordinator.VirtualStorageConfig{
			"default": {Storages: []coordinator.Storage{"gitaly-1", "gitaly-2", "gitaly-3"}},
		},
	}}
}

// standing is what is asserted of a replica.
type standing struct {
	generation coordinator.Generation
	assigned   bool
}

func (e existing) replicas(
	t *testing.T, id coordinator.RepositoryID,
) map[coordinator.Storage]standing {
	t.Helper()
	repository, err := e.store.Load(t.Context(), id)
	require.NoError(t, err)
	found := map[coordinator.Storage]standing{}
	for _, replica := range repository.Replicas {
		found[replica.Storage] = standing{replica.Generation, replica.Assigned}
	}
	return found
}

func (e existing) rows(t *testing.T, text string) []string {
	t.Helper()
	rows, err := e.pool.Query(t.Context(), text)
	require.NoError(t, err)
	var lines []string
	for rows.Next() {
		var line string
		require.NoError(t, rows.Scan(&line))
		lines = append(lines, line)
	}
	require.NoError(t, rows.Err())
	return lines
}

func TestImport(t *testing.T) {
	t.Parallel()
	e := newExisting(t)
	request := e.request()
	request.DryRun = true
	planned, err := e.config.Import(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, 3, planned.Repositories)
	require.Len(t, planned.Skipped, 2)
	require.Equal(t, `repository 3, "lost.git" in "default": it has no replica`,
		planned.Skipped[0].String())
	require.Equal(t, "its virtual storage is not configured", planned.Skipped[1].Reason)
	_, err = e.store.Load(t.Context(), 1)
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound, "nothing was changed")

	request.DryRun, request.Skip = false, false
	_, err = e.config.Import(t.Context(), request)
	require.ErrorIs(t, err, postgres.ErrUnmapped)
	_, err = e.store.Load(t.Context(), 1)
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound, "nothing was changed")

	request.Skip = true
	done, err := e.config.Import(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, planned, done)
	one, err := e.store.Load(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, "@hashed/aa/bb/one.git", one.ReplicaPath)
	require.Equal(t, coordinator.Storage("gitaly-1"), one.Primary)
	require.EqualValues(t, 5, one.Generation)
	require.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), one.Replicas[0].VerifiedAt)
	require.Equal(t, map[coordinator.Storage]standing{
		"gitaly-1": {5, true}, "gitaly-2": {4, true}, "gitaly-3": {coordinator.Absent, true},
	}, e.replicas(t, 1), "without assignments it is meant to be everywhere")
	require.False(t, one.Replicas[0].Filling)
	require.True(t, one.Replicas[1].Filling, "one copy is enough until there are more")
	require.Equal(t, map[coordinator.Storage]standing{
		"gitaly-2": {0, true}, "gitaly-3": {coordinator.Absent, true}, "gitaly-9": {0, false},
	}, e.replicas(t, 2))
	require.Equal(t, map[coordinator.Storage]standing{
		"gitaly-1": {3, true}, "gitaly-3": {coordinator.Absent, false},
	}, e.replicas(t, 5), "a replica that was being deleted is not believed in")

	again, err := e.config.Import(t.Context(), request)
	require.NoError(t, err)
	require.Zero(t, again.Repositories, "they are there already")
	require.Len(t, again.Skipped, 5)
}

func TestImportRefused(t *testing.T) {
	t.Parallel()
	e := newExisting(t)
	_, err := e.pool.Exec(t.Context(),
		"UPDATE public.node_status SET last_contact_attempt_at = now()")
	require.NoError(t, err)
	_, err = e.config.Import(t.Context(), e.request())
	require.ErrorIs(t, err, postgres.ErrLegacyServes)
	require.ErrorContains(t, err, "praefect-0")
	_, err = e.config.Export(t.Context(), postgres.ExportRequest{Target: e.config})
	require.ErrorIs(t, err, postgres.ErrLegacyServes)
	request := e.request()
	request.Source = pgtest.Migrated(t)
	_, err = e.config.Import(t.Context(), request)
	require.ErrorIs(t, err, postgres.ErrNoLegacy)
}

// change removes a repository, tracks two and appoints a primary.
func (e existing) change(t *testing.T) {
	t.Helper()
	require.NoError(t, e.store.Forget(t.Context(), coordinator.Key{
		VirtualStorage: "default", RelativePath: "five.git",
	}))
	require.NoError(t, e.store.Track(t.Context(), coordinator.Tracking{
		ID:          1<<62 + 1,
		Key:         coordinator.Key{VirtualStorage: "default", RelativePath: "lost.git"},
		ReplicaPath: "@cluster/repositories/aa/bb/found", Primary: "gitaly-1",
		Present:  []coordinator.Storage{"gitaly-1"},
		Assigned: []coordinator.Storage{"gitaly-1"},
	}))
	require.NoError(t, e.store.Track(t.Context(), coordinator.Tracking{
		ID:          1 << 62,
		Key:         coordinator.Key{VirtualStorage: "default", RelativePath: "new.git"},
		ReplicaPath: "@cluster/repositories/aa/bb/new", Primary: "gitaly-3",
		Present:  []coordinator.Storage{"gitaly-3"},
		Assigned: []coordinator.Storage{"gitaly-1", "gitaly-3"},
	}))
	_, err := e.store.Appoint(t.Context(), coordinator.Appointment{
		Repository: 1, Storage: "gitaly-2",
	})
	require.NoError(t, err)
}

// TestReturn writes with this release, removes a repository, makes two, one of them in place of
// what the import has left out, and goes back. What else was left out stays as it was.
func TestReturn(t *testing.T) {
	t.Parallel()
	e := newExisting(t)
	_, err := e.config.Import(t.Context(), e.request())
	require.NoError(t, err)
	e.change(t)
	enlist(t, e.store)
	_, err = e.config.Export(t.Context(), postgres.ExportRequest{Target: e.config})
	require.ErrorIs(t, err, postgres.ErrNotAtRest, "a proxy serves")
	require.NoError(t, e.store.Resign(t.Context(), self))
	for _, dryRun := range []bool{true, false} {
		move, err := e.config.Export(t.Context(), postgres.ExportRequest{
			Target: e.config, DryRun: dryRun,
		})
		require.NoError(t, err)
		require.Equal(t, postgres.Move{
			Repositories: 4, Replicas: 6, Assignments: 5, Removed: 2,
		}, move)
	}
	require.Equal(t, []string{
		"1 @hashed/aa/bb/one.git 6 gitaly-2",
		"2 two.git 0 gitaly-2",
		"4 four.git 1 other",
		"4611686018427387904 new.git 0 gitaly-3",
		"4611686018427387905 lost.git 0 gitaly-1",
	}, e.rows(t, `SELECT concat_ws(' ', repository_id, relative_path, generation, "primary")
	                FROM public.repositories ORDER BY repository_id`))
	require.Equal(t, []string{
		"1 gitaly-1 5", "1 gitaly-2 6", "2 gitaly-2 0", "2 gitaly-9 0", "4 other 1",
		"4611686018427387904 gitaly-3 0", "4611686018427387905 gitaly-1 0",
	}, e.rows(t, `SELECT concat_ws(' ', repository_id, storage, generation)
	                FROM public.storage_repositories ORDER BY repository_id, storage`),
		"the stale replica stays behind")
	require.Equal(t, []string{
		"2 gitaly-2", "2 gitaly-3", "4611686018427387904 gitaly-1", "4611686018427387904 gitaly-3",
		"4611686018427387905 gitaly-1",
	}, e.rows(t, `SELECT concat_ws(' ', repository_id, storage)
	                FROM public.repository_assignments ORDER BY repository_id, storage`))
	require.Equal(t, []string{"0"},
		e.rows(t, "SELECT count(*)::text FROM public.replication_queue"))
}

// TestReturnInDoubt has a proxy die in the middle of a call that nobody votes on. Its replicas may
// differ, so nobody goes back before they are compared.
func TestReturnInDoubt(t *testing.T) {
	t.Parallel()
	e := newExisting(t)
	_, err := e.config.Import(t.Context(), e.request())
	require.NoError(t, err)
	enlist(t, e.store)
	require.NoError(t, e.store.Announce(t.Context(), coordinator.Announcement{
		Write: 1, Repository: 1, Incarnation: self,
		Participants: []coordinator.Storage{"gitaly-1", "gitaly-2"},
	}))
	require.NoError(t, e.store.Resign(t.Context(), self))
	refused := func(why string) {
		t.Helper()
		_, err := e.config.Export(t.Context(), postgres.ExportRequest{Target: e.config})
		require.ErrorIs(t, err, postgres.ErrNotAtRest, why)
		require.ErrorContains(t, err, "replicas of 1 are to be compared")
	}
	refused("nobody has found the call")
	count, err := e.store.AdoptAnnouncements(t.Context(), 10, 0)
	require.NoError(t, err)
	require.Equal(t, 1, count)
	refused("nobody has compared the replicas")
	due, err := e.store.ClaimVerifications(t.Context(), 10, time.Minute)
	require.NoError(t, err)
	require.Len(t, due, 1)
	refused("somebody is about to")
	require.NoError(t, e.store.Verified(t.Context(), due[0]))
	_, err = e.config.Export(t.Context(), postgres.ExportRequest{Target: e.config})
	require.NoError(t, err)
}

// TestReturnOfMany removes more repositories than the existing release's triggers can tell of in
// one notification.
func TestReturnOfMany(t *testing.T) {
	t.Parallel()
	const many = 300
	e := newExisting(t)
	_, err := e.config.Import(t.Context(), e.request())
	require.NoError(t, err)
	_, err = e.pool.Exec(t.Context(), `
		INSERT INTO public.repositories (repository_id, virtual_storage, relative_path, generation)
		SELECT n, 'default', '@hashed/' || repeat(md5(n::text), 2) || '.git', 0
		  FROM generate_series(1001, 1000 + $1) AS n`, many)
	require.NoError(t, err)
	_, err = e.pool.Exec(t.Context(), "DELETE FROM public.repositories WHERE generation = 0")
	require.ErrorContains(t, err, "payload string too long", "the tables are as the triggers say")
	move, err := e.config.Export(t.Context(), postgres.ExportRequest{Target: e.config})
	require.NoError(t, err)
	require.Equal(t, many, move.Removed)
	require.Equal(t, []string{"1", "2", "3", "4", "5"}, e.rows(t,
		"SELECT repository_id::text FROM public.repositories ORDER BY repository_id"))
}
