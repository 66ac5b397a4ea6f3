package pgserver_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"praefect/coordinator/postgres/pgserver"
)

func start(t *testing.T, config pgserver.Config) *pgserver.Server {
	t.Helper()
	server, err := pgserver.Start(t.Context(), config)
	if errors.Is(err, pgserver.ErrNotInstalled) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	return server
}

func query(ctx context.Context, dsn, statement string) (string, error) {
	connection, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return "", err
	}
	defer connection.Close(ctx) //nolint:errcheck // nothing is under way
	var answer string
	err = connection.QueryRow(ctx, statement).Scan(&answer)
	return answer, err
}

func TestServer(t *testing.T) {
	t.Parallel()
	server := start(t, pgserver.Config{})
	ctx := t.Context()

	require.NoError(t, server.Create(ctx, "it's", ""))
	answer, err := query(ctx, server.DSN("it's"), "SELECT current_database()")
	require.NoError(t, err)
	require.Equal(t, "it's", answer)

	require.NoError(t, server.Create(ctx, "copy", "it's"))
	require.NoError(t, server.Drop(ctx, "it's"))
	require.NoError(t, server.Drop(ctx, "it's"), "dropping twice is fine")
	_, err = query(ctx, server.DSN("it's"), "SELECT '1'")
	require.ErrorContains(t, err, "does not exist")

	require.NoError(t, server.Stop())
	require.NoDirExists(t, server.Host())
	require.NoError(t, server.Stop(), "stopping twice is fine")
}

func TestServerDurable(t *testing.T) {
	t.Parallel()
	for want, durable := range map[string]bool{"on": true, "off": false} {
		server := start(t, pgserver.Config{Durable: durable})
		fsync, err := query(t.Context(), server.DSN("postgres"), "SHOW fsync")
		require.NoError(t, err)
		require.Equal(t, want, fsync)
	}
}

func TestServerHalts(t *testing.T) {
	t.Parallel()
	server := start(t, pgserver.Config{})
	ctx := t.Context()
	for _, mode := range []pgserver.Mode{pgserver.Fast, pgserver.Immediate} {
		database := "kept_" + string(mode)
		require.NoError(t, server.Create(ctx, database, ""))
		require.NoError(t, server.Halt(mode))
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			_, err := query(ctx, server.DSN(database), "SELECT '1'")
			assert.Error(c, err)
		}, 10*time.Second, 20*time.Millisecond)
		require.NoError(t, server.Resume(ctx))
		answer, err := query(ctx, server.DSN(database), "SELECT current_database()")
		require.NoError(t, err)
		require.Equal(t, database, answer)
	}
}

func TestServerPathTooLong(t *testing.T) {
	t.Parallel()
	parent := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	require.NoError(t, os.Mkdir(parent, 0o755))
	_, err := pgserver.Start(t.Context(), pgserver.Config{Parent: parent})
	if errors.Is(err, pgserver.ErrNotInstalled) {
		t.Skip(err)
	}
	require.ErrorIs(t, err, pgserver.ErrPathTooLong)
	left, err := os.ReadDir(parent)
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestServerEndsWithOwner kills the process that started a server.
func TestServerEndsWithOwner(t *testing.T) {
	t.Parallel()
	owner := exec.CommandContext(t.Context(), os.Args[0])
	owner.Env = append(os.Environ(), ownerVariable+"=1")
	stdin, err := owner.StdinPipe()
	require.NoError(t, err)
	defer stdin.Close() //nolint:errcheck // its reader was killed
	stdout, err := owner.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, owner.Start())

	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.NoError(t, owner.Process.Kill())
	require.Error(t, owner.Wait())
	host := strings.TrimSpace(line)
	if strings.Contains(host, pgserver.ErrNotInstalled.Error()) {
		t.Skip(host)
	}
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.NoDirExists(c, host)
	}, 10*time.Second, 20*time.Millisecond)
}
