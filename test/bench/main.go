package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// settings are the command's flags.
type settings struct {
	// ours and other are praefect binaries; the programs of the nodes lie beside ours.
	ours, other string
	// duration is how long each workload runs against each target.
	duration time.Duration
	selected *regexp.Regexp
	// nullNodes makes this process null nodes at those addresses.
	nullNodes string
}

const defaultDuration = 4 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	if s.nullNodes != "" {
		return serveNullNodes(ctx, strings.Split(s.nullNodes, ","))
	}

	r, err := newRig(ctx, s)
	if err != nil {
		return err
	}

	err = r.measure(ctx, s, out)
	if closeErr := r.close(); err == nil {
		err = closeErr
	}

	return err
}

func parse(args []string) (settings, error) {
	var s settings

	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&s.ours, "ours", "", "praefect to measure (default: built from this tree)")
	flags.StringVar(&s.other, "other", "", "another praefect to measure beside it")
	flags.DurationVar(&s.duration, "duration", defaultDuration, "time per workload and target")
	flags.StringVar(&s.nullNodes, "null-nodes", "",
		"serve a null node at each tcp://host:port of this comma-separated list")
	selected := flags.String("run", "", "regular expression of workloads to run")
	if err := flags.Parse(args); err != nil {
		return s, fmt.Errorf("parse flags: %w", err)
	}

	pattern, err := regexp.Compile(*selected)
	if err != nil {
		return s, fmt.Errorf("parse -run: %w", err)
	}
	s.selected = pattern

	return s, nil
}

// turns is how often a workload visits its targets, warmUp how long each is warmed up before.
const (
	turns  = 4
	warmUp = 200 * time.Millisecond
)

// measure runs the selected workloads and prints a line for each.
func (r *rig) measure(ctx context.Context, s settings, out io.Writer) error {
	_, err := fmt.Fprintf(out, "# cpus=%d go=%s seconds=%.1f replicas=%d fsync=on\n",
		runtime.NumCPU(), runtime.Version(), s.duration.Seconds(), replicas)
	if err != nil {
		return fmt.Errorf("print header: %w", err)
	}

	for _, work := range workloads() {
		if !s.selected.MatchString(work.name) {
			continue
		}

		result, err := r.compare(ctx, work, s.duration)
		if err != nil {
			return fmt.Errorf("%s: %w", work.name, err)
		}
		if _, err := fmt.Fprintln(out, result.line()); err != nil {
			return fmt.Errorf("print result: %w", err)
		}
	}
	// It takes minutes, so it has to be asked for.
	if s.selected.String() == "" || !s.selected.MatchString(longName) {
		return nil
	}

	return r.measureLong(ctx, out)
}

// compare runs a workload against all targets in turn.
func (r *rig) compare(
	ctx context.Context, work *workload, duration time.Duration,
) (*comparison, error) {
	outcome := &comparison{work: work}
	targets := map[*endpoint]*result{r.direct(work): &outcome.direct, r.proxy: &outcome.proxy}
	order := []*endpoint{r.direct(work), r.proxy}
	if r.other != nil {
		outcome.other = new(result)
		targets[r.other] = outcome.other
		order = append(order, r.other)
	}

	for _, target := range order {
		if _, err := target.measure(ctx, work, warmUp); err != nil {
			return nil, fmt.Errorf("%s: %w", target.name, err)
		}
	}
	for range turns {
		for _, target := range order {
			part, err := target.measure(ctx, work, duration/turns)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", target.name, err)
			}
			targets[target].add(part)
		}
	}

	return outcome, nil
}

// measure runs a workload for a while.
func (e *endpoint) measure(
	ctx context.Context, work *workload, duration time.Duration,
) (result, error) {
	before, err := e.cpu()
	if err != nil {
		return result{}, err
	}
	allBefore, err := e.cpuOfAll()
	if err != nil {
		return result{}, err
	}

	done, err := drive(ctx, work.clients, duration,
		func(ctx context.Context, client, n int) (int64, error) {
			return work.do(ctx, e, client, n)
		})
	if err != nil {
		return done, err
	}

	after, err := e.cpu()
	if err != nil {
		return done, err
	}
	allAfter, err := e.cpuOfAll()
	done.cpu, done.all = after-before, allAfter-allBefore

	return done, err
}

// cpu is the CPU time of the proxy so far; 0 when there is none.
func (e *endpoint) cpu() (time.Duration, error) {
	if e.pid == 0 {
		return 0, nil
	}

	return cpuTime(e.pid)
}

// cpuOfAll is the CPU time so far of everybody who takes part: this process, the null nodes, and
// the proxy.
func (e *endpoint) cpuOfAll() (time.Duration, error) {
	total, err := e.cpu()
	for _, pid := range e.others {
		used, failed := cpuTime(pid)
		total, err = total+used, errors.Join(err, failed)
	}

	return total, err
}
