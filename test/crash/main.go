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

	"praefect/test/cluster"
)

// settings are the command's flags.
type settings struct {
	selected *regexp.Regexp
	workers  int
	// count is how often each case is tried.
	count int
	// slack multiplies what the survivors may take.
	slack int
	list  bool
	// sabotage is a rule that the proxies leave out, so that cases have to fail.
	sabotage string
	// keep is where the logs of cases that failed are copied to.
	keep string
	// keepAll keeps those of all cases.
	keepAll bool
}

// workersDefault: most of a case is waiting, so that two cores serve two clusters in time.
const workersDefault = 2

// errFailed says that cases failed; the rows have told which.
var errFailed = errors.New("cases failed")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	}
}

func parse(args []string) (settings, error) {
	var s settings

	flags := flag.NewFlagSet("crash", flag.ContinueOnError)
	flags.IntVar(&s.workers, "workers", workersDefault, "clusters at the same time")
	flags.IntVar(&s.count, "count", 1, "how often each case is tried")
	flags.IntVar(&s.slack, "slack", 1,
		"`factor` for what the survivors may take, for machines that are too busy for the promise")
	flags.BoolVar(&s.list, "list", false, "print the names of the cases only")
	flags.StringVar(&s.keep, "keep", filepath.Join(os.TempDir(), "crashmatrix"),
		"`directory` for the logs of cases that failed")
	flags.BoolVar(&s.keepAll, "keep-all", false, "keep the logs of all cases")
	flags.StringVar(&s.sabotage, "sabotage", "", "a `rule` that the proxies leave out")
	pattern := flags.String("run", "", "regular `expression` of cases: point/victim/scene")
	if err := flags.Parse(args); err != nil {
		return s, fmt.Errorf("parse flags: %w", err)
	}

	var err error
	if s.selected, err = regexp.Compile(*pattern); err != nil {
		return s, fmt.Errorf("parse -run: %w", err)
	}

	return s, nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	s, err := parse(args)
	if err != nil {
		return err
	}

	var selected []trial
	for _, one := range matrix() {
		if s.selected.MatchString(one.String()) {
			selected = append(selected, slices.Repeat([]trial{one}, s.count)...)
		}
	}
	if len(selected) == 0 {
		return fmt.Errorf("no case is called like %q", s.selected)
	}
	if s.list {
		for _, one := range selected {
			if _, err := fmt.Fprintln(out, one); err != nil {
				return fmt.Errorf("print case: %w", err)
			}
		}

		return nil
	}

	return s.try(ctx, selected, out)
}

// try runs the cases on programs of this tree.
func (s settings) try(ctx context.Context, selected []trial, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "crash-")
	if err != nil {
		return fmt.Errorf("create directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	programs, err := cluster.Build(ctx, dir, "failpoints", "sabotage")
	if err != nil {
		return err
	}
	goods, err := newMaterial(ctx, filepath.Join(dir, "material"))
	if err != nil {
		return err
	}

	report := &report{out: out}
	pool := &pool{
		programs: programs, env: []string{"PRAEFECT_SABOTAGE=" + s.sabotage},
		material: goods, keep: s.keep, keepAll: s.keepAll, slack: s.slack, report: report,
	}
	if err := pool.run(ctx, selected, s.workers); err != nil {
		return err
	}

	return report.close()
}
