package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
	"praefect/coordinator/postgres"
	"praefect/test/pgtest"
)

func TestJournal(t *testing.T) {
	t.Parallel()
	store := open(t, pgtest.Migrated(t))
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	entry := func(path string, notable bool) coordinator.Entry {
		return coordinator.Entry{
			At: at, Event: coordinator.EventWrite, Repository: 7, Notable: notable,
			Key: coordinator.Key{VirtualStorage: "default", RelativePath: path},
			Details: coordinator.EntryDetails{
				Outcome: "recorded", Transaction: 1<<63 + 1, Cause: `quote " and 'another'`,
				Replicas: []coordinator.EntryReplica{{
					Storage: "a", Became: coordinator.BecameOutdated, Reason: "why",
				}},
			},
		}
	}
	var all []coordinator.Entry
	for i := range 6 {
		all = append(all, entry(fmt.Sprintf("%d.git", i%3), i%2 == 0))
	}
	require.NoError(t, store.AppendEntries(t.Context(), "host :1", all))
	list := func(query postgres.EntryQuery) []string {
		t.Helper()
		query.Limit = 10
		found, err := store.Entries(t.Context(), query)
		require.NoError(t, err)
		paths := []string{}
		for _, one := range found {
			paths = append(paths, one.Key.RelativePath)
		}
		return paths
	}
	require.Equal(t, []string{"2.git", "1.git", "0.git", "2.git", "1.git", "0.git"},
		list(postgres.EntryQuery{}), "the newest first")
	require.Equal(t, []string{"1.git", "2.git", "0.git"},
		list(postgres.EntryQuery{Notable: true}))
	require.Equal(t, []string{"1.git", "1.git"}, list(postgres.EntryQuery{Key: all[1].Key}))
	require.Empty(t, list(postgres.EntryQuery{
		Key: coordinator.Key{VirtualStorage: "other"},
	}))

	found, err := store.Entries(t.Context(), postgres.EntryQuery{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, "host :1", found[0].Proxy)
	found[0].At = found[0].At.UTC()
	require.Equal(t, all[5], found[0].Entry)

	require.NoError(t, store.PruneEntries(t.Context(), 1))
	require.Equal(t, []string{"2.git", "1.git"}, list(postgres.EntryQuery{}),
		"the newest of each kind is kept")
	require.NoError(t, store.AppendEntries(t.Context(), "host :1", nil))
}

// BenchmarkJournal says what an entry of the journal costs, written as proxies do.
func BenchmarkJournal(b *testing.B) {
	store := open(b, pgtest.Migrated(b))
	batch := make([]coordinator.Entry, 500)
	for i := range batch {
		batch[i] = coordinator.Entry{
			At: time.Now(), Event: coordinator.EventWrite, Repository: 7,
			Key: coordinator.Key{
				VirtualStorage: "default", RelativePath: fmt.Sprintf("@hashed/%d.git", i),
			},
			Details: coordinator.EntryDetails{Outcome: "recorded", Replicas: make(
				[]coordinator.EntryReplica, 3)},
		}
	}
	for b.Loop() {
		require.NoError(b, store.AppendEntries(b.Context(), "host", batch))
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(batch)), "us/entry")
}
