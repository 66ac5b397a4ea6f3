package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v3"
	"go.uber.org/zap"

	"praefect/cmd/internal/configfile"
	"praefect/coordinator/postgres"
)

// databaseTimeout bounds the first contact with the database.
const databaseTimeout = 30 * time.Second

func sqlPingCommand() *cli.Command {
	return &cli.Command{
		Name:        "sql-ping",
		Usage:       "check that the database can be reached",
		Description: "Connects to the configured PostgreSQL. It does not look at the migrations.",
		Flags:       []cli.Flag{jsonFlag()},
		Action:      subcommand(sqlPing),
	}
}

// pinged is what programs are told about the database.
type pinged struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

func sqlPing(ctx context.Context, cmd *cli.Command, config *configfile.Loaded) error {
	err := pingDatabase(ctx, cmd, config)
	if cmd.Bool(flagJSON) {
		answer := pinged{OK: err == nil}
		if err != nil {
			answer.Error = err.Error()
		}

		return errors.Join(sayJSON(cmd.Root().Writer, answer), err)
	}
	if err != nil {
		return err
	}

	return say(cmd.Root().Writer, "praefect sql-ping: OK\n")
}

func pingDatabase(ctx context.Context, cmd *cli.Command, config *configfile.Loaded) error {
	ctx, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()

	store, err := postgres.Open(ctx, zap.NewNop(), config.Database.Config())
	if err != nil {
		return fmt.Errorf("sql open: %w", err)
	}
	defer store.Close()

	switch err := store.Ping(ctx); {
	case errors.Is(err, postgres.ErrServerTooOld):
		return fmt.Errorf("%s sql-ping: fail: %w", cmd.Root().Name, err)
	case err != nil:
		return fmt.Errorf("sql open: %w", err)
	default:
		return nil
	}
}

// say prints on the program's output; what cannot be printed is the program's failure.
func say(w io.Writer, format string, args ...any) error {
	if _, err := fmt.Fprintf(w, format, args...); err != nil {
		return fmt.Errorf("write output: %w", err)
	}

	return nil
}
