package main

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/urfave/cli/v3"
)

// versionOr answers the -version flag and otherwise runs the action.
func versionOr(action cli.ActionFunc) cli.ActionFunc {
	return func(ctx context.Context, cmd *cli.Command) error {
		if !cmd.Bool("version") {
			return action(ctx, cmd)
		}

		_, err := fmt.Fprintf(cmd.Root().Writer, "Praefect, version %s\n", version())

		return err //nolint:wrapcheck // The program's own output, nothing to add.
	}
}

// version is what the Go command recorded about the source that the program was built from: a tag,
// a revision, or (devel) outside of version control.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}

	return info.Main.Version
}
