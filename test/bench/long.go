package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// The long push: each of its branches is a write of its own with an old git.
const (
	longName     = "long_push"
	longBranches = 1000
	// longAlone is how many pushes of one branch are measured with nothing beside them.
	longAlone = 10
)

// crowding is what a long push does to pushes of one branch to the same repository.
type crowding struct {
	long          time.Duration
	alone, beside []time.Duration
}

// measureLong has every target carry a long push, and prints a line for each.
func (r *rig) measureLong(ctx context.Context, out io.Writer) error {
	for _, target := range []struct {
		through string
		to      *endpoint
	}{{"direct", r.directReal}, {"proxy", r.proxy}, {"other", r.other}} {
		if target.to == nil {
			continue
		}
		found, err := target.to.crowd(ctx)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", longName, target.to.name, err)
		}
		if _, err := fmt.Fprintln(out, found.line(target.through)); err != nil {
			return fmt.Errorf("print result: %w", err)
		}
	}

	return nil
}

// line renders the figures for people and programs.
func (c crowding) line(through string) string {
	return fmt.Sprintf("bench name=%s through=%s branches=%d seconds=%.1f pushes_beside=%d "+
		"alone_p50_ms=%.0f alone_max_ms=%.0f beside_p50_ms=%.0f beside_max_ms=%.0f",
		longName, through, longBranches, c.long.Seconds(), len(c.beside),
		millis(median(c.alone)), millis(slices.Max(c.alone)),
		millis(median(c.beside)), millis(slices.Max(c.beside)))
}

// crowd pushes single branches, first alone and then, one after the other, for as long as a long
// push goes on. All branches point to a commit that the hot repository has.
func (e *endpoint) crowd(ctx context.Context) (crowding, error) {
	dir, err := os.MkdirTemp("", "praefect-bench-")
	if err != nil {
		return crowding{}, fmt.Errorf("create directory: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // A left-over working copy does no harm.
	if _, err := git(ctx, dir, "init", "--quiet"); err != nil {
		return crowding{}, err
	}
	if _, err := git(ctx, dir, "fetch", "--quiet", e.remote, "main"); err != nil {
		return crowding{}, err
	}

	var found crowding
	for number := range longAlone {
		took, err := e.push(ctx, dir, branches("alone", number, 1))
		if err != nil {
			return found, err
		}
		found.alone = append(found.alone, took)
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan pushed, 1)
	go func() {
		took, err := e.push(ctx, dir, branches("long", 0, longBranches))
		ended <- pushed{took, err}
	}()
	for number := 0; ; number++ {
		took, err := e.push(ctx, dir, branches("beside", number, 1))
		if err != nil {
			return found, err
		}
		found.beside = append(found.beside, took)
		select {
		case long := <-ended:
			found.long = long.took

			return found, long.err
		default:
		}
	}
}

// pushed is how a push has ended.
type pushed struct {
	took time.Duration
	err  error
}

// push says how long it took.
func (e *endpoint) push(
	ctx context.Context, dir string, refspecs []string,
) (time.Duration, error) {
	begin := time.Now()
	_, err := git(ctx, dir, append([]string{"push", "--quiet", e.remote}, refspecs...)...)

	return time.Since(begin), err
}

// branches are so many refspecs of new branches.
func branches(name string, first, count int) []string {
	refspecs := make([]string, count)
	for i := range refspecs {
		refspecs[i] = fmt.Sprintf("FETCH_HEAD:refs/heads/%s-%d", name, first+i)
	}

	return refspecs
}
