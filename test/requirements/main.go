package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
)

const (
	module       = "praefect"
	documentPath = "docs/requirements.md"
	readable     = 0o644
)

// errNotMet says that requirements do not hold; the rows have told which.
var errNotMet = errors.New("requirements are not met")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "requirements:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("requirements", flag.ContinueOnError)
	pattern := flags.String("run", "", "regular `expression` of rows, as T0[12]")
	write := flags.Bool("write", false, "write "+documentPath+" and run nothing")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("parse flags: %w", err)
	}
	selected, err := regexp.Compile(*pattern)
	if err != nil {
		return fmt.Errorf("parse -run: %w", err)
	}

	rows, err := table()
	if err != nil {
		return err
	}
	tests, err := proofs(os.DirFS("."))
	if err != nil {
		return err
	}
	if *write {
		return save(document(rows, tests))
	}

	rows = slices.DeleteFunc(rows, func(row requirement) bool {
		return !selected.MatchString(row.id)
	})
	if *pattern != "" {
		delete(tests, unnamed)
	}

	return prove(ctx, out, rows, tests)
}

// prove runs the tests of the rows and reports.
func prove(
	ctx context.Context, out io.Writer, rows []requirement, tests map[string][]proof,
) error {
	all := slices.Clone(tests[unnamed])
	for _, row := range rows {
		all = append(all, tests[row.id]...)
	}
	verdicts, err := try(ctx, module, all)
	if err != nil {
		return err
	}
	met, err := report(out, rows, tests, verdicts)
	if err != nil {
		return err
	}
	if !met {
		return errNotMet
	}

	return nil
}

func save(text string) error {
	if err := os.WriteFile(filepath.FromSlash(documentPath), []byte(text), readable); err != nil {
		return fmt.Errorf("write requirements: %w", err)
	}

	return nil
}
