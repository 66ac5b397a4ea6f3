package coordinator

import (
	"context"
	"time"
)

// Auditor keeps which replicas were last found on their disks, and when.
type Auditor interface {
	// ClaimAudits leaves replicas of healthy storages to the caller that were not found for longer
	// than the interval: those that were never found first, then the oldest. Replicas that are
	// known to be absent, or that a repair may be writing to, are none of them.
	ClaimAudits(ctx context.Context, request AuditRequest) ([]Audit, error)
	// EndAudit gives a claim back. A replica that was found is not looked for again within the
	// interval; any other is left alone for the given time.
	EndAudit(ctx context.Context, audit Audit, end AuditEnd) error
	// ReleaseAudits gives claims back whose time is over, because their proxy is gone.
	ReleaseAudits(ctx context.Context, limit int) ([]Audit, error)
	// LoseReplica notes that nothing is known to be in a replica, under the turn, whose intent it
	// removes; a replica that is not assigned is forgotten. If it was the primary's, another takes
	// its place. It invalidates. [ErrSuperseded], and nothing is changed, unless another replica is
	// current, and while a repair may be writing to it.
	LoseReplica(ctx context.Context, loss Loss) (Repository, error)
	// CountSweep counts comparisons of a repository's replicas and returns their number.
	CountSweep(ctx context.Context, id RepositoryID) (int, error)
}

// AuditRequest asks for replicas to look for.
type AuditRequest struct {
	Places   []Place
	Interval time.Duration
	TTL      time.Duration
	Limit    int
}

// Audit is a replica that is looked for.
type Audit struct {
	Repository  RepositoryID
	Key         Key
	ReplicaPath string
	Storage     Storage
	// Leads says that it is the primary's.
	Leads bool
}

// AuditEnd is what became of a look.
type AuditEnd struct {
	Found bool
	Pause time.Duration
}

// Loss names a replica that is not on its disk.
type Loss struct {
	Repository RepositoryID
	// Write is that of the intent that holds the turn.
	Write   WriteID
	Storage Storage
	// Primary leads if the lost replica did.
	Primary Storage
}
