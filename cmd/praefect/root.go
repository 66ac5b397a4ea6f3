package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"

	"github.com/urfave/cli/v3"

	"praefect/cmd/internal/configfile"
	"praefect/coordinator/postgres"
	"praefect/transaction/failpoint"
)

const (
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 130 // As shells report SIGINT.
)

// exitError ends the program with a code of its own, after everything was said.
type exitError struct{ code int }

// Error implements error. It is printed nowhere.
func (e *exitError) Error() string { return fmt.Sprintf("exit status %d", e.code) }

// errInterrupted ends a subcommand that was stopped with SIGINT or SIGTERM.
var errInterrupted = errors.New("interrupted")

// errNotMigrated stands for any error that a statement without its table gave.
var errNotMigrated = errors.New("the database is not migrated: run praefect sql-migrate")

// run executes one command line and returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	if failpoint.Listed() {
		return listVariants(stdout)
	}
	err := newRoot(stdout, stderr).Run(context.Background(), args)

	var exit *exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.code
	}

	fmt.Fprintln(stderr, err) //nolint:errcheck // Nobody is left to be told.
	if errors.Is(err, errInterrupted) {
		return exitInterrupted
	}

	return exitFailure
}

func newRoot(stdout, stderr io.Writer) *cli.Command {
	root := &cli.Command{
		Name:        "praefect",
		Usage:       "a router for Gitaly",
		Description: "Without a subcommand it serves, as \"praefect serve\" does.",
		HideVersion: true, // The library's flag prints another text.
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Usage: "load configuration from `FILE`"},
			&cli.BoolFlag{
				Name: "version", Aliases: []string{"v"}, Usage: "print the version", Local: true,
			},
		},
		Action:    versionOr(serve),
		Writer:    stdout,
		ErrWriter: stderr,
		// The exit status is run's business.
		ExitErrHandler: func(context.Context, *cli.Command, error) {},
		Commands: []*cli.Command{
			serveCommand(),
			configurationCommand(),
			acceptDatalossCommand(),
			checkCommand(),
			datalossCommand(),
			dialNodesCommand(),
			doctorCommand(),
			listStoragesCommand(),
			listUntrackedCommand(),
			trackRepositoryCommand(),
			trackRepositoriesCommand(),
			verifyCommand(),
			metadataCommand(),
			sqlPingCommand(),
			sqlMigrateCommand(),
			sqlMigrateDownCommand(),
			sqlMigrateStatusCommand(),
			poolCommand(),
			removeRepositoryCommand(),
			replicationFactorCommand(),
			intentsCommand(),
			repairsCommand(),
			transactionsCommand(),
			importCommand(),
			exportCommand(),
		},
	}
	root.OnUsageError = reportUsage
	for _, command := range root.Commands {
		command.OnUsageError = reportUsage
		command.HideHelpCommand = true
	}

	return root
}

// reportUsage prints what existing tools expect: for a missing flag the help; for one that is
// wrong the error twice, the second time by run.
func reportUsage(_ context.Context, cmd *cli.Command, err error, isSub bool) error {
	if strings.HasPrefix(err.Error(), "Required flag") {
		showHelp(cmd)

		return err
	}

	if !isSub {
		showHelp(cmd)
	}
	_, _ = fmt.Fprintf(cmd.Root().ErrWriter, "Incorrect Usage: %s\n\n", err) // As in run.

	return err
}

// showHelp prints the help of a command on standard output.
func showHelp(cmd *cli.Command) {
	template := cli.CommandHelpTemplate
	if cmd.Root() == cmd {
		template = cli.RootCommandHelpTemplate
	}

	cli.HelpPrinter(cmd.Root().Writer, template, cmd)
}

// subcommand makes the action of a subcommand: it takes no positional arguments, gets the validated
// configuration, and its context ends with SIGINT or SIGTERM.
func subcommand(
	action func(ctx context.Context, cmd *cli.Command, config *configfile.Loaded) error,
) cli.ActionFunc {
	return configured(action, noArguments)
}

// configured makes the action of a subcommand whose positional arguments are checked by the given
// functions, before anything else.
func configured(
	action func(ctx context.Context, cmd *cli.Command, config *configfile.Loaded) error,
	checks ...func(*cli.Command) error,
) cli.ActionFunc {
	return func(ctx context.Context, cmd *cli.Command) error {
		for _, check := range checks {
			if err := check(cmd); err != nil {
				return err
			}
		}

		config, err := loadConfig(cmd)
		if err != nil {
			return err
		}

		ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
		defer stop()

		err = action(ctx, cmd, config)
		switch {
		case err != nil && ctx.Err() != nil:
			return fmt.Errorf("%w: %w", errInterrupted, err)
		case postgres.Unmigrated(err):
			return errNotMigrated
		}

		return err
	}
}

func noArguments(cmd *cli.Command) error {
	if !cmd.Args().Present() {
		return nil
	}
	showHelp(cmd)

	return fmt.Errorf("%s doesn't accept positional arguments", cmd.Name)
}

func loadConfig(cmd *cli.Command) (*configfile.Loaded, error) {
	config, err := configfile.Load(cmd.String("config"))
	if err != nil {
		return nil, fmt.Errorf("error reading config file: %w", err)
	}
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("validating config: %w", err)
	}

	return config, nil
}
