package metadatatest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

// testCallerLeft asks everything with a context that has ended.
func testCallerLeft(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository, claim := claimed(t, store)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, calls := range []map[string]func() error{
		readingCalls(ctx, store, repository), turnCalls(ctx, store, repository),
		lifeCalls(ctx, store, repository), repairCalls(ctx, store, claim),
		memberCalls(ctx, store), operatorCalls(ctx, store, repository),
	} {
		for name, call := range calls {
			require.ErrorIs(t, call(), coordinator.ErrMetadataUnavailable, name)
		}
	}
	require.NoError(t, store.Listen(ctx, func(coordinator.Notice) {}), "its end is no failure")
	require.Equal(t, repository.Generation, load(t, store, repository.ID).Generation)
}

func readingCalls(
	ctx context.Context, store coordinator.Store, repository coordinator.Repository,
) map[string]func() error {
	return map[string]func() error{
		"lookup": func() error { _, err := store.Lookup(ctx, repository.Key); return err },
		"load":   func() error { _, err := store.Load(ctx, repository.ID); return err },
		"paths": func() error {
			_, err := store.Paths(ctx, coordinator.Page{Limit: 1})
			return err
		},
		"verify": func() error { return store.ScheduleVerification(ctx, repository.ID, 0) },
		"claim":  func() error { _, err := store.ClaimVerifications(ctx, 1, 0); return err },
		"announce": func() error {
			return store.Announce(ctx, announcement(repository.ID, self))
		},
		"withdraw": func() error {
			return store.Withdraw(ctx, coordinator.Withdrawal{Repository: repository.ID})
		},
		"adopt announcements": func() error {
			_, err := store.AdoptAnnouncements(ctx, 1, 0)
			return err
		},
		"verified": func() error {
			return store.Verified(ctx, coordinator.Verification{Repository: repository})
		},
	}
}

func turnCalls(
	ctx context.Context, store coordinator.Store, repository coordinator.Repository,
) map[string]func() error {
	id := repository.ID
	return map[string]func() error{
		"open":  func() error { _, err := store.OpenTurn(ctx, intent(id)); return err },
		"close": func() error { _, err := store.CloseTurn(ctx, id, 1); return err },
		"held":  func() error { _, err := store.Holdings(ctx, self); return err },
		"mark":  func() error { return store.MarkTurn(ctx, id, 1, nil) },
		"record": func() error {
			_, err := store.Record(ctx, outcome(repository, all()...))
			return err
		},
		"confirm": func() error {
			_, err := store.Confirm(ctx, coordinator.LateConfirmation{})
			return err
		},
		"hasten": func() error { return store.HastenRepair(ctx, id, nil) },
		"elect": func() error {
			_, err := store.Elect(ctx, coordinator.Election{Repository: id})
			return err
		},
		"adopt": func() error { _, err := store.AdoptTurns(ctx, self, 1); return err },
		"resolve": func() error {
			_, err := store.Resolve(ctx, coordinator.Resolution{Repository: id})
			return err
		},
		"settle": func() error { return store.Settle(ctx, id, settling(0, third)) },
		"restore": func() error {
			_, err := store.Restore(ctx, coordinator.Kept{Repository: id, Holders: all()})
			return err
		},
	}
}

func lifeCalls(
	ctx context.Context, store coordinator.Store, repository coordinator.Repository,
) map[string]func() error {
	return map[string]func() error{
		"create":   func() error { return store.Create(ctx, creation("new.git")) },
		"complete": func() error { return store.Complete(ctx, repository.ID) },
		"delete": func() error {
			_, err := store.Delete(ctx, coordinator.Deletion{Repository: repository.ID})
			return err
		},
		"removals": func() error {
			_, err := store.ClaimRemovals(ctx, coordinator.RemovalRequest{Limit: 1})
			return err
		},
		"removed": func() error { return store.Removed(ctx, repository.ID, nil) },
	}
}

func repairCalls(
	ctx context.Context, store coordinator.Store, claim coordinator.RepairClaim,
) map[string]func() error {
	return map[string]func() error{
		"claim": func() error {
			_, err := store.ClaimRepairs(ctx, coordinator.RepairRequest{})
			return err
		},
		"renew":  func() error { return store.RenewRepair(ctx, claim, long) },
		"join":   func() error { return store.JoinRepair(ctx, claim) },
		"empty":  func() error { return store.EmptyReplica(ctx, claim) },
		"finish": func() error { return store.FinishRepair(ctx, claim, 1) },
		"postpone": func() error {
			return store.PostponeRepair(ctx, claim, coordinator.Postponement{})
		},
	}
}

func memberCalls(ctx context.Context, store coordinator.Store) map[string]func() error {
	return map[string]func() error{
		"enlist": func() error {
			_, err := store.Enlist(ctx, coordinator.Enlistment{Incarnation: other, TTL: long})
			return err
		},
		"renew": func() error {
			_, err := store.Renew(ctx, coordinator.Renewal{Incarnation: self, TTL: long})
			return err
		},
		"acknowledge": func() error {
			return store.Acknowledge(ctx, coordinator.Acknowledgement{
				Incarnation: self, Applied: 1,
			})
		},
		"acknowledged": func() error { _, err := store.Acknowledged(ctx, self, 1); return err },
		"resign":       func() error { return store.Resign(ctx, self) },
	}
}

func operatorCalls(
	ctx context.Context, store coordinator.Store, repository coordinator.Repository,
) map[string]func() error {
	id := repository.ID
	return map[string]func() error{
		"deficient": func() error {
			_, _, err := store.Deficient(ctx, coordinator.Window{
				Page: coordinator.Page{VirtualStorage: virtual, Limit: 1},
			})
			return err
		},
		"assign": func() error {
			_, err := store.Assign(ctx, coordinator.Assignment{Repository: id})
			return err
		},
		"appoint": func() error {
			_, err := store.Appoint(ctx, coordinator.Appointment{Repository: id})
			return err
		},
		"track":  func() error { return store.Track(ctx, tracking("new.git")) },
		"forget": func() error { return store.Forget(ctx, repository.Key) },
		"untracked": func() error {
			_, err := store.Untracked(ctx, coordinator.Place{}, []string{"a.git"})
			return err
		},
		"unverify": func() error {
			_, err := store.Unverify(ctx, coordinator.Selection{}, 1)
			return err
		},
	}
}
