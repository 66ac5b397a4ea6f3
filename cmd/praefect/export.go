package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v3"

	"praefect/cmd/internal/configfile"
	"praefect/coordinator/postgres"
)

const (
	flagTo    = "to"
	flagLeave = "leave-removals"
)

func exportCommand() *cli.Command {
	return &cli.Command{
		Name:  "export",
		Usage: "write the metadata back for an existing Praefect",
		Description: "For a return to the existing release: replaces what its tables in schema " +
			"public say by what is known now, and empties its queue, in one transaction. " +
			"Every Praefect, of this and of the existing release, must be stopped.",
		Flags: []cli.Flag{
			&cli.StringFlag{
				Name:  flagTo,
				Usage: "configuration `FILE` with the database of the existing Praefect",
			},
			&cli.BoolFlag{Name: flagDryRun, Usage: "say what would be done, and change nothing"},
			&cli.BoolFlag{
				Name: flagLeave, Usage: "do not wait for removals from disks that are out of reach",
			},
			jsonFlag(),
		},
		Action: subcommand(exportMetadata),
	}
}

func exportMetadata(ctx context.Context, cmd *cli.Command, config *configfile.Loaded) error {
	target, err := otherDatabase(config, cmd.String(flagTo))
	if err != nil {
		return err
	}
	move, err := config.Database.Config().Export(ctx, postgres.ExportRequest{
		Target: target, DryRun: cmd.Bool(flagDryRun), Leave: cmd.Bool(flagLeave),
		Progress: progressOn(cmd),
	})
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	out := cmd.Root().Writer
	if cmd.Bool(flagJSON) {
		return sayJSON(out, moved(move))
	}
	doing := "Exported"
	if cmd.Bool(flagDryRun) {
		doing = "DRY RUN -- would export"
	}

	return say(out, "%s %d repositories, %d replicas, %d assignments; %d repositories removed.\n",
		doing, move.Repositories, move.Replicas, move.Assignments, move.Removed)
}
