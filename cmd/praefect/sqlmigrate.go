package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"praefect/cmd/internal/configfile"
	"praefect/migrations"
)

const migrationTime = "2006-01-02T15:04:05"

func sqlMigrateCommand() *cli.Command {
	return &cli.Command{
		Name:  "sql-migrate",
		Usage: "apply the outstanding migrations of the database",
		Description: "Everything is in the schema praefect; other schemas are not touched. " +
			"It may be run twice, and by several at once.",
		Flags: []cli.Flag{
			&cli.BoolFlag{
				Name:  "ignore-unknown",
				Usage: "go on when the database has migrations of a newer release",
				Value: true,
			},
			&cli.BoolFlag{Name: "verbose", Usage: "print the statements"},
		},
		Action: subcommand(sqlMigrate),
	}
}

func sqlMigrate(ctx context.Context, cmd *cli.Command, config *configfile.Loaded) error {
	return withMigrator(ctx, config, func(migrator *migrations.Migrator) error {
		return applyAll(ctx, cmd, migrator)
	})
}

// withMigrator calls a function with the migrations of the database.
func withMigrator(
	ctx context.Context, config *configfile.Loaded, use func(*migrations.Migrator) error,
) (err error) {
	database, err := config.Database.Config().OpenDB()
	if err != nil {
		return fmt.Errorf("sql open: %w", err)
	}
	defer func() { err = errors.Join(err, database.Close()) }()

	dial, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()
	if err := database.PingContext(dial); err != nil {
		return fmt.Errorf("sql open: send ping: %w", err)
	}

	migrator, err := migrations.New(database)
	if err != nil {
		return err
	}

	return use(migrator)
}

func applyAll(ctx context.Context, cmd *cli.Command, migrator *migrations.Migrator) error {
	out := cmd.Root().Writer
	all, err := migrator.Status(ctx)
	if err != nil {
		return err
	}

	pending := slices.DeleteFunc(slices.Clone(all), func(m migrations.Migration) bool {
		return m.Unknown || !m.AppliedAt.IsZero()
	})
	if len(pending) == 0 {
		return say(out, "praefect sql-migrate: all migrations are up\n")
	}

	i := slices.IndexFunc(all, func(m migrations.Migration) bool { return m.Unknown })
	if i >= 0 && !cmd.Bool("ignore-unknown") {
		return noPlan(fmt.Errorf("%s: %w", all[i].Name, migrations.ErrUnknownMigration))
	}

	progress := &progress{out: out, verbose: cmd.Bool("verbose")}
	progress.say("praefect sql-migrate: migrations to apply: %d\n\n", len(pending))
	if err := migrator.Up(ctx, progress.step); err != nil {
		return fmt.Errorf("%s: fail: %w", time.Now().Format(migrationTime), err)
	}
	progress.say("\npraefect sql-migrate: OK (applied %d migrations)\n", progress.applied)

	return progress.err
}

// progress prints one line when a migration begins and one when it has ended.
type progress struct {
	out     io.Writer
	verbose bool
	applied int
	// err is the first failure to print; migrations go on without being watched.
	err error
}

func (p *progress) step(step migrations.Step) {
	now := time.Now().Format(migrationTime)
	switch {
	case !step.Done:
		p.say("=  %s %s: migrating\n", now, step.Name)
		if p.verbose {
			p.say("\t%s\n", strings.ReplaceAll(strings.TrimSpace(step.SQL), "\n", "\n\t"))
		}
	case step.Skipped:
		p.say("== %s %s: skipped (%s)\n", now, step.Name, step.Duration)
	default:
		p.applied++
		p.say("== %s %s: applied (%s)\n", now, step.Name, step.Duration)
	}
}

func (p *progress) say(format string, args ...any) {
	if p.err == nil {
		p.err = say(p.out, format, args...)
	}
}
