package acceptance_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/coordinator/postgres/pgserver"
	"praefect/test/cluster"
)

// TestDatabaseFailover kills the first of two configured PostgreSQL servers and promotes its
// standby. Nothing is restarted; both proxies go on by themselves, and know what was written.
//
// Requirements: T044, T045
func TestDatabaseFailover(t *testing.T) {
	t.Parallel()
	first, err := pgserver.Start(t.Context(), pgserver.Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, first.Stop()) }()
	require.NoError(t, first.Create(t.Context(), "praefect", ""))
	second, err := first.Standby(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, second.Stop()) }()

	database := cluster.DatabaseOn(first, "praefect")
	// The one that takes writes is not the first.
	database.Host = second.Host() + "," + first.Host()
	c := start(t, cluster.Config{Database: database, Proxies: 2})
	conn := dialled(t, c, c.Proxies()[0].Address)
	repository := create(t, conn, "before.git")
	require.NoError(t, write(t.Context(), conn, repository, "main"))

	require.NoError(t, second.CaughtUp(t.Context(), first))
	require.NoError(t, first.Halt(pgserver.Immediate))
	killed := time.Now()
	require.NoError(t, second.Promote(t.Context()))
	promoted := time.Now()
	for i, proxy := range c.Proxies() {
		other := dialled(t, c, proxy.Address)
		require.Eventually(t, func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()

			return write(ctx, other, repository, fmt.Sprintf("after-%d", i)) == nil &&
				exists(ctx, other, repository) == nil
		}, wait, tick, "%s", proxy.Name)
	}
	t.Logf("writes on both proxies %s after the promotion, %s after the server was killed",
		time.Since(promoted), time.Since(killed))
	create(t, conn, "after.git")
}

// TestT045DatabaseRestart restarts the database, once in order and once not: the process stays, is
// told of changes again, and writes succeed.
func TestT045DatabaseRestart(t *testing.T) {
	t.Parallel()
	server, err := pgserver.Start(t.Context(), pgserver.Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Stop()) }()
	require.NoError(t, server.Create(t.Context(), "praefect", ""))
	c := start(t, cluster.Config{Database: cluster.DatabaseOn(server, "praefect")})
	conn := dialled(t, c, c.Proxy().Address)
	repository := create(t, conn, "restarted.git")
	pid := c.Proxy().Process().PID()
	for _, mode := range []pgserver.Mode{pgserver.Fast, pgserver.Immediate} {
		require.NoError(t, server.Halt(mode))
		require.NoError(t, server.Resume(t.Context()))
		outlast(t, func(ctx context.Context) error {
			return write(ctx, conn, repository, string(mode))
		})
		require.NoError(t, exists(t.Context(), conn, repository))
		requireReconnected(t, c.Proxy())
	}
	require.True(t, c.Proxy().Process().Running())
	require.Equal(t, pid, c.Proxy().Process().PID())
}
