package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"praefect/coordinator/postgres/pgserver"
	"praefect/test/cluster"
)

// shared is what all tests use: the programs of this tree, and a PostgreSQL server on which every
// cluster has a database of its own.
type shared struct {
	dir      string
	programs cluster.Programs
	server   *pgserver.Server
}

// suite is set by TestMain before the first test and not changed any more.
var suite *shared

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	suite, err = prepare(context.Background())
	if err != nil {
		return 1, err
	}

	code = m.Run()
	if err := errors.Join(suite.server.Stop(), os.RemoveAll(suite.dir)); err != nil {
		return 1, err
	}
	if code == 0 {
		return code, goleak.Find()
	}

	return code, nil
}

func prepare(ctx context.Context) (*shared, error) {
	dir, err := os.MkdirTemp("", "praefect-e2e-")
	if err != nil {
		return nil, fmt.Errorf("create directory: %w", err)
	}

	programs, err := cluster.Build(ctx, dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}

	// A cluster takes some ten connections, and the tests have a few clusters at a time.
	server, err := pgserver.Start(ctx, pgserver.Config{MaxConnections: 300})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}

	return &shared{dir: dir, programs: programs, server: server}, nil
}

// newDatabase makes an empty database that is dropped with the test.
func newDatabase(t *testing.T) cluster.Database {
	t.Helper()

	name := fmt.Sprintf("e2e_%x", rand.Uint64())
	require.NoError(t, suite.server.Create(t.Context(), name, ""))
	t.Cleanup(func() {
		require.NoError(t, suite.server.Drop(context.Background(), name))
	})

	return cluster.DatabaseOn(suite.server, name)
}
