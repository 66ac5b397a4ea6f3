package registry_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"praefect/proxy/gitalypb"
	"praefect/transaction"
	"praefect/transaction/registry"
)

// instant is a Writer that does nothing, at once.
type instant struct{}

func (instant) TakeTurn(context.Context) ([]transaction.Voter, error) { return nil, nil }
func (instant) Contended() bool                                       { return false }
func (instant) ReleaseTurn(context.Context)                           {}
func (instant) Leased() bool                                          { return true }

func (instant) Overran(context.Context) error { return nil }

func (instant) Committing()                                      {}
func (instant) Record(context.Context, transaction.Record) error { return nil }

func (instant) Confirm(context.Context, uint64, transaction.Voter) (bool, error) {
	return true, nil
}

// BenchmarkWrite measures a call with PREPARED and COMMITTED of each node, without the wire.
func BenchmarkWrite(b *testing.B) {
	for _, nodes := range []int{1, 3} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			r, err := registry.New(prometheus.NewRegistry(), zap.NewNop(), registry.Config{})
			if err != nil {
				b.Fatal(err)
			}
			voting := transaction.Config{Primary: "node-0", MinimumCopies: nodes/2 + 1}
			services := []gitalypb.RefTransactionServer{r.Service("node-0")}
			for n := 1; n < nodes; n++ {
				name := transaction.Voter(fmt.Sprintf("node-%d", n))
				voting.Secondaries = append(voting.Secondaries, name)
				services = append(services, r.Service(name))
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := writeOnce(b.Context(), r, voting, services); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// writeOnce is one call from its beginning to its end.
func writeOnce(
	ctx context.Context, r *registry.Registry, voting transaction.Config,
	services []gitalypb.RefTransactionServer,
) error {
	live, err := r.Begin(ctx, registry.Options{Voting: voting, Writer: instant{}})
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	var voters errgroup.Group
	for n, service := range services {
		name := fmt.Sprintf("node-%d", n)
		voters.Go(func() error {
			defer live.Ended(transaction.Voter(name))
			for _, phase := range []gitalypb.VoteTransactionRequest_Phase{prepared, committed} {
				_, err := service.VoteTransaction(ctx, request(live, name, phase, "refs"))
				if err != nil {
					return fmt.Errorf("vote: %w", err)
				}
			}
			return nil
		})
	}
	if err := voters.Wait(); err != nil {
		return fmt.Errorf("voters: %w", err)
	}
	if _, err := live.Finish(ctx); err != nil {
		return fmt.Errorf("finish: %w", err)
	}
	return nil
}
