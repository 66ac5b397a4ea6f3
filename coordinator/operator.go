package coordinator

import (
	"context"
	"time"
)

// Operator keeps what operators ask for and change.
type Operator interface {
	// Deficient returns those of a window of ready repositories, in the order of their paths, that
	// are not available on all their assigned storages, and where the next window begins; empty at
	// the end. The limit counts all repositories of the window, so that a call takes bounded time.
	Deficient(ctx context.Context, window Window) (found []Repository, next string, err error)
	// Assign says on which of the configured storages a repository is meant to be, under the turn,
	// whose intent it removes. New replicas are absent and due for repair; those that cease to be
	// assigned are kept until a worker drops them. It invalidates. [ErrSuperseded] if the turn is
	// not held or the primary would not be assigned.
	Assign(ctx context.Context, assignment Assignment) (Repository, error)
	// Appoint makes a replica the only current one and the primary, whatever it holds: generation
	// and epoch go up, all others are outdated. It invalidates. A turn that the caller does not
	// hold is broken if it was left to recovery, since nobody may be able to decide it any more;
	// its participants settle. Otherwise it returns [ErrTurnTaken]. [ErrNoReplica] if there is no
	// such replica; [ErrBusy] while a repair may be writing to it.
	Appoint(ctx context.Context, appointment Appointment) (Repository, error)
	// Track inserts a ready repository at generation 0 and epoch 1. It returns
	// [ErrRepositoryExists] if its key, id or path on disk is taken.
	Track(ctx context.Context, tracking Tracking) error
	// Forget removes a ready repository and leaves the disks alone. It invalidates. A turn that was
	// left to recovery does not keep it from that; another is [ErrTurnTaken].
	Forget(ctx context.Context, key Key) error
	// Untracked returns those of the paths on the disk of a storage that are no replica there.
	Untracked(ctx context.Context, place Place, replicaPaths []string) ([]string, error)
	// Unverify has the selected replicas verified again as soon as possible. It returns how many
	// were not due for that already, and stops there if there are more than the limit.
	Unverify(ctx context.Context, selection Selection, limit int) (int64, error)
}

// Window is a part of a virtual storage's repositories.
type Window struct {
	Page
	// Configured are the storages of the virtual storage, Healthy those of them that answer.
	Configured, Healthy []Storage
}

// Place is a storage of a virtual storage.
type Place struct {
	VirtualStorage VirtualStorage
	Storage        Storage
}

// Assignment says where a repository is meant to be.
type Assignment struct {
	Repository RepositoryID
	// Write is that of the intent that holds the turn.
	Write WriteID
	// Assigned are some of the configured storages, the primary's among them.
	Assigned, Configured []Storage
	// Everywhere says that storages which are configured later are assigned too.
	Everywhere bool
}

// Appointment names the replica whose content counts from now on.
type Appointment struct {
	Repository RepositoryID
	// Write is that of the intent that holds the turn; 0 if it could not be had.
	Write   WriteID
	Storage Storage
	// Absent replicas may be appointed too: their node was asked, and has the repository.
	Absent bool
	// Settle is for how long nodes may act on a write whose turn is broken.
	Settle time.Duration
}

// Tracking is a repository that is on disks already.
type Tracking struct {
	ID          RepositoryID
	Key         Key
	ReplicaPath string
	Primary     Storage
	// Present replicas, the primary's among them, are current.
	Present []Storage
	// Assigned holds the present ones and those that are filled by repair.
	Assigned   []Storage
	Everywhere bool
}

// Selection names replicas: those of a repository, or else of a virtual storage, or of one of its
// storages.
type Selection struct {
	Repository     RepositoryID
	VirtualStorage VirtualStorage
	Storage        Storage
}
