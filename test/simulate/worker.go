package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"praefect/test/simulate/world"
)

// work plays the seeds in this process and ends it. What synctest needs is a test, so one is made.
func work(o options, out io.Writer) error {
	testing.Init()
	if err := flag.CommandLine.Parse(nil); err != nil {
		return fmt.Errorf("parse flags of tests: %w", err)
	}
	seeds := func(t *testing.T) {
		t.Helper()
		if err := json.NewEncoder(out).Encode(play(t, o)); err != nil {
			t.Error(err)
		}
	}
	testing.Main(
		func(string, string) (bool, error) { return true, nil },
		[]testing.InternalTest{{Name: "seeds", F: seeds}}, nil, nil,
	)
	return nil
}

// play plays seeds one after the other.
func play(t *testing.T, o options) tally {
	t.Helper()
	var found tally
	for seed := o.seed; seed < o.seed+o.seeds; seed++ {
		result := world.Run(t, world.Draw(seed), false)
		found.add(result)
		if !result.Failed() {
			continue
		}
		if found.First == 0 {
			found.First = seed
		}
		if len(found.Failures) < failuresMax {
			found.Failures = append(found.Failures, tell(t, o, result))
		}
		if o.first {
			break
		}
	}
	return found
}

// tell says what failed and how to see it again; of a single seed also how little it takes.
func tell(t *testing.T, o options, result world.Result) string {
	t.Helper()
	seed := result.Script.Seed
	if o.seeds > 1 || o.first {
		return fmt.Sprintf("seed %d: %s\n  make simulate SEEDS=1 SEED=%d",
			seed, summary(result), seed)
	}
	shrunk := world.Shrink(t, result.Script)
	shown := world.Run(t, shrunk, true)
	return fmt.Sprintf("seed %d: %s\n%s\n%s%s", seed, summary(shown), shrunk, shown.Trace,
		evidence(shown))
}

func summary(r world.Result) string {
	parts := []string{fmt.Sprintf("lost=%d stale=%d torn=%d diverged=%d stuck=%d", r.Lost(),
		len(r.Report.Stale), len(r.Report.Torn), len(r.Diverged), len(r.Stuck))}
	for _, more := range [][]string{r.Short, r.Diverged, r.Stuck} {
		if len(more) > 0 {
			parts = append(parts, more[0])
		}
	}
	return strings.Join(parts, "; ")
}

func evidence(r world.Result) string {
	var b strings.Builder
	for _, findings := range [][]world.Finding{r.Report.Lost, r.Report.Stale, r.Report.Torn} {
		for _, finding := range findings {
			fmt.Fprintf(&b, "%s: %s\n", finding.Key, finding.Text)
			for _, o := range finding.Evidence {
				fmt.Fprintf(&b, "  call %d %s %q %s by %s from %s to %s\n",
					o.Call, o.Action, o.Value, o.Result, o.Via, o.Start, o.End)
			}
		}
	}
	return b.String()
}

// spread has several processes play, each a part of the seeds.
func spread(ctx context.Context, o options, environment []string) (tally, error) {
	count := workers(o.seeds)
	parts := make([]tally, count)
	group, ctx := errgroup.WithContext(ctx)
	for i := range count {
		part := o
		part.seed = o.seed + o.seeds*i/count
		part.seeds = o.seed + o.seeds*(i+1)/count - part.seed
		group.Go(func() (err error) {
			parts[i], err = start(ctx, part, environment)
			return err
		})
	}
	var found tally
	if err := group.Wait(); err != nil {
		return found, err
	}
	for _, part := range parts {
		found.merge(part)
	}
	return found, nil
}

// start runs one worker to its end.
func start(ctx context.Context, o options, environment []string) (tally, error) {
	var found tally
	self, err := os.Executable()
	if err != nil {
		return found, fmt.Errorf("find own binary: %w", err)
	}
	worker := exec.CommandContext(ctx, self, "-worker",
		"-seed", strconv.FormatUint(o.seed, 10), "-seeds", strconv.FormatUint(o.seeds, 10),
		"-first="+strconv.FormatBool(o.first))
	// One at a time: what happens at the same moment happens in the same order.
	worker.Env = append(append(os.Environ(), "GOMAXPROCS=1"), environment...)
	worker.Stderr = os.Stderr
	var out bytes.Buffer
	worker.Stdout = &out
	if err := worker.Run(); err != nil {
		return found, fmt.Errorf("play seeds from %d: %w\n%s", o.seed, err, out.String())
	}
	// What a test says of itself comes after.
	if err := json.NewDecoder(&out).Decode(&found); err != nil {
		return found, fmt.Errorf("read report: %w", err)
	}
	return found, nil
}
