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
	"syscall"
	"time"

	"praefect/test/chaos/fault"
)

// settings are the command's flags.
type settings struct {
	seed           uint64
	minutes        float64
	proxies, nodes int
	program        fault.Program
	// first ends the run when the first difference is found.
	first bool
	// patience is how long everything may take to settle in the end.
	patience time.Duration
	// praefect is the binary to run; empty for that of this tree.
	praefect string
	// workers, readers and repositories are how many there are.
	workers, readers, repositories int
	// keepAll keeps the directory even if all is well.
	keepAll bool
	// discard removes the directory even if something was found.
	discard bool
	// sabotage runs all variants of a sabotaged binary, variant only that one.
	sabotage bool
	variant  string
}

// errFailed is returned when a run found something; the summary said what.
var errFailed = errors.New("failed")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errFailed):
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	if s.sabotage {
		return sabotage(ctx, s, out)
	}

	return chaos(ctx, s, out)
}

func parse(args []string) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.Uint64Var(&s.seed, "seed", 1, "what follows from chance follows from it")
	flags.Float64Var(&s.minutes, "minutes", 2, "how long faults are injected")
	flags.IntVar(&s.proxies, "proxies", 3, "number of proxies")
	flags.IntVar(&s.nodes, "nodes", 3, "number of nodes")
	flags.StringVar(&s.praefect, "praefect", "", "`path` of the praefect binary to run")
	flags.BoolVar(&s.first, "first", false, "stop at the first difference")
	flags.IntVar(&s.workers, "workers", 8, "number of clients")
	flags.IntVar(&s.readers, "readers", 2, "number of clients that do nothing but read")
	flags.IntVar(&s.repositories, "repositories", 9, "number of repositories that stay")
	flags.DurationVar(&s.patience, "patience", settlePatience, "time to settle in the end")
	flags.BoolVar(&s.keepAll, "keep", false, "keep the directory in any case")
	flags.BoolVar(&s.discard, "discard", false, "remove the directory in any case")
	flags.BoolVar(&s.sabotage, "sabotage", false, "run against sabotaged binaries")
	flags.StringVar(&s.variant, "variant", "", "the only `name` of a sabotage to run")
	program := flags.String("program", string(fault.Everything), "what is broken: everything, "+
		"or only one `thing`: jitter, doubt, deaf, node, nothing")
	if err := flags.Parse(args); err != nil {
		return s, fmt.Errorf("parse flags: %w", err)
	}
	var err error
	if s.program, err = fault.ParseProgram(*program); err != nil {
		return s, fmt.Errorf("%w: -program: %w", errUsage, err)
	}
	if s.proxies < 1 || s.nodes < 1 || s.minutes <= 0 || s.workers < 1 || s.repositories < 1 {
		return s, fmt.Errorf("%w: all numbers must be positive", errUsage)
	}
	if s.praefect != "" {
		path, err := filepath.Abs(s.praefect)
		if err != nil {
			return s, fmt.Errorf("find praefect: %w", err)
		}
		s.praefect = path
	}

	return s, nil
}

var errUsage = errors.New("wrong usage")

// duration is how long faults are injected.
func (s settings) duration() time.Duration {
	return time.Duration(s.minutes * float64(time.Minute))
}

// again is the command that repeats a run.
func (s settings) again() string {
	command := fmt.Sprintf("make chaos SEED=%d MINUTES=%g PROXIES=%d NODES=%d",
		s.seed, s.minutes, s.proxies, s.nodes)
	if s.program != fault.Everything {
		command = fmt.Sprintf("go run ./test/chaos -seed %d -minutes %g -proxies %d -nodes %d "+
			"-program %s -workers %d -readers %d -repositories %d", s.seed, s.minutes, s.proxies,
			s.nodes, s.program, s.workers, s.readers, s.repositories)
		if s.praefect != "" {
			command += " -praefect " + s.praefect
		}
	} else if s.praefect != "" {
		command = "PRAEFECT=" + s.praefect + " " + command
	}

	return command
}
