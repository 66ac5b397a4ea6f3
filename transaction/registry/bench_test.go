package registry_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"praefect/proxy/gitalypb"
	"praefect/transaction"
	"praefect/transaction/registry"
)

// instant is a Writer that does nothing, at once.
type instant struct{}

func (instant) TakeTurn(context.Context) ([]transaction.Voter, error) { return nil, nil }
func (instant) Contended() bool                                       { return false }
func (instant) ReleaseTurn(context.Context)                           {}
func (instant) Committing()                                           {}
func (instant) Record(context.Context, transaction.Record) error      { return nil }

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
				benchmarkWrite(b, r, voting, services)
			}
		})
	}
}

func benchmarkWrite(
	b *testing.B, r *registry.Registry, voting transaction.Config,
	services []gitalypb.RefTransactionServer,
) {
	live, err := r.Begin(b.Context(), registry.Options{Voting: voting, Writer: instant{}})
	if err != nil {
		b.Fatal(err)
	}
	var voters sync.WaitGroup
	for n, service := range services {
		name := fmt.Sprintf("node-%d", n)
		voters.Go(func() {
			for _, phase := range []gitalypb.VoteTransactionRequest_Phase{prepared, committed} {
				if _, err := service.VoteTransaction(b.Context(),
					request(live, name, phase, "refs")); err != nil {
					b.Error(err)
				}
			}
			live.Ended(transaction.Voter(name))
		})
	}
	voters.Wait()
	if _, err := live.Finish(b.Context()); err != nil {
		b.Fatal(err)
	}
}
