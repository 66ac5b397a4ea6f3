package main

import (
	"context"
	"errors"
	"fmt"
)

// scene is an operation that passes points, and what has to come of it.
type scene struct {
	name string
	// empty says that the repository is not there when the scene begins.
	empty bool
	// lead, if set, brings about what the operation needs, before the point is armed.
	lead func(ctx context.Context, t *take) error
	// act is the operation. It returns when the client has its answer.
	act func(ctx context.Context, t *take) answer
	// anyProxy says that the point may be passed by either proxy.
	anyProxy bool
	// aftermath, if set, is done as soon as the victim is dead.
	aftermath func(ctx context.Context, t *take) error
	// judge says what is wrong with the content of a replica that is recorded as current.
	judge func(t *take, found state) error
	// write is a write that has to succeed. It is repeated until it does.
	write func(ctx context.Context, t *take, c *client) error
	// skip is how often the point is passed before the arrival that counts.
	skip int
	// double says that something else has failed before.
	double bool
}

// rewrite sets the reference that the scenes write to.
func rewrite(ctx context.Context, t *take, c *client) error {
	return t.wrote(t.goods.spare, c.writeRef(ctx, refMain, t.goods.spare))
}

// wrote notes what an attempt to write the reference may have made of it.
func (t *take) wrote(value string, got answer) error {
	t.tried = value
	t.rewritten = got.acknowledged()

	return got.err
}

// judgeMain judges the reference that is written after the fault. It returns true when it does not
// tell any more what became of the operation.
func (t *take) judgeMain(found state) (bool, error) {
	is := found.refs[refMain]
	if t.rewritten && is != t.tried {
		return true, fmt.Errorf("lost: %s is %q after the last write", refMain, is)
	}

	return t.tried != "" && is == t.tried, nil
}

// base are the references that a repository has before a scene.
func base(goods *material) []update {
	return []update{
		{refMain, zeroID, goods.base},
		{refOther, zeroID, goods.base},
		{refSpare, zeroID, goods.spare},
	}
}

// change is what the scenes push.
func change(goods *material) []update {
	return []update{
		{refMain, goods.base, goods.change},
		{refOther, goods.base, goods.change},
		{refFresh, zeroID, goods.change},
	}
}

const (
	// Git applies the references of an atomic push in one transaction, those of another one by one.
	pushAtomic = "report-status atomic"
	pushSerial = "report-status"
)

func atomicPush() scene {
	return scene{
		name: "push", act: pushWith(pushAtomic), judge: judgePush(true), write: rewrite,
	}
}

func serialPush() scene {
	return scene{
		name: "serial-push", act: pushWith(pushSerial), judge: judgePush(false), write: rewrite,
	}
}

// secondPush stops a push when the first of its references is recorded already.
func secondPush() scene {
	s := serialPush()
	s.name, s.skip = "second-of-push", 1

	return s
}

func pushWith(capabilities string) func(context.Context, *take) answer {
	return func(ctx context.Context, t *take) answer {
		return t.carrier.push(ctx, t.goods, change(t.goods), capabilities)
	}
}

// judgePush counts how many references are as the scenes push them.
func judgePush(atomic bool) func(*take, state) error { return judgeUpdates(atomic, change) }

// judgeUpdates counts how many references are as they were pushed, the one first that is written
// after the fault.
func judgeUpdates(
	atomic bool, updates func(*material) []update,
) func(*take, state) error {
	return func(t *take, found state) error {
		all := updates(t.goods)
		overwritten, err := t.judgeMain(found)
		if err != nil {
			return err
		}
		if overwritten {
			all = all[1:]
		}
		done, err := countDone(all, found)
		if err != nil {
			return err
		}
		if err := t.answer.judge(done, len(all), atomic); err != nil || overwritten {
			return err
		}
		if t.answer.begun() && done == 0 {
			return errors.New("lost: nothing is there of what was recorded")
		}

		return nil
	}
}

// countDone counts the references that are as they should become; the others must be as they were.
func countDone(all []update, found state) (done int, err error) {
	for _, u := range all {
		is := found.refs[u.name]
		if is == "" {
			is = zeroID
		}
		switch is {
		case u.to:
			done++
		case u.from:
		default:
			return 0, fmt.Errorf("%s is %q", u.name, is)
		}
	}

	return done, nil
}

const hookContent = "#!/bin/sh\n# accepts everything\nexit 0\n"

func setHooks() scene {
	return scene{
		name: "hooks",
		act: func(ctx context.Context, t *take) answer {
			return t.carrier.setHooks(ctx, hookContent)
		},
		judge: func(t *take, found state) error {
			return t.judgeOne("the hook", found.hooks != "")
		},
		write: rewrite,
	}
}

func deletion() scene {
	return scene{
		name: "deletion",
		act: func(ctx context.Context, t *take) answer {
			return t.carrier.writeRef(ctx, refMain, zeroID)
		},
		judge: func(t *take, found state) error {
			if overwritten, err := t.judgeMain(found); overwritten || err != nil {
				return err
			}

			return t.judgeOne("the deletion", found.refs[refMain] == "")
		},
		write: rewrite,
	}
}

// judgeOne compares what the client was told with what is there.
func (t *take) judgeOne(what string, done bool) error {
	switch {
	case (t.answer.acknowledged() || t.answer.stands()) && !done:
		return fmt.Errorf("lost: %s was promised: %s", what, t.answer)
	case t.answer.nothing() && done:
		return fmt.Errorf("%s is there, which surely failed", what)
	}

	return nil
}

func creation() scene {
	return scene{
		name: "creation", empty: true,
		act: func(ctx context.Context, t *take) answer {
			return t.persist(ctx, t.carrier.create)
		},
		judge: judgeCreation,
		write: writeAnew,
	}
}

// judgeCreation looks for a repository that was surely not created. Once somebody tries to write to
// it, it may be another.
func judgeCreation(t *take, found state) error {
	if t.tried == "" && t.answer.nothing() && !exists(t.answer.err) {
		return fmt.Errorf("the repository is there, whose creation surely failed: %s", found.text)
	}
	_, err := t.judgeMain(found)

	return err
}

func removal() scene {
	return scene{
		name: "removal",
		act:  func(ctx context.Context, t *take) answer { return t.carrier.remove(ctx) },
		judge: func(t *take, found state) error {
			if t.tried == "" || found.refs[refOther] != "" {
				// The row was deleting before the fault.
				return fmt.Errorf("the repository is there again: %s", found.text)
			}
			_, err := t.judgeMain(found)

			return err
		},
		write: writeAnew,
	}
}

// writeAnew writes to a repository that it creates if it is not there.
func writeAnew(ctx context.Context, t *take, c *client) error {
	if t.tried == "" {
		t.tried = zeroID // Nobody knows yet what an attempt leaves behind.
	}
	if err := c.create(ctx).err; err != nil && !exists(err) {
		return err
	}
	is, err := c.reference(fromPrimary(ctx), refMain)
	if err != nil {
		return err
	}
	next := update{refMain, is, t.goods.base}
	if is == t.goods.base {
		next.to = t.goods.change
	}

	return t.wrote(next.to, c.push(ctx, t.goods, []update{next}, pushAtomic))
}
