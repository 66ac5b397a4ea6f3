package recovery_test

import (
	"context"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
	"praefect/coordinator/recovery"
)

// found is what a write has left behind whose proxy is gone, and what must be made of it. Storages
// are single letters.
type found struct {
	kind         coordinator.WriteKind
	participants string
	// content is that of a, b and c: o is old, n is new, - is gone, ! answers with an error.
	content, sick    string
	primary, current string
}

func adoptions() map[string]found {
	return map[string]found{
		"nobody committed":          {"references", "abc", "ooo", "", "a", "abc"},
		"everybody committed":       {"hooks", "abc", "nnn", "", "a", "abc"},
		"the primary committed":     {"references", "abc", "noo", "", "a", "a"},
		"the primary did not":       {"references", "abc", "onn", "", "a", "a"},
		"a secondary did not":       {"link", "abc", "nno", "", "a", "ab"},
		"the primary is away":       {"references", "abc", "onn", "a", "b", "bc"},
		"the primary is broken":     {"config", "abc", "!nn", "", "b", "bc"},
		"the primary is gone":       {"references", "abc", "-no", "", "b", "b"},
		"one was left out, no loss": {"references", "ab", "ooo", "", "a", "abc"},
		"one was left out":          {"references", "ab", "nno", "", "a", "ab"},
		"one was left out and away": {"references", "ab", "ooo", "c", "a", "ab"},
		"objects":                   {"objects", "abc", "nnn", "", "a", "a"},
		"objects, primary away":     {"objects", "abc", "nnn", "a", "b", "b"},
		"an unknown kind":           {"wishes", "abc", "nnn", "", "a", "a"},
	}
}

func TestAdoption(t *testing.T) {
	t.Parallel()
	for name, tc := range adoptions() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.set(tc.content)
				w.disks.set(func(d *disks) {
					for _, storage := range list(tc.sick) {
						d.sick[storage] = true
					}
				})
				write := w.left(t, tc.kind, list(tc.participants)...)
				before := w.load(t)
				p := w.prepare(t, "p")
				stop := w.work(t, p, nil, recovery.Config{})
				<-time.After(3 * time.Second)
				w.requireOutcome(t, coordinator.Storage(tc.primary), list(tc.current)...)
				after := w.load(t)
				require.Equal(t, before.Generation+1, after.Generation, "in every case")
				require.Equal(t, before.Epoch+2, after.Epoch, "adopted, resolved")
				stop()

				lines := p.logs.FilterMessageSnippet("is decided").All()
				require.Len(t, lines, 1)
				fields := lines[0].ContextMap()
				require.Equal(t, int64(write), fields["write_id"])
				require.Equal(t, string(tc.kind), fields["kind"])
				require.Equal(t, path, fields["relative_path"])
				require.NotEmpty(t, fields["reason"])
				require.Len(t, fields["dropped"], 3-len(tc.current))
			})
		})
	}
}

// TestNothingInDoubt has turns under which nothing can have been committed: their end changes
// nothing.
func TestNothingInDoubt(t *testing.T) {
	t.Parallel()
	for name, participants := range map[string]string{"nobody": "", "not a replica here": "d"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.left(t, coordinator.KindHold, list(participants)...)
				before := w.load(t)
				stop := w.work(t, w.prepare(t, "p"), nil, recovery.Config{})
				defer stop()
				<-time.After(moment)
				w.requireOutcome(t, "a", "a", "b", "c")
				require.Equal(t, before.Generation, w.load(t).Generation)
				require.Zero(t, w.disks.questions("a"))
			})
		})
	}
}

// TestMarkedTurn has the proxy live that left its turn: its participants are known to have ended,
// so one answer is enough, and none of them is settling.
func TestMarkedTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.prepare(t, "p")
		stop := w.work(t, p, nil, recovery.Config{Poll: time.Minute})
		defer stop()
		<-time.After(time.Second)
		_, err := w.store.OpenTurn(t.Context(), coordinator.Intent{
			Write: 7, Repository: 1000, Incarnation: p.incarnation, Kind: "references",
			Participants: storages{"a", "b", "c"},
		})
		require.NoError(t, err)
		w.disks.write("new", "a", "b")
		require.NoError(t, w.store.MarkTurn(t.Context(), 1000, 7, storages{"a", "b", "c"}))
		p.Notify(coordinator.Notice{Kind: coordinator.NoticeTurnLeft, Repository: 1000})
		<-time.After(moment)
		w.requireOutcome(t, "a", "a", "b")
		require.Equal(t, 1, w.disks.questions("a"))
		require.Equal(t, storages{"c"}, w.claimable(t))
	})
}

// claimable lists the replicas that may be repaired now.
func (w *world) claimable(t *testing.T) storages {
	t.Helper()
	var targets []coordinator.RepairTarget
	for _, storage := range (storages{"a", "b", "c"}) {
		targets = append(targets, coordinator.RepairTarget{
			VirtualStorage: virtual, Storage: storage, Limit: 1,
		})
	}
	claims, err := w.store.ClaimRepairs(t.Context(), coordinator.RepairRequest{
		Claim: coordinator.ClaimID(time.Now().UnixNano()), Targets: targets, TTL: time.Nanosecond,
	})
	require.NoError(t, err)
	var claimed storages
	for _, claim := range claims {
		claimed = append(claimed, claim.Storage)
	}
	slices.Sort(claimed)
	return claimed
}

// TestSettling has nodes that may still act: when none can any more, all are compared again.
func TestSettling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.disks.write("new", "a", "b")
		w.left(t, "references", "a", "b", "c")
		p := w.prepare(t, "p")
		stop := w.work(t, p, nil, recovery.Config{NodeDeadline: time.Minute})
		defer stop()
		<-time.After(3 * time.Second)
		w.requireOutcome(t, "a", "a", "b")
		require.Equal(t, storages{"c"}, w.claimable(t))
		// A commit that was promised by the lost proxy arrives.
		w.disks.write("newer", "b")
		<-time.After(50 * time.Second)
		require.Equal(t, storages{"a", "b"}, w.current(t))
		before := w.load(t)
		<-time.After(10 * time.Second)
		w.requireOutcome(t, "a", "a")
		require.Equal(t, before.Generation+1, w.load(t).Generation)
		require.Equal(t, storages{"b", "c"}, w.claimable(t))
		require.Equal(t, 1, p.logs.FilterMessageSnippet("replicas in doubt differed").Len())
	})
}

// TestCommitBetweenReads has a node that commits after it was asked for the first time: that answer
// does not count.
func TestCommitBetweenReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.disks.write("new", "a", "b")
		w.left(t, "references", "a", "b", "c")
		stop := w.work(t, w.prepare(t, "p"), nil, recovery.Config{})
		defer stop()
		<-time.After(time.Second)
		w.disks.write("new", "c")
		<-time.After(2 * time.Second)
		w.requireWaiting(t)
		<-time.After(2 * time.Second)
		w.requireOutcome(t, "a", "a", "b", "c")
		require.Equal(t, 2, w.disks.questions("a"))
		require.Equal(t, 3, w.disks.questions("c"))
	})
}

// TestRestlessNode has a replica that is never read twice alike: it does not count, whatever it
// says in the end, and nobody waits for it for ever.
func TestRestlessNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.disks.set(func(d *disks) {
			d.before = func(question recovery.Question) {
				switch {
				case question.Storage == "b" && w.disks.questions("b") == 4:
					w.disks.write("old", "b")
				case question.Storage == "b":
					w.disks.write(time.Now().String(), "b")
				}
			}
		})
		w.left(t, "references", "a", "b", "c")
		stop := w.work(t, w.prepare(t, "p"), nil, recovery.Config{})
		defer stop()
		<-time.After(10 * time.Second)
		w.requireOutcome(t, "a", "a", "c")
	})
}

// TestEndLearntLate has a marked turn whose participants end while they are being asked: each is
// asked once more then, and none is settling.
func TestEndLearntLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		write := w.left(t, "references", "a", "b", "c")
		stop := w.work(t, w.prepare(t, "p"), nil, recovery.Config{})
		defer stop()
		<-time.After(time.Second)
		require.NoError(t, w.store.MarkTurn(t.Context(), 1000, write, storages{"b", "c"}))
		<-time.After(999 * time.Millisecond)
		w.requireWaiting(t)
		var late atomic.Bool
		w.disks.set(func(d *disks) {
			d.before = func(question recovery.Question) {
				// The second read of c is followed by its commit, and that by its end.
				if question.Storage == "c" && !late.Swap(true) {
					go func() { <-time.After(time.Microsecond); w.disks.write("new", "c") }()
				} else if question.Storage == "c" {
					<-time.After(time.Millisecond)
				}
			}
		})
		<-time.After(time.Second)
		w.requireOutcome(t, "a", "a", "b")
		require.Equal(t, storages{"c"}, w.claimable(t), "it has ended, so it may be repaired")
		require.Equal(t, 2, w.disks.questions("a"))
		require.Equal(t, 3, w.disks.questions("c"))
	})
}

// TestFrozenNode has a node that takes the question and never answers: it does not hold up the
// decision longer than it takes to be found sick.
func TestFrozenNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.disks.set(func(d *disks) { d.frozen["b"] = true })
		w.left(t, "references", "a", "b", "c")
		stop := w.work(t, w.prepare(t, "p"), nil, recovery.Config{})
		defer stop()
		<-time.After(4 * time.Second)
		w.requireWaiting(t)
		w.disks.set(func(d *disks) { d.sick["b"] = true })
		<-time.After(3 * time.Second)
		w.requireOutcome(t, "a", "a", "c")
	})
}

// TestNobodyAnswers waits until a participant is back, and says so once.
func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.disks.set(func(d *disks) {
			d.sick["a"], d.sick["b"], d.sick["c"] = true, true, true
		})
		w.disks.write("new", "c")
		w.left(t, "references", "a", "b", "c")
		p := w.prepare(t, "p")
		stop := w.work(t, p, nil, recovery.Config{})
		defer stop()
		<-time.After(time.Hour)
		w.requireWaiting(t)
		require.Equal(t, 1, p.logs.FilterMessageSnippet("cannot be decided yet").Len())
		w.disks.set(func(d *disks) { d.sick["c"] = false })
		<-time.After(6 * time.Second)
		w.requireOutcome(t, "c", "c")
	})
}

// TestWaitingTakesNoRoom has more repositories of which nobody tells anything than may be asked
// about, or adopted, at once: another one is decided all the same, and all of them within seconds
// when they can be.
func TestWaitingTakesNoRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const many = 120
		for i := range coordinator.RepositoryID(many) {
			silent := w.repository(t, 2000+i, strconv.Itoa(int(i)))
			w.disks.set(func(d *disks) { d.silent[silent] = true })
			w.leftIn(t, 2000+i, "references", "a", "b", "c")
			<-time.After(time.Millisecond)
		}
		p := w.prepare(t, "p")
		stop := w.work(t, p, nil, recovery.Config{Recoveries: 2})
		defer stop()
		<-time.After(10 * time.Second)
		w.left(t, "references", "a", "b", "c")
		<-time.After(3 * time.Second)
		w.requireOutcome(t, "a", "a", "b", "c")
		w.disks.set(func(d *disks) { clear(d.silent) })
		<-time.After(6 * time.Second)
		require.Equal(t, many+1, p.logs.FilterMessageSnippet("is decided").Len())
	})
}

// TestOnlyThoseLeftOut has no participant for so long that the replica that was left out of the
// write decides: every acknowledged write is there.
func TestOnlyThoseLeftOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.disks.write("new", "a")
		w.disks.set(func(d *disks) { d.sick["a"] = true })
		w.left(t, "references", "a")
		stop := w.work(t, w.prepare(t, "p"), nil, recovery.Config{})
		defer stop()
		<-time.After(4 * time.Second)
		w.requireWaiting(t)
		<-time.After(4 * time.Second)
		w.requireOutcome(t, "b", "b", "c")
	})
}

// stuck is a process that freezes in front of its decision.
type stuck struct {
	recovery.Store
	frozen chan struct{}
	// adoptions and decisions make so many answers get lost after the statement was carried out.
	adoptions, decisions *atomic.Int32
	// results are those of the decisions.
	results chan error
}

func (s stuck) Resolve(
	ctx context.Context, resolution coordinator.Resolution,
) (coordinator.Recorded, error) {
	if s.frozen != nil {
		<-s.frozen
	}
	recorded, err := s.Store.Resolve(ctx, resolution)
	if s.results != nil {
		s.results <- err
	}
	if err == nil && s.decisions != nil && s.decisions.Add(-1) >= 0 {
		return coordinator.Recorded{}, coordinator.ErrMetadataUnavailable
	}
	return recorded, err
}

func (s stuck) AdoptTurns(
	ctx context.Context, adopter coordinator.Incarnation, limit int,
) ([]coordinator.Adoption, error) {
	adoptions, err := s.Store.AdoptTurns(ctx, adopter, limit)
	if err == nil && len(adoptions) > 0 && s.adoptions != nil && s.adoptions.Add(-1) >= 0 {
		return nil, coordinator.ErrMetadataUnavailable
	}
	return adoptions, err
}

// TestFrozenAdopter has an adopter freeze with its decision in hand, another one decide on other
// evidence, and writes go on, before the first one wakes up.
func TestFrozenAdopter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.left(t, "references", "a", "b", "c")
		first := w.prepare(t, "first")
		frozen := stuck{
			Store: w.store, frozen: make(chan struct{}), results: make(chan error, 1),
		}
		stopFirst := w.work(t, first, frozen, recovery.Config{})
		defer stopFirst()
		<-time.After(3 * time.Second)
		w.requireWaiting(t)
		require.NoError(t, w.store.Resign(t.Context(), first.incarnation))

		w.disks.write("new", "a", "b")
		second := w.prepare(t, "second")
		stopSecond := w.work(t, second, nil, recovery.Config{})
		defer stopSecond()
		<-time.After(3 * time.Second)
		w.requireOutcome(t, "a", "a", "b")
		decided := w.load(t)
		close(frozen.frozen)
		require.ErrorIs(t, <-frozen.results, coordinator.ErrSuperseded)
		<-time.After(moment)
		require.Equal(t, decided, w.load(t))
		require.Equal(t, 1, first.logs.FilterMessage("recovery was superseded").Len())
	})
}

// TestAdopterDies has the adopter die between the comparison and its decision: the next one starts
// over.
func TestAdopterDies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.left(t, "references", "a", "b", "c")
		first := w.prepare(t, "first")
		ctx, cancel := context.WithCancel(t.Context())
		dying := stuck{Store: w.store, frozen: make(chan struct{})}
		stopFirst := w.work(t, first, dying, recovery.Config{})
		context.AfterFunc(ctx, func() { first.lose(true); close(dying.frozen) })
		<-time.After(3 * time.Second)
		w.requireWaiting(t)
		require.NoError(t, w.store.Resign(t.Context(), first.incarnation))
		second := w.prepare(t, "second")
		stopSecond := w.work(t, second, nil, recovery.Config{})
		defer stopSecond()
		<-time.After(3 * time.Second)
		w.requireOutcome(t, "a", "a", "b", "c")
		cancel()
		stopFirst()
	})
}

// TestLeaseLostBeforeDecision has an adopter that finds its lease lost when it could decide.
func TestLeaseLostBeforeDecision(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.left(t, "references", "a", "b", "c")
		p := w.prepare(t, "p")
		stop := w.work(t, p, nil, recovery.Config{})
		defer stop()
		<-time.After(time.Second)
		p.lose(true)
		<-time.After(time.Minute)
		w.requireWaiting(t)
		require.Equal(t, 1, p.logs.FilterMessage("recovery is left to others").Len())
		// It starts over under another incarnation.
		require.NoError(t, w.store.Resign(t.Context(), p.incarnation))
		p.mu.Lock()
		p.incarnation, p.lost = w.enlist(t, "p"), false
		p.mu.Unlock()
		<-time.After(4 * time.Second)
		w.requireOutcome(t, "a", "a", "b", "c")
	})
}

// TestLostAnswers has the store do what it is told and its answers get lost.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.left(t, "references", "a", "b", "c")
		losing := stuck{Store: w.store, adoptions: &atomic.Int32{}, decisions: &atomic.Int32{}}
		losing.adoptions.Store(2)
		losing.decisions.Store(2)
		before := w.load(t)
		stop := w.work(t, w.prepare(t, "p"), losing, recovery.Config{})
		defer stop()
		<-time.After(5 * time.Second)
		require.Negative(t, losing.decisions.Load())
		require.Equal(t, 2, w.disks.questions("a"), "what was decided is not decided again")
		w.requireOutcome(t, "a", "a", "b", "c")
		require.Equal(t, before.Generation+1, w.load(t).Generation)
		require.Equal(t, before.Epoch+2, w.load(t).Epoch)
	})
}
