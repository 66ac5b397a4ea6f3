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
	"syscall"

	"praefect/test/cluster"
)

// settings are the command's flags.
type settings struct {
	gitaly, git string
	bundled     bool
	selected    *regexp.Regexp
	workers     int
	writes      int
	list        bool
	// keep is where logs are copied to when a case failed.
	keep string
}

// workersDefault: most of a case is waiting for processes.
const workersDefault = 3

// writesDefault is the promise: so many writes without anybody being outdated.
const writesDefault = 200

// errFailed says that cases failed; the rows have told which.
var errFailed = errors.New("cases failed")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
}

func parse(args []string) (settings, error) {
	var s settings

	flags := flag.NewFlagSet("interop", flag.ContinueOnError)
	flags.StringVar(&s.gitaly, "gitaly", "", "`path` of an unmodified Gitaly")
	flags.StringVar(&s.git, "git", "", "`path` of the Git of the nodes (default: that of PATH)")
	flags.BoolVar(&s.bundled, "bundled", false, "try the bundled nodes")
	flags.IntVar(&s.workers, "workers", workersDefault, "cases at the same time")
	flags.IntVar(&s.writes, "writes", writesDefault, "writes of the case with many")
	flags.BoolVar(&s.list, "list", false, "print the names of the cases only")
	flags.StringVar(&s.keep, "keep", filepath.Join(os.TempDir(), "interop"),
		"`directory` for logs when a case failed")
	pattern := flags.String("run", "", "regular `expression` of cases")
	if err := flags.Parse(args); err != nil {
		return s, fmt.Errorf("parse flags: %w", err)
	}

	var err error
	if s.selected, err = regexp.Compile(*pattern); err != nil {
		return s, fmt.Errorf("parse -run: %w", err)
	}
	if s.gitaly, err = absolute(s.gitaly); err != nil {
		return s, err
	}
	s.git, err = absolute(s.git)

	return s, err
}

// absolute makes a path independent of where a process runs, and demands that it leads to a file.
func absolute(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("find program: %w", err)
	}
	if info.IsDir() {
		return "", fmt.Errorf("%s is a directory: name the program", path)
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", fmt.Errorf("find program: %w", err)
	}

	return path, nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	selected := choose(s.selected)
	report := &report{out: out}
	switch {
	case s.list:
		return list(selected, out)
	case s.gitaly == "" && !s.bundled:
		if _, err := fmt.Fprintln(out, "interop: no Gitaly is given (GITALY=/path/to/gitaly), "+
			"so nothing is tried"); err != nil {
			return fmt.Errorf("print: %w", err)
		}
		report.skipped = len(selected)

		return report.close()
	}
	if err := s.try(ctx, selected, report); err != nil {
		return err
	}

	return report.close()
}

func choose(pattern *regexp.Regexp) []trial {
	var selected []trial
	for _, one := range trials() {
		if pattern.MatchString(one.name) {
			selected = append(selected, one)
		}
	}

	return selected
}

func list(selected []trial, out io.Writer) error {
	for _, one := range selected {
		if _, err := fmt.Fprintln(out, one.name); err != nil {
			return fmt.Errorf("print case: %w", err)
		}
	}

	return nil
}

// try runs the cases on programs of this tree and those that were given.
func (s settings) try(ctx context.Context, selected []trial, report *report) (err error) {
	dir, err := os.MkdirTemp("", "interop-")
	if err != nil {
		return fmt.Errorf("create directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	programs, err := cluster.Build(ctx, dir, "failpoints")
	if err != nil {
		return err
	}
	programs.Gitaly, programs.Git = s.gitaly, s.git
	stage, err := newStage(ctx, cluster.Config{Programs: programs}, s.writes)
	if err != nil {
		return err
	}
	stage.perform(ctx, selected, s.workers, report)
	if report.failed > 0 {
		err = stage.saveLogs(s.keep)
		report.logs = s.keep
	}

	return errors.Join(err, stage.close())
}
