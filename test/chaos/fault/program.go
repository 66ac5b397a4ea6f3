package fault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Program is a choice of what is broken.
type Program string

const (
	// Everything is all kinds of faults and all duets.
	Everything Program = "everything"
	// Jitter freezes nodes for so short a time that nobody takes them for slow: they commit late.
	Jitter Program = "jitter"
	// Doubt kills all proxies while writes wait for a node.
	Doubt Program = "doubt"
	// Deaf lets a proxy hear nothing from the database while the disk of a node is full.
	Deaf Program = "deaf"
	// Node has one node down nearly all the time, killed or frozen, and nothing else broken: what
	// is promised of availability is judged by it.
	Node Program = "node"
	// Nothing shows what clients get when all is well, to compare with.
	Nothing Program = "nothing"
)

// ErrUnknownProgram is returned for a program that there is not.
var ErrUnknownProgram = errors.New("unknown program")

// ParseProgram returns the program of that name.
func ParseProgram(name string) (Program, error) {
	switch p := Program(name); p {
	case Everything, Jitter, Doubt, Deaf, Node, Nothing:
		return p, nil
	default:
		return "", fmt.Errorf("%w: %q", ErrUnknownProgram, name)
	}
}

const (
	// So often, so long and so far apart nodes are frozen between two musters.
	blinks                   = 8
	blinkMin, blinkMax       = 60 * time.Millisecond, 350 * time.Millisecond
	blinkGapMin, blinkGapMax = 50 * time.Millisecond, 250 * time.Millisecond
	absentMin, absentMax     = 4 * time.Second, 8 * time.Second
	programMin, programMax   = 500 * time.Millisecond, 1500 * time.Millisecond
)

// repeat makes the one move of a program again and again.
func (in *Injector) repeat(ctx context.Context) error {
	random := rand.New(rand.NewPCG(in.Seed, program))
	wait := &lane{calm: in.Calm}
	for {
		pause(ctx, between(random, programMin, programMax))
		wait.awaitCalm(ctx)
		if over(ctx) {
			return nil
		}
		if err := in.single(ctx, random); err != nil {
			return err
		}
	}
}

// program tells the random numbers of programs from those of lanes.
const program = 2 << 16

// single makes the move of a program once.
func (in *Injector) single(ctx context.Context, random *rand.Rand) error {
	switch in.Program {
	case Jitter:
		return in.jitter(ctx, random)
	case Doubt:
		return in.killAllWhileFrozen(ctx, random)
	case Deaf:
		return in.deafWhileFull(ctx, random)
	case Node:
		return in.downNode(ctx, random)
	case Nothing:
		return nil
	case Everything:
	}

	return fmt.Errorf("%w: %q", ErrUnknownProgram, in.Program)
}

// downNode is long enough for another primary and for many writes without the node.
func (in *Injector) downNode(ctx context.Context, random *rand.Rand) error {
	node, length := choose(random, in.Nodes), between(random, absentMin, absentMax)
	if random.IntN(2) == 0 {
		return in.killOneNode(ctx, node, length)
	}

	return in.freeze(ctx, node.Storage, node.Process(), length)
}

// jitter is followed by a muster, as the next writes would cover up what it leaves.
func (in *Injector) jitter(ctx context.Context, random *rand.Rand) error {
	for range blinks {
		node := choose(random, in.Nodes)
		err := in.freeze(ctx, node.Storage, node.Process(), between(random, blinkMin, blinkMax))
		if err != nil || over(ctx) {
			return err
		}
		pause(ctx, between(random, blinkGapMin, blinkGapMax))
	}
	resume := in.Rest()
	defer resume()

	return in.Muster(ctx)
}

// killAllWhileFrozen leaves as many writes in doubt as it can.
func (in *Injector) killAllWhileFrozen(ctx context.Context, random *rand.Rand) error {
	node := in.follower(ctx)
	frozen, moment := between(random, shortMin, shortMax), between(random, momentMin, momentMax)
	resume := func() {}
	defer func() { resume() }()

	voices := []func() error{
		func() error { return in.freeze(ctx, node.Storage, node.Process(), frozen) },
		func() error {
			pause(ctx, moment+stopAfter)
			resume = in.Rest()

			return nil
		},
	}
	for _, proxy := range in.Proxies {
		voices = append(voices, func() error {
			pause(ctx, moment)

			return in.killOne(ctx, proxy, frozen-moment)
		})
	}
	if err := together(voices...); err != nil || over(ctx) {
		return err
	}

	return in.Muster(ctx)
}
