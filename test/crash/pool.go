package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"praefect/test/cluster"
)

// pool tries cases on several stages at once.
type pool struct {
	programs cluster.Programs
	// env is for the proxies.
	env      []string
	material *material
	keep     string
	keepAll  bool
	// slack multiplies what the survivors may take.
	slack  int
	report *report
}

// run tries all cases and returns when each is reported.
func (p *pool) run(ctx context.Context, all []trial, workers int) error {
	queue := make(chan trial, len(all))
	for _, one := range all {
		queue <- one
	}
	close(queue)

	group, ctx := errgroup.WithContext(ctx)
	for range min(workers, len(all)) {
		group.Go(func() error { return p.work(ctx, queue) })
	}

	return group.Wait()
}

// work tries cases on one stage after the other.
func (p *pool) work(ctx context.Context, queue <-chan trial) (err error) {
	var current *stage
	defer func() {
		if current != nil {
			err = errors.Join(err, current.close())
		}
	}()
	for one := range queue {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if current == nil {
			if current, err = newStage(ctx, p.programs, p.env); err != nil {
				return err
			}
		}
		if p.try(ctx, current, one) {
			continue
		}
		// What is wrong now may be for the next case too.
		if err := current.close(); err != nil {
			return err
		}
		current = nil
	}
	if current != nil && ctx.Err() == nil {
		p.drain(ctx, current)
	}

	return nil
}

// drainLimit is how long removals may take that are left to workers.
const drainLimit = time.Minute

// drain looks at a cluster when all cases have been tried, and reports only what is wrong.
func (p *pool) drain(ctx context.Context, on *stage) {
	begin := time.Now()
	err := on.drained(ctx, drainLimit*time.Duration(p.slack))
	if err == nil {
		return
	}
	end := trial{point: "drained", victim: "nobody", scene: scene{name: "all"}}
	logs := filepath.Join(p.keep, strings.ReplaceAll(end.String(), "/", "_"))
	p.report.add(row{
		trial: end, took: time.Since(begin), err: errors.Join(err, on.saveLogs(logs)), logs: logs,
	})
}

// try tries one case, and says whether everything was as it should be.
func (p *pool) try(ctx context.Context, on *stage, one trial) bool {
	begin := time.Now()
	var t *take
	err := errUntold
	for n := 0; n < tries && errors.Is(err, errUntold); n++ {
		t = &take{
			trial: one, stage: on, goods: p.material, slack: p.slack, last: n == tries-1,
		}
		err = t.perform(ctx)
	}
	result := row{
		trial: one, took: time.Since(begin), answer: t.answer.String(), settled: t.settled,
		err: err,
	}
	if err != nil || p.keepAll {
		result.logs = filepath.Join(p.keep, strings.ReplaceAll(one.String(), "/", "_"))
		result.err = errors.Join(err, on.saveLogs(result.logs))
	}
	p.report.add(result)

	return err == nil
}
