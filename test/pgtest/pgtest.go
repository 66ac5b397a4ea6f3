// Package pgtest gives each test a PostgreSQL database of its own: empty, or with the schema of
// this release, cloned from a template in well under a tenth of a second. All tests of a process
// share one private server, which ends with the process. Without the server's binaries tests are
// skipped and say which package to install.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/coordinator/postgres"
	"praefect/coordinator/postgres/pgserver"
	"praefect/migrations"
)

const template = "praefect_template"

// shared is the server of this process.
type shared struct {
	server *pgserver.Server
	err    error
}

var (
	started = sync.OnceValue(func() shared {
		server, err := pgserver.Start(context.Background(), pgserver.Config{})
		return shared{server, err}
	})
	migrated  = sync.OnceValue(makeTemplate)
	databases atomic.Int64
)

// Server returns the server of this process. It ends when the process does.
func Server(tb testing.TB) *pgserver.Server {
	tb.Helper()
	process := started()
	if errors.Is(process.err, pgserver.ErrNotInstalled) {
		tb.Skip(process.err)
	}
	require.NoError(tb, process.err)
	return process.server
}

// Empty returns how to reach a new database without any tables.
func Empty(tb testing.TB) postgres.Config {
	tb.Helper()
	return create(tb, "")
}

// Migrated returns how to reach a new database with the schema of this release.
func Migrated(tb testing.TB) postgres.Config {
	tb.Helper()
	Server(tb)
	require.NoError(tb, migrated())
	return create(tb, template)
}

func create(tb testing.TB, from string) postgres.Config {
	tb.Helper()
	server := Server(tb)
	name := fmt.Sprintf("test_%d", databases.Add(1))
	require.NoError(tb, server.Create(tb.Context(), name, from))
	tb.Cleanup(func() {
		require.NoError(tb, server.Drop(context.WithoutCancel(tb.Context()), name))
	})
	return config(server, name)
}

func config(server *pgserver.Server, database string) postgres.Config {
	return postgres.Config{
		Host: server.Host(), Port: fmt.Sprint(pgserver.Port), User: pgserver.User,
		DBName: database, SSLMode: "disable",
	}
}

// makeTemplate migrates the database that others are cloned from.
func makeTemplate() error {
	server, ctx := started().server, context.Background()
	if err := server.Create(ctx, template, ""); err != nil {
		return err
	}
	db, err := config(server, template).OpenDB()
	if err != nil {
		return err
	}
	migrator, err := migrations.New(db)
	if err == nil {
		err = migrator.Up(ctx, func(migrations.Step) {})
	}
	// A template can be cloned only while nobody is connected to it.
	return errors.Join(err, db.Close())
}
