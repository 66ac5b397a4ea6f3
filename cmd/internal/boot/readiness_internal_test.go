package boot

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"praefect/cmd/internal/configfile"
	"praefect/coordinator"
	"praefect/coordinator/membership"
	"praefect/coordinator/memory"
	"praefect/test/pgtest"
)

// TestReady is not ready before the first lease, unless reads are served without any.
func TestReady(t *testing.T) {
	t.Parallel()

	for policy, want := range map[string]error{"": errNoLease, "strict": errNoLease, "serve": nil} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()

			file := &configfile.File{}
			file.Transactions.OutageReads = policy
			s := &server{Options: Options{Config: file}}
			worker, err := membership.New(membership.Dependencies{
				Store: memory.New(), Registerer: prometheus.NewRegistry(),
			}, zap.NewNop(), membership.Config{Name: "test"})
			require.NoError(t, err)
			s.membership = worker
			require.ErrorIs(t, s.ready(), want)
			require.ErrorIs(t, s.checkLease(t.Context()), errNoLease)
		})
	}
}

// TestReadiness asks a server whose only node is not there, then gives it a repository there, and
// then makes it impossible to write.
func TestReadiness(t *testing.T) {
	t.Parallel()

	const repositories, database = "unavailable repositories", "database read/write"
	s := started(t)
	checks := s.readiness()
	require.Len(t, checks, 5)
	require.NoError(t, checks["praefect migrations"](t.Context()))
	require.NoError(t, checks["praefect lease"](t.Context()))
	require.ErrorContains(t, checks["gitaly node connectivity & disk access"](t.Context()),
		"the following nodes are not healthy: default/gitaly-1")
	require.NoError(t, checks[repositories](t.Context()))
	require.NoError(t, checks[database](t.Context()))

	require.NoError(t, s.store.Track(t.Context(), coordinator.Tracking{
		ID: 1, Key: coordinator.Key{VirtualStorage: "default", RelativePath: "a.git"},
		ReplicaPath: "a.git", Primary: "gitaly-1",
		Present: []coordinator.Storage{"gitaly-1"}, Assigned: []coordinator.Storage{"gitaly-1"},
	}))
	require.EqualError(t, checks[repositories](t.Context()),
		`repositories unavailable: 1 in virtual storage "default"`)

	conn, err := pgx.Connect(t.Context(), pgtest.Server(t).DSN(s.Config.Database.DBName))
	require.NoError(t, err)
	defer conn.Close(t.Context()) //nolint:errcheck // It only forbade.
	_, err = conn.Exec(t.Context(), "ALTER TABLE praefect.walks RENAME TO away")
	require.NoError(t, err)
	require.ErrorContains(t, checks[database](t.Context()), "error writing to table: ")
}
