package recovery_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
	"praefect/coordinator/recovery"
	"praefect/transaction"
)

// due makes a comparison due at once.
func (w *world) due(t *testing.T) {
	t.Helper()
	require.NoError(t, w.store.ScheduleVerification(t.Context(), 1000, 0))
}

// pending says whether a comparison is still to be made, now or later.
func (w *world) pending(t *testing.T, within time.Duration) bool {
	t.Helper()
	<-time.After(within)
	claimed, err := w.store.ClaimVerifications(t.Context(), 1, time.Nanosecond)
	require.NoError(t, err)
	return len(claimed) > 0
}

// TestVerification has comparisons that no recovery has asked for.
func TestVerification(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		content          string
		primary, current string
		// done says that nothing is left to compare, message what is logged, if anything.
		done    bool
		message string
	}{
		"equal":                {"ooo", "a", "abc", true, ""},
		"minority":             {"oon", "a", "ab", true, "minority is outdated"},
		"primary in minority":  {"noo", "b", "bc", true, "minority is outdated"},
		"one is gone":          {"o-o", "a", "ac", true, "minority is outdated"},
		"only one is there":    {"--o", "c", "c", true, "minority is outdated"},
		"one is silent":        {"o!o", "a", "abc", false, "could not be compared"},
		"silent and different": {"o!n", "a", "abc", false, "somebody has to decide"},
		"silent and gone":      {"o!-", "a", "ab", false, "minority is outdated"},
		"all different":        {"onx", "a", "abc", false, "somebody has to decide"},
		"all gone":             {"---", "a", "abc", false, "no replica is on the disks"},
		"all silent":           {"!!!", "a", "abc", false, "could not be compared"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.set(tc.content)
				w.due(t)
				before := w.load(t)
				p := w.prepare(t, "p")
				stop := w.work(t, p, nil, recovery.Config{})
				<-time.After(moment)
				stop()
				w.requireOutcome(t, coordinator.Storage(tc.primary), list(tc.current)...)
				raised := len(tc.current) < 3
				require.Equal(t, raised, before.Generation < w.load(t).Generation)
				require.Equal(t, raised, before.Epoch < w.load(t).Epoch)
				if tc.message == "" {
					require.Zero(t, p.logs.FilterMessageSnippet("replica").Len())
				} else {
					require.Equal(t, 1, p.logs.FilterMessageSnippet(tc.message).Len())
				}
				require.Equal(t, !tc.done, w.pending(t, 6*time.Minute))
			})
		})
	}
}

// TestSampleDisturbed has a write between the questions of a sample: that the answers are equal is
// not believed, and the comparison is made under the turn.
func TestSampleDisturbed(t *testing.T) {
	t.Parallel()
	for name, records := range map[string]bool{"recorded": true, "under way": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				p := w.prepare(t, "p")
				writer := w.enlist(t, "writer")
				w.disks.set(func(d *disks) {
					d.before = func(question recovery.Question) {
						if question.Storage == "a" && w.disks.questions("a") == 1 {
							w.write(t, writer, records)
						}
					}
				})
				w.due(t)
				before := w.load(t)
				stop := w.work(t, p, nil, recovery.Config{})
				defer stop()
				<-time.After(time.Second)
				require.Equal(t, 2, w.disks.questions("a"), "once more under the turn")
				w.requireOutcome(t, "a", "a", "b", "c")
				require.Equal(t, before.Generation+1, w.load(t).Generation)
				require.False(t, w.pending(t, 6*time.Minute))
			})
		})
	}
}

// write is a write that happens to change nothing that is compared. It is recorded at once, or in a
// moment.
func (w *world) write(t *testing.T, writer coordinator.Incarnation, recordsAtOnce bool) {
	t.Helper()
	base, err := w.store.OpenTurn(t.Context(), coordinator.Intent{
		Write: 5, Repository: 1000, Incarnation: writer, Kind: "references",
		Participants: storages{"a", "b", "c"},
	})
	require.NoError(t, err)
	record := func() {
		_, err := w.store.Record(t.Context(), coordinator.WriteOutcome{
			Repository: 1000, Write: 5, Epoch: base.Epoch, Base: base.Generation,
			Raise: storages{"a", "b", "c"},
		})
		require.NoError(t, err)
	}
	if recordsAtOnce {
		record()
		return
	}
	go func() { <-time.After(100 * time.Millisecond); record() }()
}

// TestDoubtfulAndEqual has all replicas equal when the time of doubt is over: generation and epoch
// go up all the same.
func TestDoubtfulAndEqual(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		require.NoError(t, w.store.Settle(t.Context(), 1000, coordinator.Settling{
			Storages: storages{"b"}, For: time.Minute,
		}))
		before := w.load(t)
		stop := w.work(t, w.prepare(t, "p"), nil, recovery.Config{})
		defer stop()
		<-time.After(59 * time.Second)
		require.Equal(t, before, w.load(t))
		<-time.After(2 * time.Second)
		w.requireOutcome(t, "a", "a", "b", "c")
		require.Equal(t, before.Generation+1, w.load(t).Generation)
		require.Equal(t, before.Epoch+1, w.load(t).Epoch)
		require.False(t, w.pending(t, 6*time.Minute))
	})
}

// TestDoubtful has the primary's state win, as in a recovery, even against a majority. Whoever does
// not answer is asked again when it does, and without the primary's answer nothing is decided.
func TestDoubtful(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		content string
		primary coordinator.Storage
		current storages
		done    bool
	}{
		"primary against majority": {"onn", "a", storages{"a"}, true},
		"primary is silent":        {"!on", "a", storages{"a", "b", "c"}, false},
		"one is silent":            {"oo!", "a", storages{"a", "b", "c"}, false},
		"one is silent, one not":   {"on!", "a", storages{"a", "c"}, false},
		"nobody answers":           {"!!!", "a", storages{"a", "b", "c"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.set(tc.content)
				require.NoError(t, w.store.Settle(t.Context(), 1000, coordinator.Settling{
					Storages: storages{"b"}, For: time.Minute,
				}))
				stop := w.work(t, w.prepare(t, "p"), nil, recovery.Config{})
				defer stop()
				<-time.After(61 * time.Second)
				w.requireOutcome(t, tc.primary, tc.current...)
				if !tc.done {
					w.set("ooo")
					<-time.After(31 * time.Second)
				}
				require.False(t, w.pending(t, 6*time.Minute))
			})
		})
	}
}

// TestDoubtTakesNoRoom has a replica in doubt whose node is away: nothing can be decided before it
// is back, and other comparisons go on meanwhile.
func TestDoubtTakesNoRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.repository(t, 1001, "other.git")
		w.disks.set(func(d *disks) { d.sick["c"] = true })
		require.NoError(t, w.store.Settle(t.Context(), 1000, coordinator.Settling{
			Storages: storages{"a", "b", "c"},
		}))
		require.NoError(t, w.store.ScheduleVerification(t.Context(), 1001, time.Second))
		p := w.prepare(t, "p")
		defer w.work(t, p, nil, recovery.Config{Verifications: 1})()
		<-time.After(5 * time.Second)
		compared := map[any]int{}
		for _, entry := range p.logs.FilterMessageSnippet("could not be compared").All() {
			compared[entry.ContextMap()["relative_path"]]++
		}
		require.Equal(t, map[any]int{path: 1, "other.git": 1}, compared)
	})
}

// TestSplitEnds has replicas differ without a majority until an operator has decided.
func TestSplitEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.set("onx")
		w.due(t)
		p := w.prepare(t, "p")
		stop := w.work(t, p, nil, recovery.Config{Claim: 5 * time.Minute})
		defer stop()
		<-time.After(29 * time.Minute)
		w.requireOutcome(t, "a", "a", "b", "c")
		told := p.logs.FilterMessageSnippet("somebody has to decide").Len()
		require.Equal(t, 6, told, "every five minutes")
		w.set("onn")
		<-time.After(2 * time.Minute)
		w.requireOutcome(t, "b", "b", "c")
	})
}

// TestVerificationWaitsForWriters has a turn that is held for long.
func TestVerificationWaitsForWriters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.set("oon")
		writer := w.enlist(t, "writer")
		_, err := w.store.OpenTurn(t.Context(), coordinator.Intent{
			Write: 5, Repository: 1000, Incarnation: writer, Kind: "references",
			Participants: storages{"a", "b", "c"},
		})
		require.NoError(t, err)
		w.due(t)
		p := w.prepare(t, "p")
		stop := w.work(t, p, nil, recovery.Config{})
		defer stop()
		<-time.After(15 * time.Second)
		require.Zero(t, w.disks.questions("a"))
		require.Equal(t, 1, p.logs.FilterMessage("replicas are compared later").Len())
		_, err = w.store.CloseTurn(t.Context(), 1000, 5)
		require.NoError(t, err)
		<-time.After(15 * time.Second)
		w.requireOutcome(t, "a", "a", "b")
	})
}

// TestWritersWaitForVerification has a write come while replicas are compared under the turn: the
// replica in quarantine takes no part in it.
func TestWritersWaitForVerification(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.set("oon")
		w.due(t)
		p := w.prepare(t, "p")
		write, err := p.BeginWrite(t.Context(), key(), coordinator.WriteOptions{
			Kind: "references",
		})
		require.NoError(t, err)
		w.disks.set(func(d *disks) {
			d.before = func(question recovery.Question) {
				if w.disks.questions(question.Storage) == 2 {
					<-time.After(time.Second)
				}
			}
		})
		stop := w.work(t, p, nil, recovery.Config{})
		defer stop()
		<-time.After(moment)
		begin := time.Now()
		lapsed, err := write.TakeTurn(t.Context())
		require.NoError(t, err)
		require.Greater(t, time.Since(begin), 900*time.Millisecond)
		require.Equal(t, []transaction.Voter{"c"}, lapsed)
		require.Equal(t, storages{"a", "b"}, w.current(t))
		_, err = write.Finish(t.Context(), coordinator.Result{})
		require.NoError(t, err)
	})
}

func TestConfig(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, config := range map[string]recovery.Config{
		"negative":         {Settle: -1},
		"shrinking":        {BackoffMin: time.Second, BackoffMax: time.Millisecond},
		"claim ends early": {Claim: time.Second},
	} {
		_, err := recovery.New(recovery.Dependencies{Store: w.store}, nil, config)
		require.ErrorIs(t, err, recovery.ErrInvalidConfig, name)
	}
}
