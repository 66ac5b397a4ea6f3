package registry_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/proxy/gitalypb"
	"praefect/transaction"
	"praefect/transaction/registry"
)

// TestManyVoters runs many transactions at once, whose nodes vote, hang, vote otherwise, end and
// disappear at random. Each has to end, with every vote answered.
func TestManyVoters(t *testing.T) {
	t.Parallel()
	const transactions, nodes = 200, 5
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	b := newRegistry(t, registry.Config{
		GraceMin: time.Millisecond, GraceMax: 2 * time.Millisecond,
		VoteTimeout: 20 * time.Millisecond, TurnWait: 5 * time.Millisecond,
	})
	var calls sync.WaitGroup
	for i := range transactions {
		calls.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			if err := stress(t.Context(), b, random, nodes); err != nil {
				t.Errorf("transaction %d: %s", i, err)
			}
		})
	}
	calls.Wait()
	require.Zero(t, b.value("gitaly_praefect_transactions_live"))
}

// stress plays one transaction to its end.
func stress(ctx context.Context, b *bundle, random *rand.Rand, nodes int) error {
	voting := transaction.Config{
		Primary: "node-0", MinimumCopies: 1 + random.IntN(nodes/2+1),
		Gate: transaction.Gate(random.IntN(4)),
	}
	for n := 1; n < nodes; n++ {
		voting.Secondaries = append(voting.Secondaries,
			transaction.Voter(fmt.Sprintf("node-%d", n)))
	}
	live, err := b.registry.Begin(ctx, registry.Options{
		Voting: voting, Writer: &flaky{random: rand.New(rand.NewPCG(random.Uint64(), 0))},
	})
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	var voters sync.WaitGroup
	for n := range nodes {
		own := rand.New(rand.NewPCG(random.Uint64(), 0))
		voters.Go(func() { (&node{b, live, n, own}).run(ctx) })
	}
	if random.IntN(8) == 0 {
		live.Abort()
	}
	voters.Wait()
	summary, err := live.Finish(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("finish: %w", err)
	case summary.Unfinished != summary.Failed:
		return fmt.Errorf("unfinished: %+v", summary)
	case (summary.Failed || summary.BelowMinimum || summary.Doubtful > 0) != (live.Err() != nil):
		return fmt.Errorf("%w: %+v", live.Err(), summary)
	}
	return nil
}

// node votes as a node does that runs a push, and sometimes does not.
type node struct {
	b      *bundle
	live   *registry.Live
	number int
	random *rand.Rand
}

func (n *node) run(ctx context.Context) {
	name := fmt.Sprintf("node-%d", n.number)
	service := n.b.registry.Service(transaction.Voter(name))
	for range 3 {
		for _, phase := range []gitalypb.VoteTransactionRequest_Phase{
			syncing, preparing, prepared, committed,
		} {
			word := "refs"
			switch n.random.IntN(60) {
			case 0:
				word = "other"
			case 1:
				continue
			case 2:
				n.live.Lost(transaction.Voter(name))
				return
			}
			limit := time.Minute
			if n.random.IntN(40) == 0 {
				limit = time.Duration(n.random.IntN(2000)) * time.Microsecond
			}
			voteCtx, cancel := context.WithTimeout(ctx, limit)
			response, err := service.VoteTransaction(voteCtx, request(n.live, name, phase, word))
			cancel()
			if err != nil || response.GetState() != commit {
				n.live.Ended(transaction.Voter(name))
				return
			}
		}
	}
	n.live.Ended(transaction.Voter(name))
}

// flaky is a Writer that is slow and fails now and then.
type flaky struct {
	mu     sync.Mutex
	random *rand.Rand
}

func (f *flaky) happens(in int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.random.IntN(in) == 0
}

var errFlaky = errors.New("flaky")

func (f *flaky) TakeTurn(ctx context.Context) ([]transaction.Voter, error) {
	if f.happens(40) {
		<-ctx.Done()
		return nil, fmt.Errorf("take turn: %w", ctx.Err())
	}
	if f.happens(40) {
		return []transaction.Voter{"node-4"}, nil
	}
	return nil, nil
}

func (f *flaky) Contended() bool             { return f.happens(2) }
func (f *flaky) ReleaseTurn(context.Context) {}
func (f *flaky) Leased() bool                { return true }

func (f *flaky) Overran(context.Context) error { return nil }

func (f *flaky) Committing() {}

func (f *flaky) Record(context.Context, transaction.Record) error {
	if f.happens(40) {
		return errFlaky
	}
	return nil
}

func (f *flaky) Confirm(context.Context, uint64, transaction.Voter) (bool, error) {
	if f.happens(10) {
		return false, errFlaky
	}
	return f.happens(2), nil
}
