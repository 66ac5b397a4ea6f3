package coordinator

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrUnknownVirtualStorage says that the configuration has no virtual storage of that name.
	ErrUnknownVirtualStorage = errors.New("virtual storage does not exist")
	// ErrRepositoryNotFound says that no repository is visible under that path or id.
	ErrRepositoryNotFound = errors.New("repository not found")
	// ErrAdditionalRepositoryNotFound says the same of the second repository that a request
	// names: the pool of a member, the origin of a pool, the source of a fork.
	ErrAdditionalRepositoryNotFound = errors.New("additional repository not found")
	// ErrNoReplica says that a storage is not known to have anything of a repository.
	ErrNoReplica = errors.New("no replica on the storage")
	// ErrUnknownStorage says that the virtual storage has no storage of that name.
	ErrUnknownStorage = errors.New("storage does not exist")
	// ErrReplicationFactor says that a repository cannot be on so many storages.
	ErrReplicationFactor = errors.New("invalid replication factor")
	// ErrRepositoryExists says that the path of a creation is taken, or is being taken by
	// another creation that has not ended yet.
	ErrRepositoryExists = errors.New("repository already exists")
	// ErrNoHealthyNode says that no storage of the virtual storage is healthy.
	ErrNoHealthyNode = errors.New("no healthy nodes")
	// ErrNoCurrentReplica says that nodes are healthy, but none that was not excluded holds
	// every acknowledged write of the repository.
	ErrNoCurrentReplica = errors.New("no suitable node to serve the request")
	// ErrNoPrimary says that the repository has no healthy and current primary and that no
	// other replica could take its place.
	ErrNoPrimary = errors.New("no primary")
	// ErrPrimaryUnreachable says that this process cannot reach a primary that others can reach.
	ErrPrimaryUnreachable = errors.New("primary cannot be reached from here")
	// ErrTooFewCopies says that fewer replicas than the minimum could take part in a write;
	// the error that wraps it, [TooFewCopiesError], names those that are missing and why.
	ErrTooFewCopies = errors.New("too few copies")
	// ErrBusy says that the turn to commit on the repository did not come in time. Nothing
	// was changed by the call that returns it; trying again later is right.
	ErrBusy = errors.New("repository busy")
	// ErrTurnTaken says that another write holds the turn of the repository, in this or another
	// process, or that nobody has decided yet about one whose process is gone.
	ErrTurnTaken = errors.New("turn is taken")
	// ErrLeaseLost says that this process has not renewed its lease in time: others may act in its
	// place, so it must not commit, record or use what it has cached.
	ErrLeaseLost = errors.New("lease of this process is lost")
	// ErrTimelineChanged says that another server took over the store, which may have lost its
	// latest statements, so that numbers of invalidations may stand for others.
	ErrTimelineChanged = errors.New("another server took over the metadata")
	// ErrPrimaryChanged says that the primary or its epoch is another than the one to which
	// the write was sent. The write was not committed; trying again is right.
	ErrPrimaryChanged = errors.New("primary of the repository changed")
	// ErrSuperseded says that the metadata have moved on, so that an outcome, or a step of
	// repair or creation, could not be recorded and never will be.
	ErrSuperseded = errors.New("metadata of the repository moved on")
	// ErrOutcomeUnknown says that nodes may have committed a write whose outcome could not be
	// recorded. It must never be answered with a code that makes clients try again.
	ErrOutcomeUnknown = errors.New("outcome of the write is unknown")
	// ErrCreationUndone says that a repository was created on nodes and could not be made visible.
	// Its path is free, or will be, and what is on disks is removed.
	ErrCreationUndone = errors.New("creation of the repository was undone")
	// ErrMetadataUnavailable says that the metadata store did not answer, or not in time.
	ErrMetadataUnavailable = errors.New("metadata are unavailable")
	// ErrInvalidCluster says that the description of the virtual storages contradicts itself.
	ErrInvalidCluster = errors.New("invalid cluster")
	// ErrInvalidConfig says that a bound in the [Config] is negative.
	ErrInvalidConfig = errors.New("invalid coordinator configuration")
	// ErrNoTurn says that a write wanted to record without holding the turn. It is a broken
	// invariant of the caller.
	ErrNoTurn = errors.New("turn is not held")

	// errNothingWritten says that a creation ended well on its primary, and no write of it counts.
	errNothingWritten = errors.New("no write of it was recorded")
)

// Absence says why a replica could not take part in a write.
type Absence struct {
	Storage Storage
	// Reason is part of a sentence: "is not healthy", "is outdated".
	Reason string
}

// TooFewCopiesError tells what a write lacks. It matches [ErrTooFewCopies].
type TooFewCopiesError struct {
	// Need and Have count assigned replicas.
	Need, Have int
	Missing    []Absence
}

// Error names every missing replica and why it is missing.
func (e *TooFewCopiesError) Error() string {
	missing := make([]string, 0, len(e.Missing))
	for _, absence := range e.Missing {
		missing = append(missing, fmt.Sprintf("%q %s", absence.Storage, absence.Reason))
	}
	return fmt.Sprintf("%v: a write needs %d current replicas on healthy nodes, has %d: %s",
		ErrTooFewCopies, e.Need, e.Have, strings.Join(missing, ", "))
}

// Unwrap makes the error match [ErrTooFewCopies].
func (e *TooFewCopiesError) Unwrap() error { return ErrTooFewCopies }

// FactorError tells why a repository cannot be on so many storages. It matches
// [ErrReplicationFactor].
type FactorError struct{ Factor, Storages int }

// Error is the text that clients know.
func (e *FactorError) Error() string {
	if e.Factor < 1 {
		return fmt.Sprintf("attempted to set replication factor %d but minimum is 1", e.Factor)
	}
	return fmt.Sprintf("attempted to set replication factor %d but virtual storage only "+
		"contains %d storages", e.Factor, e.Storages)
}

// Unwrap makes the error match [ErrReplicationFactor].
func (e *FactorError) Unwrap() error { return ErrReplicationFactor }
