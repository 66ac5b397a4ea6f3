package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest"

	"praefect/coordinator"
	"praefect/coordinator/postgres"
	"praefect/test/pgtest"
	"praefect/transaction"
)

// always is a proxy whose lease holds and that finds everything healthy; it has no peers.
type always struct{}

func (always) Healthy(coordinator.VirtualStorage, coordinator.Storage) bool { return true }

func (always) Incarnation() (coordinator.Incarnation, bool) { return self, true }

func (always) AwaitAcknowledged(context.Context, coordinator.Sequence) error { return nil }

// counted is a coordinator on PostgreSQL whose statements are counted.
func counted(t testing.TB) (*coordinator.Coordinator, *postgres.Store, *tracer) {
	t.Helper()
	config := pgtest.Migrated(t)
	statements := &tracer{}
	config.Tracer = statements
	store, err := postgres.Open(t.Context(), zaptest.NewLogger(t), config)
	require.NoError(t, err)
	t.Cleanup(store.Close)
	enlist(t, store)
	statements.count()
	made, err := coordinator.New(coordinator.Dependencies{
		Cluster: coordinator.Cluster{
			VirtualStorages: map[coordinator.VirtualStorage]coordinator.VirtualStorageConfig{
				"default": {Storages: []coordinator.Storage{"a", "b", "c"}},
			},
		},
		Store: store, Health: always{}, Agreed: always{}, Lease: always{}, Peers: always{},
		Registerer: prometheus.NewRegistry(),
	}, zaptest.NewLogger(t), coordinator.Config{})
	require.NoError(t, err)
	return made, store, statements
}

var counterKey = coordinator.Key{VirtualStorage: "default", RelativePath: "group/project.git"}

func success() coordinator.Result {
	return coordinator.Result{
		Votes:     transaction.Summary{Prepared: true, Recorded: 1},
		PrimaryOK: true, OK: []transaction.Voter{"a", "b", "c"},
	}
}

// write takes a write through everything; who confirms begins with the primary.
func write(
	ctx context.Context, c *coordinator.Coordinator,
	confirm func(coordinator.Plan) []transaction.Voter,
) error {
	write, err := c.BeginWrite(ctx, counterKey, coordinator.WriteOptions{})
	if err != nil {
		return err
	}
	if _, err := write.TakeTurn(ctx); err != nil {
		return err
	}
	write.Committing()
	raise := confirm(write.Plan())
	if err := write.Record(ctx, transaction.Record{
		Write: 1, Outcome: transaction.Kept, Raise: raise, Primary: raise[0],
	}); err != nil {
		return err
	}
	_, err = write.Finish(ctx, success())
	return err
}

func everybody(plan coordinator.Plan) []transaction.Voter {
	voters := []transaction.Voter{transaction.Voter(plan.Primary)}
	for _, storage := range plan.Secondaries {
		voters = append(voters, transaction.Voter(storage))
	}
	return voters
}

// TestStatements counts the round trips of every operation that clients wait for.
func TestStatements(t *testing.T) {
	t.Parallel()
	c, _, statements := counted(t)
	ctx := t.Context()

	creation, err := c.BeginCreation(ctx, counterKey, coordinator.CreationOptions{})
	require.NoError(t, err)
	require.Equal(t, 1, statements.count(), "begin of a creation")
	raise := everybody(creation.Plan())
	require.NoError(t, creation.Record(ctx, transaction.Record{
		Write: 1, Raise: raise, Primary: raise[0],
	}))
	require.Equal(t, 1, statements.count(), "record of a creation")
	_, err = creation.Finish(ctx, success())
	require.NoError(t, err)
	require.Equal(t, 1, statements.count(), "end of a creation")

	read := func() {
		route, err := c.Read(ctx, counterKey, coordinator.ReadOptions{})
		require.NoError(t, err)
		route.Done()
	}
	read()
	require.Equal(t, 1, statements.count(), "read that is not cached")
	read()
	require.Zero(t, statements.count(), "cached read")
	_, err = c.Read(ctx, counterKey, coordinator.ReadOptions{PrimaryOnly: true})
	require.NoError(t, err)
	require.Zero(t, statements.count(), "cached read of the primary")

	require.NoError(t, write(ctx, c, everybody))
	require.Equal(t, 2, statements.count(), "cached write")
	require.NoError(t, write(ctx, c, everybody))
	require.Equal(t, 2, statements.count(), "agreement invalidates nothing")
	require.NoError(t, write(ctx, c, func(plan coordinator.Plan) []transaction.Voter {
		return everybody(plan)[:2]
	}))
	require.Equal(t, 3, statements.count(), "write that leaves one behind, whose repair is due")
	require.NoError(t, write(ctx, c, everybody))
	require.Equal(t, 3, statements.count(), "write that is not cached")

	_, err = c.BeginRemoval(ctx, counterKey)
	require.NoError(t, err)
	require.Equal(t, 3, statements.count(), "removal: turn, deletion, and a look that it is over")
}

// TestRoundTrips counts what the store sends for operations that somebody waits for or that are
// repeated all the time.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	_, store, statements := counted(t)
	ctx, from := t.Context(), creation("a.git")
	require.NoError(t, store.Create(ctx, from))
	require.NoError(t, store.Complete(ctx, from.ID))
	open := func(write coordinator.WriteID) error {
		_, err := store.OpenTurn(ctx, coordinator.Intent{
			Write: write, Repository: from.ID, Incarnation: self, Kind: "references",
		})
		return err
	}
	statements.count()
	for _, step := range []struct {
		name string
		want int
		call func() error
	}{
		{"take a turn", 1, func() error { return open(1) }},
		{"record", 1, func() error {
			_, err := store.Record(ctx, coordinator.WriteOutcome{
				Repository: from.ID, Write: 1, Epoch: 1, Raise: from.Assigned[:2],
			})
			return err
		}},
		{"take another turn", 1, func() error { return open(2) }},
		{"elect", 1, func() error {
			_, err := store.Elect(ctx, coordinator.Election{
				Repository: from.ID, Write: 2, Epoch: 1, Candidate: "b",
			})
			return err
		}},
		{"renew", 1, func() error {
			_, err := store.Renew(ctx, coordinator.Renewal{Incarnation: self, TTL: time.Hour})
			return err
		}},
		{"look for turns", 1, func() error {
			_, err := store.AdoptTurns(ctx, self, 10)
			return err
		}},
		{"ask the others", 1, func() error {
			_, err := store.Acknowledged(ctx, self, 1)
			return err
		}},
	} {
		require.NoError(t, step.call(), step.name)
		require.Equal(t, step.want, statements.count(), step.name)
	}
}

// BenchmarkWrite is a write from its routing to its end with a database on this machine.
func BenchmarkWrite(b *testing.B) {
	c, _, _ := counted(b)
	creation, err := c.BeginCreation(b.Context(), counterKey, coordinator.CreationOptions{})
	require.NoError(b, err)
	_, err = creation.Finish(b.Context(), coordinator.Result{
		PrimaryOK: true, OK: []transaction.Voter{"a", "b", "c"},
	})
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if err := write(b.Context(), c, everybody); err != nil {
			b.Fatal(err)
		}
	}
}
