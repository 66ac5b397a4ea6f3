package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/urfave/cli/v3"

	"praefect/cmd/internal/configfile"
	"praefect/migrations"
)

func sqlMigrateDownCommand() *cli.Command {
	return &cli.Command{
		Name:      "sql-migrate-down",
		Usage:     "roll back migrations of the database",
		ArgsUsage: "NUMBER",
		Description: "Without -f it lists what would be rolled back. Rolling back deletes the " +
			"data that the migrations have made room for.",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "f", Usage: "roll back"}},
		Action: configured(func(
			ctx context.Context, cmd *cli.Command, config *configfile.Loaded,
		) error {
			steps, err := stepsOf(cmd)
			if err != nil {
				return err
			}

			return withMigrator(ctx, config, func(migrator *migrations.Migrator) error {
				return migrateDown(ctx, cmd, migrator, steps)
			})
		}),
	}
}

func stepsOf(cmd *cli.Command) (int, error) {
	switch cmd.Args().Len() {
	case 0:
		showHelp(cmd)

		return 0, fmt.Errorf("%s requires a single positional argument", cmd.Name)
	case 1:
	default:
		showHelp(cmd)

		return 0, fmt.Errorf("%s accepts only single positional argument", cmd.Name)
	}
	steps, err := strconv.Atoi(cmd.Args().First())
	switch {
	case err != nil:
		return 0, err //nolint:wrapcheck // Scripts know the bare text.
	case steps < 1:
		return 0, errors.New("number of migrations to roll back must be 1 or more")
	}

	return steps, nil
}

func migrateDown(
	ctx context.Context, cmd *cli.Command, migrator *migrations.Migrator, steps int,
) error {
	plan, err := migrator.DownPlan(ctx, steps)
	if errors.Is(err, migrations.ErrUnknownMigration) {
		return noPlan(err)
	}
	if err != nil {
		return err
	}

	p := &printer{out: cmd.Root().Writer}
	if !cmd.Bool("f") {
		p.say("DRY RUN -- would roll back:\n\n")
		for _, migration := range plan {
			p.say("- %s\n", migration.Name)
		}
		p.say("\nTo apply these migrations run with -f\n")

		return p.err
	}

	count := 0
	err = migrator.Down(ctx, steps, func(step migrations.Step) {
		if step.Done {
			count++
		}
	})
	if err != nil {
		return err
	}
	p.say("OK (applied %d \"down\" migrations)\n", count)

	return p.err
}

// noPlan says that the database has migrations that this release does not know.
func noPlan(err error) error {
	const known = "Unable to create migration plan because of" // By scripts.

	return fmt.Errorf("%s %w", known, err)
}
