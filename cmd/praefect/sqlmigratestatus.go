package main

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"praefect/cmd/internal/configfile"
	"praefect/migrations"
)

// statusWidth is how wide the table may be; longer times go on in a second line.
const statusWidth = 60

func sqlMigrateStatusCommand() *cli.Command {
	return &cli.Command{
		Name:        "sql-migrate-status",
		Usage:       "list the migrations and when they were applied",
		Description: "A migration of a newer release is listed as unknown.",
		Flags:       []cli.Flag{jsonFlag()},
		Action: subcommand(func(
			ctx context.Context, cmd *cli.Command, config *configfile.Loaded,
		) error {
			return withMigrator(ctx, config, func(migrator *migrations.Migrator) error {
				all, err := migrator.Status(ctx)
				if err != nil {
					return err
				}
				if cmd.Bool(flagJSON) {
					return sayJSON(cmd.Root().Writer, stepsFrom(all))
				}

				return sayBox(cmd.Root().Writer, rowsOf(all))
			})
		}),
	}
}

// migrationStep is what programs are told about a migration.
type migrationStep struct {
	Name      string     `json:"name"`
	AppliedAt *time.Time `json:"applied_at"`
	Unknown   bool       `json:"unknown"`
}

func stepsFrom(all []migrations.Migration) []migrationStep {
	steps := []migrationStep{}
	for _, migration := range all {
		step := migrationStep{Name: migration.Name, Unknown: migration.Unknown}
		if !migration.AppliedAt.IsZero() {
			at := migration.AppliedAt.UTC()
			step.AppliedAt = &at
		}
		steps = append(steps, step)
	}

	return steps
}

func rowsOf(all []migrations.Migration) [][2]string {
	var rows [][2]string
	for _, migration := range all {
		applied := migration.AppliedAt.UTC().String()
		switch {
		case migration.Unknown:
			applied = "unknown migration"
		case migration.AppliedAt.IsZero():
			applied = "no"
		}
		rows = append(rows, [2]string{migration.Name, applied})
	}

	return rows
}

// Lines of the box, by their code points.
const (
	boxHorizontal = "\u2500"
	boxVertical   = "\u2502"
)

// sayBox prints a table in a box of lines.
func sayBox(out io.Writer, rows [][2]string) error {
	header := [2]string{"MIGRATION", "APPLIED"}
	var lines [][2]string
	left, right := len(header[0]), len(header[1])
	for _, row := range rows {
		left = max(left, len(row[0]))
	}
	for _, row := range rows {
		for i, part := range folded(row[1], statusWidth-left-len("| |  | |")) {
			right = max(right, len(part))
			if i > 0 {
				row[0] = ""
			}
			lines = append(lines, [2]string{row[0], part})
		}
	}

	p := &printer{out: out}
	edge := func(begin, middle, end string) {
		p.say("%s%s%s%s%s\n", begin, strings.Repeat(boxHorizontal, left+2), middle,
			strings.Repeat(boxHorizontal, right+2), end)
	}
	edge("\u250c", "\u252c", "\u2510")
	p.say("%s %s %s %s %s\n", boxVertical, centred(header[0], left), boxVertical,
		centred(header[1], right), boxVertical)
	edge("\u251c", "\u253c", "\u2524")
	for _, line := range lines {
		p.say("%s %-*s %s %-*s %s\n", boxVertical, left, line[0], boxVertical, right, line[1],
			boxVertical)
	}
	edge("\u2514", "\u2534", "\u2518")

	return p.err
}

// folded breaks a text of words into lines.
func folded(text string, width int) []string {
	var lines []string
	for word := range strings.FieldsSeq(text) {
		last := len(lines) - 1
		if last >= 0 && len(lines[last])+1+len(word) <= width {
			lines[last] += " " + word
			continue
		}
		lines = append(lines, word)
	}

	return lines
}

func centred(text string, width int) string {
	before := (width - len(text)) / 2

	return strings.Repeat(" ", before) + text + strings.Repeat(" ", width-len(text)-before)
}
