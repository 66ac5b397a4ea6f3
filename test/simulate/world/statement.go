package world

import (
	"context"
	"time"

	"praefect/coordinator"
)

// The statements, each by way of [ask].

// Lookup implements coordinator.Store.
func (c *connection) Lookup(
	ctx context.Context, key coordinator.Key,
) (coordinator.Repository, error) {
	return ask(ctx, c, "Lookup", func(ctx context.Context) (coordinator.Repository, error) {
		return c.database.store.Lookup(ctx, key)
	})
}

// Load implements coordinator.Store.
func (c *connection) Load(
	ctx context.Context, id coordinator.RepositoryID,
) (coordinator.Repository, error) {
	return ask(ctx, c, "Load", func(ctx context.Context) (coordinator.Repository, error) {
		return c.database.store.Load(ctx, id)
	})
}

// Paths implements coordinator.Store.
func (c *connection) Paths(
	ctx context.Context, page coordinator.Page,
) ([]string, error) {
	return ask(ctx, c, "Paths", func(ctx context.Context) ([]string, error) {
		return c.database.store.Paths(ctx, page)
	})
}

// Record implements coordinator.Store.
func (c *connection) Record(
	ctx context.Context, outcome coordinator.WriteOutcome,
) (coordinator.Recorded, error) {
	return ask(ctx, c, "Record", func(ctx context.Context) (coordinator.Recorded, error) {
		return c.database.store.Record(ctx, outcome)
	})
}

// Confirm implements coordinator.Store.
func (c *connection) Confirm(
	ctx context.Context, late coordinator.LateConfirmation,
) (bool, error) {
	return ask(ctx, c, "Confirm", func(ctx context.Context) (bool, error) {
		return c.database.store.Confirm(ctx, late)
	})
}

// HastenRepair implements coordinator.Store.
func (c *connection) HastenRepair(
	ctx context.Context, id coordinator.RepositoryID, delays map[coordinator.Storage]time.Duration,
) error {
	return c.run(ctx, "HastenRepair", func(ctx context.Context) error {
		return c.database.store.HastenRepair(ctx, id, delays)
	})
}

// Elect implements coordinator.Store.
func (c *connection) Elect(
	ctx context.Context, election coordinator.Election,
) (coordinator.Repository, error) {
	return ask(ctx, c, "Elect", func(ctx context.Context) (coordinator.Repository, error) {
		return c.database.store.Elect(ctx, election)
	})
}

// Create implements coordinator.Store.
func (c *connection) Create(
	ctx context.Context, creation coordinator.Creation,
) error {
	return c.run(ctx, "Create", func(ctx context.Context) error {
		return c.database.store.Create(ctx, creation)
	})
}

// Complete implements coordinator.Store.
func (c *connection) Complete(
	ctx context.Context, id coordinator.RepositoryID,
) error {
	return c.run(ctx, "Complete", func(ctx context.Context) error {
		return c.database.store.Complete(ctx, id)
	})
}

// Delete implements coordinator.Store.
func (c *connection) Delete(
	ctx context.Context, deletion coordinator.Deletion,
) (coordinator.Repository, error) {
	return ask(ctx, c, "Delete", func(ctx context.Context) (coordinator.Repository, error) {
		return c.database.store.Delete(ctx, deletion)
	})
}

// ClaimRemovals implements coordinator.Store.
func (c *connection) ClaimRemovals(
	ctx context.Context, request coordinator.RemovalRequest,
) ([]coordinator.Repository, error) {
	return ask(ctx, c, "ClaimRemovals", func(
		ctx context.Context,
	) ([]coordinator.Repository, error) {
		return c.database.store.ClaimRemovals(ctx, request)
	})
}

// Removed implements coordinator.Store.
func (c *connection) Removed(
	ctx context.Context, id coordinator.RepositoryID, storages []coordinator.Storage,
) error {
	return c.run(ctx, "Removed", func(ctx context.Context) error {
		return c.database.store.Removed(ctx, id, storages)
	})
}

// ClaimRepairs implements coordinator.Store.
func (c *connection) ClaimRepairs(
	ctx context.Context, request coordinator.RepairRequest,
) ([]coordinator.RepairClaim, error) {
	return ask(ctx, c, "ClaimRepairs", func(
		ctx context.Context,
	) ([]coordinator.RepairClaim, error) {
		return c.database.store.ClaimRepairs(ctx, request)
	})
}

// RenewRepair implements coordinator.Store.
func (c *connection) RenewRepair(
	ctx context.Context, claim coordinator.RepairClaim, ttl time.Duration,
) error {
	return c.run(ctx, "RenewRepair", func(ctx context.Context) error {
		return c.database.store.RenewRepair(ctx, claim, ttl)
	})
}

// JoinRepair implements coordinator.Store.
func (c *connection) JoinRepair(
	ctx context.Context, claim coordinator.RepairClaim,
) error {
	return c.run(ctx, "JoinRepair", func(ctx context.Context) error {
		return c.database.store.JoinRepair(ctx, claim)
	})
}

// EmptyReplica implements coordinator.Store.
func (c *connection) EmptyReplica(
	ctx context.Context, claim coordinator.RepairClaim,
) error {
	return c.run(ctx, "EmptyReplica", func(ctx context.Context) error {
		return c.database.store.EmptyReplica(ctx, claim)
	})
}

// FinishRepair implements coordinator.Store.
func (c *connection) FinishRepair(
	ctx context.Context, claim coordinator.RepairClaim, copied coordinator.Generation,
) error {
	return c.run(ctx, "FinishRepair", func(ctx context.Context) error {
		return c.database.store.FinishRepair(ctx, claim, copied)
	})
}

// PostponeRepair implements coordinator.Store.
func (c *connection) PostponeRepair(
	ctx context.Context, claim coordinator.RepairClaim, postponement coordinator.Postponement,
) error {
	return c.run(ctx, "PostponeRepair", func(ctx context.Context) error {
		return c.database.store.PostponeRepair(ctx, claim, postponement)
	})
}

// OpenTurn implements coordinator.Store.
func (c *connection) OpenTurn(
	ctx context.Context, intent coordinator.Intent,
) (coordinator.Repository, error) {
	return ask(ctx, c, "OpenTurn", func(ctx context.Context) (coordinator.Repository, error) {
		return c.database.store.OpenTurn(ctx, intent)
	})
}

// CloseTurn implements coordinator.Store.
func (c *connection) CloseTurn(
	ctx context.Context, id coordinator.RepositoryID, write coordinator.WriteID,
) (bool, error) {
	return ask(ctx, c, "CloseTurn", func(ctx context.Context) (bool, error) {
		return c.database.store.CloseTurn(ctx, id, write)
	})
}

// Holdings implements coordinator.Store.
func (c *connection) Holdings(
	ctx context.Context, incarnation coordinator.Incarnation,
) ([]coordinator.Holding, error) {
	return ask(ctx, c, "Holdings", func(ctx context.Context) ([]coordinator.Holding, error) {
		return c.database.store.Holdings(ctx, incarnation)
	})
}

// MarkTurn implements coordinator.Store.
func (c *connection) MarkTurn(
	ctx context.Context, id coordinator.RepositoryID, write coordinator.WriteID,
	ended []coordinator.Storage,
) error {
	return c.run(ctx, "MarkTurn", func(ctx context.Context) error {
		return c.database.store.MarkTurn(ctx, id, write, ended)
	})
}

// AdoptTurns implements coordinator.Store.
func (c *connection) AdoptTurns(
	ctx context.Context, adopter coordinator.Incarnation, limit int,
) ([]coordinator.Adoption, error) {
	return ask(ctx, c, "AdoptTurns", func(ctx context.Context) ([]coordinator.Adoption, error) {
		return c.database.store.AdoptTurns(ctx, adopter, limit)
	})
}

// Resolve implements coordinator.Store.
func (c *connection) Resolve(
	ctx context.Context, resolution coordinator.Resolution,
) (coordinator.Recorded, error) {
	return ask(ctx, c, "Resolve", func(ctx context.Context) (coordinator.Recorded, error) {
		return c.database.store.Resolve(ctx, resolution)
	})
}

// Restore implements coordinator.Store.
func (c *connection) Restore(ctx context.Context, lost coordinator.Kept) (bool, error) {
	restored := false
	err := c.run(ctx, "Restore", func(ctx context.Context) error {
		var err error
		restored, err = c.database.store.Restore(ctx, lost)
		return err
	})
	return restored, err
}

// Settle implements coordinator.Store.
func (c *connection) Settle(
	ctx context.Context, id coordinator.RepositoryID, settling coordinator.Settling,
) error {
	return c.run(ctx, "Settle", func(ctx context.Context) error {
		return c.database.store.Settle(ctx, id, settling)
	})
}

// ScheduleVerification implements coordinator.Store.
func (c *connection) ScheduleVerification(
	ctx context.Context, id coordinator.RepositoryID, delay time.Duration,
) error {
	return c.run(ctx, "ScheduleVerification", func(ctx context.Context) error {
		return c.database.store.ScheduleVerification(ctx, id, delay)
	})
}

// ClaimVerifications implements coordinator.Store.
func (c *connection) ClaimVerifications(
	ctx context.Context, limit int, ttl time.Duration,
) ([]coordinator.Verification, error) {
	return ask(ctx, c, "ClaimVerifications", func(
		ctx context.Context,
	) ([]coordinator.Verification, error) {
		return c.database.store.ClaimVerifications(ctx, limit, ttl)
	})
}

// Verified implements coordinator.Store.
func (c *connection) Verified(
	ctx context.Context, verification coordinator.Verification,
) error {
	return c.run(ctx, "Verified", func(ctx context.Context) error {
		return c.database.store.Verified(ctx, verification)
	})
}

// Announce implements coordinator.Store.
func (c *connection) Announce(
	ctx context.Context, announcement coordinator.Announcement,
) error {
	return c.run(ctx, "Announce", func(ctx context.Context) error {
		return c.database.store.Announce(ctx, announcement)
	})
}

// Withdraw implements coordinator.Store.
func (c *connection) Withdraw(ctx context.Context, withdrawal coordinator.Withdrawal) error {
	return c.run(ctx, "Withdraw", func(ctx context.Context) error {
		return c.database.store.Withdraw(ctx, withdrawal)
	})
}

// AdoptAnnouncements implements coordinator.Store.
func (c *connection) AdoptAnnouncements(
	ctx context.Context, limit int, settle time.Duration,
) (int, error) {
	return ask(ctx, c, "AdoptAnnouncements", func(ctx context.Context) (int, error) {
		return c.database.store.AdoptAnnouncements(ctx, limit, settle)
	})
}

// Announced implements coordinator.Store.
func (c *connection) Announced(
	ctx context.Context, id coordinator.RepositoryID,
) (bool, error) {
	return ask(ctx, c, "Announced", func(ctx context.Context) (bool, error) {
		return c.database.store.Announced(ctx, id)
	})
}

// Enlist implements coordinator.Store.
func (c *connection) Enlist(
	ctx context.Context, enlistment coordinator.Enlistment,
) (coordinator.Sequence, error) {
	return ask(ctx, c, "Enlist", func(ctx context.Context) (coordinator.Sequence, error) {
		return c.database.store.Enlist(ctx, enlistment)
	})
}

// Renew implements coordinator.Store.
func (c *connection) Renew(
	ctx context.Context, renewal coordinator.Renewal,
) (coordinator.Membership, error) {
	return ask(ctx, c, "Renew", func(ctx context.Context) (coordinator.Membership, error) {
		return c.database.store.Renew(ctx, renewal)
	})
}

// Acknowledge implements coordinator.Store.
func (c *connection) Acknowledge(
	ctx context.Context, acknowledgement coordinator.Acknowledgement,
) error {
	return c.run(ctx, "Acknowledge", func(ctx context.Context) error {
		return c.database.store.Acknowledge(ctx, acknowledgement)
	})
}

// Acknowledged implements coordinator.Store.
func (c *connection) Acknowledged(
	ctx context.Context, incarnation coordinator.Incarnation, awaited coordinator.Sequence,
) (bool, error) {
	return ask(ctx, c, "Acknowledged", func(ctx context.Context) (bool, error) {
		return c.database.store.Acknowledged(ctx, incarnation, awaited)
	})
}

// Resign implements coordinator.Store.
func (c *connection) Resign(
	ctx context.Context, incarnation coordinator.Incarnation,
) error {
	return c.run(ctx, "Resign", func(ctx context.Context) error {
		return c.database.store.Resign(ctx, incarnation)
	})
}
