package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v3"

	"praefect/cmd/internal/configfile"
	"praefect/coordinator/postgres"
)

const (
	flagDryRun = "dry-run"
	flagFrom   = "from"
	flagSkip   = "skip-unmapped"

	// progressEach is how many repositories there are to a line of progress.
	progressEach = 10_000
)

func importCommand() *cli.Command {
	return &cli.Command{
		Name:  "import",
		Usage: "take over the metadata of an existing Praefect",
		Description: "Reads the tables of the existing release in schema public, of this " +
			"database or of the one that another configuration file names, and fills the tables " +
			"of this release in one transaction. No repository is copied. The existing Praefect " +
			"must be stopped.",
		Flags: []cli.Flag{
			&cli.StringFlag{
				Name:  flagFrom,
				Usage: "configuration `FILE` with the database of the existing Praefect",
			},
			&cli.BoolFlag{Name: flagDryRun, Usage: "say what would be done, and change nothing"},
			&cli.BoolFlag{Name: flagSkip, Usage: "leave out rows that cannot be mapped"},
			jsonFlag(),
		},
		Action: subcommand(importMetadata),
	}
}

// otherDatabase is the one that a configuration file names, or the own one.
func otherDatabase(config *configfile.Loaded, path string) (postgres.Config, error) {
	if path == "" {
		return config.Database.Config(), nil
	}
	other, err := configfile.Load(path)
	if err != nil {
		return postgres.Config{}, fmt.Errorf("error reading config file %q: %w", path, err)
	}
	// The rest of the file may be what only the existing release understands.
	if err := other.Database.Validate(); err != nil {
		return postgres.Config{}, fmt.Errorf("validating config file %q: %w", path, err)
	}

	return other.Database.Config(), nil
}

func importMetadata(ctx context.Context, cmd *cli.Command, config *configfile.Loaded) error {
	source, err := otherDatabase(config, cmd.String(flagFrom))
	if err != nil {
		return err
	}
	p := &printer{out: cmd.Root().Writer}
	move, err := config.Database.Config().Import(ctx, postgres.ImportRequest{
		Source: source, Cluster: config.Cluster(),
		DryRun: cmd.Bool(flagDryRun), Skip: cmd.Bool(flagSkip),
		Progress: progressOn(cmd),
	})
	if err != nil && !errors.Is(err, postgres.ErrUnmapped) {
		return fmt.Errorf("import: %w", err)
	}
	if cmd.Bool(flagJSON) {
		return errors.Join(sayJSON(p.out, moved(move)), err)
	}
	for _, row := range move.Skipped {
		p.say("cannot map %s\n", row)
	}
	switch {
	case err != nil:
		return fmt.Errorf("import: %w: %d; nothing was changed; -%s leaves them out",
			postgres.ErrUnmapped, len(move.Skipped), flagSkip)
	case cmd.Bool(flagDryRun):
		p.say("DRY RUN -- would import ")
	default:
		p.say("Imported ")
	}
	p.say("%d repositories, %d replicas, %d assignments; %d repositories left out.\n",
		move.Repositories, move.Replicas, move.Assignments, len(move.Skipped))

	return p.err
}

// progressOn tells on standard error how far a long run is.
func progressOn(cmd *cli.Command) func(int) {
	said := 0

	return func(repositories int) {
		if repositories-said >= progressEach {
			said = repositories
			// Progress that cannot be shown is no failure.
			_, _ = fmt.Fprintf(cmd.Root().ErrWriter, "%d repositories...\n", repositories)
		}
	}
}

// movement is what programs are told about an import or export.
type movement struct {
	Repositories int        `json:"repositories"`
	Replicas     int        `json:"replicas"`
	Assignments  int        `json:"assignments"`
	Removed      int        `json:"removed"`
	Skipped      []unmapped `json:"skipped"`
}

type unmapped struct {
	RepositoryID   int64  `json:"repository_id"`
	VirtualStorage string `json:"virtual_storage"`
	RelativePath   string `json:"relative_path"`
	Reason         string `json:"reason"`
}

func moved(move postgres.Move) movement {
	told := movement{
		Repositories: move.Repositories, Replicas: move.Replicas,
		Assignments: move.Assignments, Removed: move.Removed, Skipped: []unmapped{},
	}
	for _, row := range move.Skipped {
		told.Skipped = append(told.Skipped, unmapped{
			row.ID, string(row.Key.VirtualStorage), row.Key.RelativePath, row.Reason,
		})
	}

	return told
}
