package membership_test

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"praefect/coordinator"
	"praefect/coordinator/membership"
)

// idle follows nothing, and finds everything healthy.
type idle struct{}

func (idle) Invalidate(coordinator.Key)                                   {}
func (idle) Forget()                                                      {}
func (idle) Notify(coordinator.Notice)                                    {}
func (idle) TailLost(context.Context)                                     {}
func (idle) Healthy(coordinator.VirtualStorage, coordinator.Storage) bool { return true }

// enlisted runs a worker with the clocks of this machine.
func enlisted(b *testing.B) *membership.Worker {
	b.Helper()
	store := newLedger()
	store.with(1, report{virtual: {"a", "b"}})
	worker, err := membership.New(membership.Dependencies{
		Store: store, Health: idle{}, Registerer: prometheus.NewRegistry(),
	}, zap.NewNop(), membership.Config{Name: "own"})
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() {
		done <- worker.Run(ctx, membership.Local{
			Routes: idle{}, Notices: idle{}, Tail: idle{},
		})
	}()
	b.Cleanup(func() {
		cancel()
		require.NoError(b, <-done)
	})
	<-worker.Enlisted()
	return worker
}

// BenchmarkIncarnation is what the lease costs each cached read.
func BenchmarkIncarnation(b *testing.B) {
	worker := enlisted(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, holds := worker.Incarnation(); !holds {
			b.Fatal("the lease is lost")
		}
	}
}

// BenchmarkHealthy is what the others' reports cost each election.
func BenchmarkHealthy(b *testing.B) {
	worker := enlisted(b)
	b.ReportAllocs()
	for b.Loop() {
		if !worker.Healthy(virtual, "a") {
			b.Fatal("it is healthy")
		}
	}
}
