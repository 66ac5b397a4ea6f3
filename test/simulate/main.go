package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
)

// errBroken says that a promise was not kept, or its breach not noticed.
var errBroken = errors.New("simulation failed")

// options are the flags.
type options struct {
	seeds, seed uint64
	sabotage    bool
	// worker makes this process one of those that play.
	worker bool
	// first lets a worker stop at the first failing seed.
	first bool
}

func main() {
	err := run(context.Background(), os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, errBroken):
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "simulate:", err)
		os.Exit(2)
	}
}

func run(ctx context.Context, arguments []string, out io.Writer) error {
	var o options
	flags := flag.NewFlagSet("simulate", flag.ContinueOnError)
	flags.Uint64Var(&o.seeds, "seeds", 1000, "how many seeds to play")
	flags.Uint64Var(&o.seed, "seed", 1, "the first of them")
	flags.BoolVar(&o.sabotage, "sabotage", false, "leave each rule out and demand to notice")
	flags.BoolVar(&o.worker, "worker", false, "play in this process, and report as JSON")
	flags.BoolVar(&o.first, "first", false, "stop at the first seed that fails")
	if err := flags.Parse(arguments); err != nil {
		return fmt.Errorf("parse flags: %w", err)
	}
	switch {
	case o.worker:
		return work(o, out)
	case o.sabotage:
		return sabotage(ctx, o, out)
	}
	found, err := spread(ctx, o, nil)
	if err != nil {
		return err
	}
	lines := slices.Concat(found.Failures, []string{found.String()})
	if err := say(out, "%s", strings.Join(lines, "\n")); err != nil {
		return err
	}
	if found.failed() {
		return errBroken
	}
	return nil
}

// say prints a line.
func say(out io.Writer, format string, values ...any) error {
	if _, err := fmt.Fprintf(out, format+"\n", values...); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// workers is how many processes play.
func workers(seeds uint64) uint64 {
	return min(uint64(runtime.NumCPU()), seeds) //nolint:gosec // a handful
}
