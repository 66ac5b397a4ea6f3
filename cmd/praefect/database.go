package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"praefect/cmd/internal/configfile"
	"praefect/coordinator/postgres"
)

// openStore connects to the metadata and checks that they can be used. The caller closes it.
func openStore(ctx context.Context, config *configfile.Loaded) (*postgres.Store, error) {
	ctx, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()

	store, err := postgres.Open(ctx, zap.NewNop(), config.Database.Config())
	if err != nil {
		return nil, fmt.Errorf("connect to database: %w", err)
	}
	if err := store.Ping(ctx); err != nil {
		store.Close()

		return nil, fmt.Errorf("connect to database: %w", err)
	}

	return store, nil
}

// withStore calls a function with the metadata.
func withStore(
	ctx context.Context, config *configfile.Loaded, use func(*postgres.Store) error,
) error {
	store, err := openStore(ctx, config)
	if err != nil {
		return err
	}
	defer store.Close()

	return use(store)
}

// withNodes calls a function with the nodes and the metadata.
func withNodes(
	ctx context.Context, config *configfile.Loaded, use func(*nodes, *postgres.Store) error,
) (err error) {
	connections, err := dialNodesOf(config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, connections.close()) }()

	return withStore(ctx, config, func(store *postgres.Store) error {
		return use(connections, store)
	})
}

// correlationID is a name for what one run of a command does.
func correlationID() string { return rand.Text() }
