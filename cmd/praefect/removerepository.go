package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v3"

	"praefect/cmd/internal/configfile"
	"praefect/coordinator"
	"praefect/coordinator/postgres"
	"praefect/proxy/gitalypb"
)

const (
	flagApply  = "apply"
	flagDBOnly = "db-only"
)

var errNotTracked = errors.New("repository is not being tracked in Praefect")

func removeRepositoryCommand() *cli.Command {
	return &cli.Command{
		Name:  "remove-repository",
		Usage: "remove a repository from the database and the disks",
		Description: "Without -apply it only says what it would do. With -apply it asks the " +
			"running Praefect to remove the repository; with -apply and -db-only it removes the " +
			"metadata and leaves the disks alone.",
		Flags: []cli.Flag{
			virtualStorageFlag(true), relativePathFlag(true),
			&cli.BoolFlag{Name: flagApply, Usage: "remove the repository"},
			&cli.BoolFlag{Name: flagDBOnly, Usage: "leave the disks alone"},
		},
		Action: subcommand(removeRepository),
	}
}

func removeRepository(ctx context.Context, cmd *cli.Command, config *configfile.Loaded) error {
	key := keyOf(cmd)

	return withStore(ctx, config, func(store *postgres.Store) error {
		p := &printer{out: cmd.Root().Writer}
		_, err := store.Lookup(ctx, key)
		switch {
		case errors.Is(err, coordinator.ErrRepositoryNotFound):
			return errNotTracked
		case err != nil:
			return fmt.Errorf("error getting storages from database: %w. Please make sure the "+
				"database parameters are set correctly and the database is accessible", err)
		case !cmd.Bool(flagApply):
			p.say("Repository found in the database.\n")
			p.say("Re-run the command with -apply to remove repositories from the database " +
				"and disk or -apply and -db-only to remove from database only.\n")

			return p.err
		case cmd.Bool(flagDBOnly):
			return forget(ctx, p.out, store, key)
		}

		return removeEverywhere(ctx, p.out, config, key)
	})
}

func keyOf(cmd *cli.Command) coordinator.Key {
	return coordinator.Key{
		VirtualStorage: coordinator.VirtualStorage(cmd.String(flagVirtualStorage)),
		RelativePath:   cmd.String(flagRelativePath),
	}
}

func forget(
	ctx context.Context, out io.Writer, store *postgres.Store, key coordinator.Key,
) error {
	p := &printer{out: out}
	p.say("Attempting to remove %s from the database...\n", key.RelativePath)
	err := store.Forget(ctx, key)
	if errors.Is(err, coordinator.ErrTurnTaken) {
		err = fmt.Errorf("a write is under way, try again: %w", err)
	}
	if err != nil {
		return fmt.Errorf("remove repository from database: %w", err)
	}
	p.say("Repository removal from database completed.\n")

	return p.err
}

func removeEverywhere(
	ctx context.Context, out io.Writer, config *configfile.Loaded, key coordinator.Key,
) error {
	p := &printer{out: out}
	p.say("Attempting to remove %s from the database, and delete it from all gitaly nodes...\n",
		key.RelativePath)
	conn, err := dialPraefect(config)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // The answer is what counts.

	_, err = gitalypb.NewRepositoryServiceClient(conn).RemoveRepository(ctx,
		&gitalypb.RemoveRepositoryRequest{Repository: &gitalypb.Repository{
			StorageName: string(key.VirtualStorage), RelativePath: key.RelativePath,
		}})
	if err != nil {
		return fmt.Errorf("repository removal failed: %w", err)
	}
	// Scripts wait for the last lines. What was to be repaired went with the rows.
	p.say("Repository removal completed.\n")
	p.say("Removing replication events...\n")
	p.say("Replication event removal completed.\n")

	return p.err
}
