package coordinator

import (
	"fmt"
	"time"

	"go.uber.org/zap/zapcore"
)

// VirtualStorage names what clients see as one storage.
type VirtualStorage string

// Storage names the storage of one node inside a virtual storage.
type Storage string

// RepositoryID identifies a repository for ever: positive, random, never issued twice.
type RepositoryID int64

// Generation counts the recorded writes of a repository. A replica whose generation equals the
// repository's holds every acknowledged write; [Absent] says that nothing is known to be there.
type Generation int64

// Absent is the generation of a replica that is assigned but was never filled.
const Absent Generation = -1

// Epoch counts the primaries of a repository. Every change of the primary raises it.
type Epoch int64

// Key is the name by which clients address a repository.
type Key struct {
	VirtualStorage VirtualStorage
	// RelativePath is the client's path, not the one on disk.
	RelativePath string
}

// String is for error texts.
func (k Key) String() string { return fmt.Sprintf("%q in %q", k.RelativePath, k.VirtualStorage) }

// MarshalLogObject implements [zapcore.ObjectMarshaler].
func (k Key) MarshalLogObject(encoder zapcore.ObjectEncoder) error {
	encoder.AddString("virtual_storage", string(k.VirtualStorage))
	encoder.AddString("relative_path", k.RelativePath)
	return nil
}

// State is where a repository stands in its life: creating, ready, deleting. There is no way
// back; a creation that fails goes to deleting directly.
type State uint8

const (
	// StateCreating holds the path against other creators while the nodes work. It is visible
	// to nobody else.
	StateCreating State = iota + 1
	// StateReady is the only state that readers and writers see.
	StateReady
	// StateDeleting is kept until no disk holds a replica any more. The path is free again.
	StateDeleting
)

// String is the name under which the state is stored and logged.
func (s State) String() string {
	switch s {
	case StateCreating:
		return "creating"
	case StateReady:
		return "ready"
	case StateDeleting:
		return "deleting"
	default:
		return fmt.Sprintf("state(%d)", uint8(s))
	}
}

// ParseState is the inverse of [State.String].
func ParseState(name string) (State, error) {
	for state := StateCreating; state <= StateDeleting; state++ {
		if state.String() == name {
			return state, nil
		}
	}
	return 0, fmt.Errorf("parse state: unknown name %q", name)
}

// Replica is one storage's copy of a repository as the metadata know it.
type Replica struct {
	Storage    Storage
	Generation Generation
	// Assigned replicas are meant to be there: they count as copies, unless they are filling,
	// and are repaired. An unassigned one serves reads while it is current and is left behind by
	// the next write.
	Assigned bool
	// Joining marks a replica whose repair is about to end: it is outdated still, but writes
	// are sent to it already, so that none of them leaves it behind again.
	Joining bool
	// Filling marks a replica that was assigned when the repository was there already, and has
	// not been current since. It is no copy that a write has to wait for, so that a repository
	// which gets more replicas stays as writable as it was. One that was current once counts,
	// whatever becomes of it.
	Filling bool
	// Repairing marks a replica that a repair may be writing to right now.
	Repairing bool
	// VerifiedAt is when its node last said that it has the repository, or zero.
	VerifiedAt time.Time
}

// Repository is a consistent snapshot of the metadata of one repository.
type Repository struct {
	ID  RepositoryID
	Key Key
	// ReplicaPath is the path on disk, the same on every storage, fixed for life.
	ReplicaPath string
	State       State
	Generation  Generation
	// Primary is empty only in a snapshot of a repository that never had one.
	Primary Storage
	Epoch   Epoch
	// Invalidated is the last invalidation of routes to the repository.
	Invalidated Sequence
	// TurnHeld says that somebody holds the turn.
	TurnHeld bool
	// Replicas are sorted by storage.
	Replicas []Replica
}

// Current says whether the replica on the storage holds every acknowledged write.
func (r Repository) Current(storage Storage) bool {
	replica, ok := r.Replica(storage)
	return ok && replica.Generation == r.Generation
}

// Replica returns the replica on the storage.
func (r Repository) Replica(storage Storage) (Replica, bool) {
	for _, replica := range r.Replicas {
		if replica.Storage == storage {
			return replica, true
		}
	}
	return Replica{}, false
}

// MarshalLogObject implements [zapcore.ObjectMarshaler].
func (r Repository) MarshalLogObject(encoder zapcore.ObjectEncoder) error {
	encoder.AddInt64("id", int64(r.ID))
	encoder.AddString("replica_path", r.ReplicaPath)
	encoder.AddInt64("generation", int64(r.Generation))
	encoder.AddInt64("epoch", int64(r.Epoch))
	encoder.AddString("primary", string(r.Primary))
	return r.Key.MarshalLogObject(encoder)
}
