package fault

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"praefect/test/chaos/link"
	"praefect/test/cluster"
)

const (
	// duetEvery is the time between two duets.
	duetEvery = 9 * time.Second

	// A proxy is killed so long after a node was frozen: before anybody takes the node for dead.
	momentMin, momentMax = 250 * time.Millisecond, 650 * time.Millisecond
	shortMin, shortMax   = 1500 * time.Millisecond, 4 * time.Second
	leaseMin, leaseMax   = 8 * time.Second, 12 * time.Second
	deafMin, deafMax     = 10 * time.Second, 14 * time.Second
	// Nodes are frozen and proxies killed so often in a row, with so much time between.
	killsInARow = 2
	breath      = time.Second
	// Clients are told to stop so long after the proxy was killed.
	stopAfter = 20 * time.Millisecond

	overhang               = 1500 * time.Millisecond
	fullAfter, fullShorter = 500 * time.Millisecond, time.Second
)

// duets makes one duet after the other until the context ends, with the turns of both lanes.
func (in *Injector) duets(ctx context.Context, random *rand.Rand, lanes []*lane) error {
	// The database is no duet, but the lane that breaks it may not get to it often enough.
	moves := []move{
		{Kill, in.killsWhileFrozen},
		{Disk, in.freezeWhileFull},
		{Database, in.restartDatabase},
		{Kill, in.killsWhileFrozen},
		{Disk, in.deafWhileFull},
		{Database, in.restartDatabase},
	}
	for {
		for _, i := range random.Perm(len(moves)) {
			pause(ctx, duetEvery)
			if over(ctx) {
				return nil
			}
			if !in.Wanted(moves[i].kind) {
				continue
			}
			if err := in.duet(ctx, random, lanes, moves[i]); err != nil {
				return err
			}
		}
	}
}

func (in *Injector) duet(
	ctx context.Context, random *rand.Rand, lanes []*lane, m move,
) error {
	for _, l := range lanes {
		l.awaitCalm(ctx)
		l.turn.Lock()
	}
	defer func() {
		for _, l := range lanes {
			l.turn.Unlock()
		}
	}()
	if over(ctx) {
		return nil
	}

	return m.play(ctx, random)
}

// Finale freezes a node, and kills a proxy when writes wait for that node. Then it calls stop,
// which is to keep clients from beginning anything else: nothing covers up what this leaves behind.
// Only the program of everything has one.
func (in *Injector) Finale(ctx context.Context, stop func()) error {
	if in.Program != Everything {
		return nil
	}
	random := rand.New(rand.NewPCG(in.Seed, finale))
	lane := in.nodeLane()
	lane.awaitCalm(ctx)

	return in.killFrozen(ctx, random, stop)
}

// finale tells the random numbers of the finale from those of lanes.
const finale = 1 << 16

// together runs several voices at a time.
func together(voices ...func() error) error {
	errs := make([]error, len(voices))
	var playing sync.WaitGroup
	for i, voice := range voices {
		playing.Go(func() { errs[i] = voice() })
	}
	playing.Wait()

	return errors.Join(errs...)
}

// killsWhileFrozen does it several times, as only a write at a certain point shows anything.
func (in *Injector) killsWhileFrozen(ctx context.Context, random *rand.Rand) error {
	for range killsInARow {
		if err := in.killWhileFrozen(ctx, random); err != nil || over(ctx) {
			return err
		}
		pause(ctx, breath)
	}

	return nil
}

// killWhileFrozen lets the clients rest when the proxy was killed, and is followed by a muster: it
// leaves more in doubt than anything else, and the next writes and repairs would cover it up.
func (in *Injector) killWhileFrozen(ctx context.Context, random *rand.Rand) error {
	resume := func() {}
	defer func() { resume() }()
	if err := in.killFrozen(ctx, random, func() { resume = in.Rest() }); err != nil || over(ctx) {
		return err
	}

	return in.Muster(ctx)
}

// killFrozen freezes a node, kills a proxy a moment later, and then calls a function.
func (in *Injector) killFrozen(ctx context.Context, random *rand.Rand, killed func()) error {
	node, proxy := in.follower(ctx), choose(random, in.Proxies)
	frozen, moment := between(random, shortMin, shortMax), between(random, momentMin, momentMax)

	return together(
		func() error { return in.freeze(ctx, node.Storage, node.Process(), frozen) },
		func() error {
			pause(ctx, moment)

			return in.killOne(ctx, proxy, frozen-moment)
		},
		func() error {
			pause(ctx, moment+stopAfter)
			killed()

			return nil
		})
}

// follower is the node that is the primary of the fewest repositories: writes go on without it.
func (in *Injector) follower(ctx context.Context) *cluster.Node {
	found, fewest := in.Nodes[0], len(in.Primary(ctx, in.Nodes[0].Storage))
	for _, node := range in.Nodes[1:] {
		if count := len(in.Primary(ctx, node.Storage)); count < fewest {
			found, fewest = node, count
		}
	}

	return found
}

func (in *Injector) freezeWhileFull(ctx context.Context, random *rand.Rand) error {
	node, proxy := choose(random, in.Nodes), choose(random, in.Proxies)
	length := between(random, leaseMin, leaseMax)

	return together(
		func() error { return in.freeze(ctx, proxy.Name, proxy.Process(), length) },
		func() error {
			pause(ctx, length/2)

			return in.fill(ctx, node, length/2+overhang)
		})
}

func (in *Injector) deafWhileFull(ctx context.Context, random *rand.Rand) error {
	node, proxy := choose(random, in.Nodes), choose(random, in.Proxies)
	length := between(random, deafMin, deafMax)
	door := in.Doors[Between{proxy.Name, cluster.DatabaseParty}]

	return together(
		func() error {
			return in.inflict(ctx, Fault{Kind: Stall, From: proxy.Name, To: cluster.DatabaseParty},
				length, in.setter(link.Stalled, door.Link()))
		},
		func() error {
			pause(ctx, fullAfter)

			return in.fill(ctx, node, length-fullShorter)
		})
}
