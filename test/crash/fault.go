package main

import (
	"context"
	"errors"
	"fmt"

	"praefect/transaction/failpoint"
)

// The scenes in which something else has failed before.

// slowPush freezes a secondary when its confirmation is recorded, so that its call goes on when the
// client is answered.
func slowPush() scene {
	s := atomicPush()
	push := s.act
	s.name = "slow-push"
	s.lead = func(ctx context.Context, t *take) error {
		if err := t.begin(ctx, failpoint.Recorded, push); err != nil {
			return err
		}

		return t.secondary.Process().Pause()
	}
	s.act = func(ctx context.Context, t *take) answer { return t.awaitBegun(ctx) }
	s.aftermath = func(_ context.Context, t *take) error {
		if t.secondary.Process().Running() && !t.secondary.Process().Answers() {
			return t.secondary.Process().Resume()
		}

		return nil
	}

	return s
}

// election kills the primary, so that the next write needs another.
func election() scene {
	return scene{
		name: "election",
		lead: func(_ context.Context, t *take) error {
			t.down = t.primary

			return t.primary.Kill()
		},
		act: func(ctx context.Context, t *take) answer {
			return t.persist(ctx, func(ctx context.Context) answer {
				return t.carrier.writeRef(ctx, refMain, t.goods.change)
			})
		},
		// Two nodes have to be there.
		aftermath: func(ctx context.Context, t *take) error { return t.down.Start(ctx) },
		judge: func(t *take, found state) error {
			if overwritten, err := t.judgeMain(found); overwritten || err != nil {
				return err
			}

			return t.judgeOne("the write", found.refs[refMain] == t.goods.change)
		},
		write: rewrite,
	}
}

// recovery kills the proxy of a push that nodes are about to commit, so that the other one has to
// bring it to its end.
func recovery() scene {
	s := atomicPush()
	push := s.act
	s.name, s.anyProxy, s.double = "recovery", true, true
	s.lead = func(ctx context.Context, t *take) error {
		return t.begin(ctx, failpoint.FirstCommitTold, push)
	}
	s.act = func(ctx context.Context, t *take) answer {
		if err := t.first.Process().Kill(); err != nil {
			return answer{err: err}
		}

		return t.awaitBegun(ctx)
	}
	s.aftermath = func(ctx context.Context, t *take) error { return t.first.Start(ctx) }

	return s
}

// repair lets a secondary miss a push.
func repair() scene {
	s := atomicPush()
	push := s.act
	s.name, s.anyProxy = "repair", true
	s.lead = func(ctx context.Context, t *take) error {
		if err := t.secondary.Kill(); err != nil {
			return err
		}
		got := push(ctx, t)
		if !got.acknowledged() {
			return fmt.Errorf("push with a secondary down: %w", got.err)
		}

		return nil
	}
	s.act = func(ctx context.Context, t *take) answer {
		return answer{err: t.secondary.Start(ctx), outcome: "recorded"}
	}

	return s
}

// begin starts an operation and waits until it stands at a point; it goes on with awaitBegun.
func (t *take) begin(
	ctx context.Context, point failpoint.Point, act func(context.Context, *take) answer,
) error {
	t.begun = make(chan answer, 1)
	t.held = t.stage.stops.arm(point, t.first.Process().PID(), 0)
	t.background.Go(func() { t.begun <- act(ctx, t) })
	select {
	case <-t.held.reached:
		return nil
	case got := <-t.begun:
		return fmt.Errorf("it never came to %s: %s: %w", point, got, got.err)
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("wait for %s", point), context.Cause(ctx))
	}
}

func (t *take) awaitBegun(ctx context.Context) answer {
	t.held.release()
	select {
	case got := <-t.begun:
		return got
	case <-ctx.Done():
		return answer{err: context.Cause(ctx)}
	}
}
