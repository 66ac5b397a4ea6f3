package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/urfave/cli/v3"

	"praefect/cmd/internal/configfile"
)

func configurationCommand() *cli.Command {
	return &cli.Command{
		Name:            "configuration",
		Usage:           "run configuration-related commands",
		HideHelpCommand: true,
		Commands: []*cli.Command{{
			Name:  "validate",
			Usage: "say what is wrong with a configuration file",
			Description: "Reads the file from standard input. A good one gives no output and " +
				"exit status 0; otherwise everything that is wrong is printed as JSON, and " +
				"the exit status is 2:\n\n   praefect configuration validate < config.toml",
			HideHelpCommand: true,
			OnUsageError:    reportUsage,
			Action:          validateConfiguration,
		}},
	}
}

// problem is a finding as tools of the existing release read it.
type problem struct {
	Key     []string `json:"key,omitempty"`
	Message string   `json:"message"`
}

func validateConfiguration(_ context.Context, cmd *cli.Command) error {
	if cmd.Args().Present() {
		showHelp(cmd)

		return errors.New("invalid argument(s)")
	}

	problems, err := problemsIn(cmd)
	if err != nil {
		_, _ = fmt.Fprintf(cmd.Root().ErrWriter, "processing input data: %s", err) // As in run.

		return &exitError{code: exitFailure}
	}
	if len(problems) == 0 {
		return nil
	}
	encoder := json.NewEncoder(cmd.Root().Writer)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(map[string][]problem{"errors": problems}); err != nil {
		return fmt.Errorf("write output: %w", err)
	}

	return &exitError{code: exitUsage}
}

// problemsIn lists what is wrong with the file on standard input.
func problemsIn(cmd *cli.Command) ([]problem, error) {
	loaded, err := configfile.Read(cmd.Root().Reader)
	var syntax *configfile.SyntaxError
	switch {
	case errors.As(err, &syntax) && syntax.Line > 0: // Else it is not in the file.
		finding := configfile.Finding{Key: syntax.Key}

		return []problem{{finding.Path(), fmt.Sprintf("line %d column %d: toml: %s",
			syntax.Line, syntax.Column, syntax.Message)}}, nil
	case err != nil:
		return nil, err
	}

	var problems []problem
	for _, finding := range loaded.Findings() {
		problems = append(problems, problem{finding.Path(), finding.Message})
	}

	return problems, nil
}
