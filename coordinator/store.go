package coordinator

import (
	"context"
	"time"
)

// Store keeps the metadata: the truth about which replica holds what. Each method is atomic, is
// safe for concurrent use, and takes its time from the store, not from this process. An error
// that matches [ErrMetadataUnavailable] says that the store did not answer; unless a method says
// otherwise, what it was to change may then have been changed or not.
type Store interface {
	Reader
	Turns
	Recorder
	Creator
	Remover
	Repairer
	Recoverer
	Verifier
	Announcer
	Members
	Operator
	Auditor
}

// Reader reads metadata.
type Reader interface {
	// Lookup returns the ready repository of that key, or [ErrRepositoryNotFound].
	Lookup(ctx context.Context, key Key) (Repository, error)
	// Load returns the repository in whatever state it is, or [ErrRepositoryNotFound].
	Load(ctx context.Context, id RepositoryID) (Repository, error)
	// Paths returns at most limit relative paths of ready repositories that sort after the
	// given one, in order.
	Paths(ctx context.Context, page Page) ([]string, error)
}

// Page asks for a part of a virtual storage's relative paths.
type Page struct {
	VirtualStorage VirtualStorage
	After          string
	Limit          int
}

// Recorder writes outcomes and elections.
type Recorder interface {
	// Record applies the outcome of one write and removes its intent, if that is there and
	// neither marked nor adopted (a repository that is being created has none), the repository
	// still stands at its epoch and base generation, and the primary that it names stood at the
	// base and is raised; otherwise it returns [ErrSuperseded]. Recording the same [WriteID] twice
	// succeeds twice and changes once, so that a call whose answer was lost can be repeated. It
	// invalidates cached routes if a replica is not current any more or the primary changes.
	Record(ctx context.Context, outcome WriteOutcome) (Recorded, error)
	// Confirm takes a replica back in that confirmed a write after its record. It returns
	// false, and changes nothing, unless the repository still stands at the recorded epoch and
	// generation and the replica at the generation before, untouched by any repair. It
	// invalidates.
	Confirm(ctx context.Context, late LateConfirmation) (bool, error)
	// HastenRepair moves the repair of the named replicas to the given delay from now, where
	// one is due and none has begun.
	HastenRepair(ctx context.Context, id RepositoryID, delays map[Storage]time.Duration) error
	// Elect makes the candidate the primary, raises the epoch and invalidates, if the epoch is the
	// expected one and the candidate current; otherwise it changes nothing of that. It needs the
	// turn, whose intent it removes in any case. It returns the repository as it then is.
	Elect(ctx context.Context, election Election) (Repository, error)
}

// WriteOutcome is what one write left behind.
type WriteOutcome struct {
	Repository RepositoryID
	// Write is that of the intent; of a creation a random one.
	Write WriteID
	// Epoch and Base are those that were read when the turn was taken.
	Epoch Epoch
	Base  Generation
	// Raise names the replicas that hold the write. Those that did not stand at the base are
	// not raised.
	Raise []Storage
	// Primary replaces the primary if not empty; the epoch is then raised.
	Primary Storage
	// Delays postpones the repair of replicas that took part and may still be at work. The
	// others that are left behind are due at once.
	Delays map[Storage]time.Duration
	// Verify asks for a comparison of the replicas.
	Verify bool
}

// Recorded says what a record made of the repository.
type Recorded struct {
	Generation Generation
	Epoch      Epoch
	// Shrunk says that some replica was current before and is not any more.
	Shrunk bool
	// RepairDue says that the record made a replica due for repair.
	RepairDue bool
	// Await, unless 0, is the invalidation up to which the other proxies have to acknowledge
	// before anybody is told of the write: some have not done so yet.
	Await Sequence
	// Wanted says that another proxy waits for the turn.
	Wanted bool
}

// LateConfirmation names a replica that confirmed a recorded write too late for its record.
type LateConfirmation struct {
	Repository RepositoryID
	// Epoch and Generation are those that the record returned.
	Epoch      Epoch
	Generation Generation
	Storage    Storage
}

// Election names the primary that shall follow.
type Election struct {
	Repository RepositoryID
	// Write is that of the intent that holds the turn.
	Write WriteID
	// Epoch is the one in which the old primary was found wanting.
	Epoch     Epoch
	Candidate Storage
}

// Creator writes the beginning of a repository's life.
type Creator interface {
	// Create inserts a repository in state creating, at generation 0 and epoch 1. The replicas
	// that take part start at generation 0, the others at [Absent]. It lasts as long as the
	// incarnation of its proxy. It returns [ErrRepositoryExists] when the path is taken, and
	// [ErrLeaseLost] when the incarnation has ended.
	Create(ctx context.Context, creation Creation) error
	// Complete makes a creation ready, or returns [ErrSuperseded] if it was undone before.
	// Assigned replicas that are behind become due for repair.
	Complete(ctx context.Context, id RepositoryID) error
}

// Creation is a repository that is about to be created.
type Creation struct {
	ID          RepositoryID
	Key         Key
	ReplicaPath string
	Primary     Storage
	// Participants include the primary.
	Participants []Storage
	// Assigned holds the participants and those that are filled by repair later.
	Assigned []Storage
	// Everywhere says that storages which are configured later are assigned too.
	Everywhere bool
	// Incarnation is that of the proxy that creates it.
	Incarnation Incarnation
}

// Remover writes the end of a repository's life.
type Remover interface {
	// Delete makes a repository that is not deleting yet invisible, frees its path and
	// invalidates. It returns [ErrRepositoryNotFound] if there is nothing to delete, and
	// [ErrSuperseded] if the turn is not held. Its intent is removed.
	Delete(ctx context.Context, deletion Deletion) (Repository, error)
	// ClaimRemovals returns deleting repositories that nobody is working on, and turns creations
	// whose proxy's incarnation has ended into such, to be kept for the given time. They are left
	// to the caller for a while. Repairs that were claimed end; a repository with such a repair, or
	// one that failed, is kept for the given time as well, since its node may go on with it.
	ClaimRemovals(ctx context.Context, request RemovalRequest) ([]Repository, error)
	// Removed forgets replicas of a deleting repository that are on no disk any more, and the
	// repository with the last of them. Replicas that a repair was writing to since they were
	// current are kept, and all of them while a node may still be at work; they are claimed again
	// then.
	Removed(ctx context.Context, id RepositoryID, storages []Storage) error
}

// Deletion is a repository that shall be removed.
type Deletion struct {
	Repository RepositoryID
	// Write is that of the intent that holds the turn; 0 for a creation that has failed.
	Write WriteID
	// Grace is how long workers leave the replicas alone, so that the caller may remove them.
	Grace time.Duration
	// Keep is how long the row is kept even when all disks are clean, because a node may still be
	// at work.
	Keep time.Duration
}

// RemovalRequest asks for repositories to remove.
type RemovalRequest struct {
	Limit int
	TTL   time.Duration
	// Keep is that of [Deletion], for creations whose proxy is gone, and counts from the end of
	// repairs.
	Keep time.Duration
}

// Repairer keeps what repairs need. A replica is due for repair when it is assigned and outdated; a
// claim gives one worker the right to repair it. A replica that is settling is to be removed
// first; of a pool, from which others borrow, it is not claimed.
// JoinRepair and FinishRepair invalidate. All methods but the first return [ErrSuperseded] when the
// claim has ended, was taken over, or the repository is not ready any more.
type Repairer interface {
	// ClaimRepairs claims replicas that are due, for each target at most its limit: pools before
	// other repositories, then those with the fewest good copies, then the longest due.
	ClaimRepairs(ctx context.Context, request RepairRequest) ([]RepairClaim, error)
	// RenewRepair moves the end of the claim to the given time from now.
	RenewRepair(ctx context.Context, claim RepairClaim, ttl time.Duration) error
	// JoinRepair lets writes be sent to the replica from now on.
	JoinRepair(ctx context.Context, claim RepairClaim) error
	// EmptyReplica notes that nothing is known to be in the replica any more. It also returns
	// [ErrSuperseded] when the replica is current, so that no acknowledged write can be lost.
	EmptyReplica(ctx context.Context, claim RepairClaim) error
	// FinishRepair gives the claim back and raises the replica to a generation, never lowering
	// it. If the replica is current then, its failures are forgotten; otherwise it is due again
	// at once.
	FinishRepair(ctx context.Context, claim RepairClaim, copied Generation) error
	// PostponeRepair gives the claim back for a while. A failure is counted and remembered.
	PostponeRepair(ctx context.Context, claim RepairClaim, postponement Postponement) error
}

// ClaimID tells one round of claims from every other.
type ClaimID int64

// RepairTarget is a storage that may be repaired.
type RepairTarget struct {
	VirtualStorage VirtualStorage
	Storage        Storage
	// Limit is how many replicas there may be claimed.
	Limit int
}

// RepairRequest asks for replicas to repair.
type RepairRequest struct {
	Claim   ClaimID
	Targets []RepairTarget
	TTL     time.Duration
}

// RepairClaim is the right to repair one replica.
type RepairClaim struct {
	ID         ClaimID
	Repository RepositoryID
	Key        Key
	Storage    Storage
	// Failures counts the attempts since the replica was last current.
	Failures int
	// Settling says that the node may still act on what is there, so that a copy has to begin with
	// an empty disk.
	Settling bool
	// Overdue is how long the repair has been due.
	Overdue time.Duration
}

// Postponement says when and why a repair is tried again.
type Postponement struct {
	Delay time.Duration
	// Failure is empty if the repair could not even begin.
	Failure string
}
