package coordinator

import (
	"context"
	"time"
)

// Tally is how many things of one kind there are somewhere. What does not apply is empty.
type Tally struct {
	Place
	State  string
	Number int64
}

// States of a [Tally] of work.
const (
	// TallyHeld counts turns that proxies hold, TallyLeft those that are left to recovery.
	TallyHeld = "held"
	TallyLeft = "left"
	// TallyOldest is the age of the oldest turn in milliseconds, 0 without one.
	TallyOldest = "oldest"
	// TallyCreation and TallyDeletion count repositories that are not there yet or not any more,
	// TallyVerification those whose replicas are due to be compared.
	TallyCreation     = "creation"
	TallyDeletion     = "deletion"
	TallyVerification = "verification"
	// TallyProxies counts proxies whose lease holds, TallyInvalidations the invalidations that are
	// kept until all of them know.
	TallyProxies       = "proxies"
	TallyInvalidations = "invalidations"
)

// Tallier counts for those who watch the cluster. Groups without members are missing, except of
// work. The counts are of one moment each, and may be made from time to time only: they cost the
// store as much as there is to count.
type Tallier interface {
	// TallyUnavailable counts by virtual storage the ready repositories that have no current
	// replica on any of the healthy places.
	TallyUnavailable(ctx context.Context, healthy []Place) ([]Tally, error)
	// TallyRepairs counts by place the replicas that need repair: ready, in_progress, or failed
	// and waiting for another attempt.
	TallyRepairs(ctx context.Context) ([]Tally, error)
	// TallyAudits counts by place the replicas that are due to be looked for, given how old a look
	// may become: unverified were never looked for, or should be at once; others are expired.
	TallyAudits(ctx context.Context, places []Place, interval time.Duration) ([]Tally, error)
	// TallyWork counts what is under way in the whole cluster.
	TallyWork(ctx context.Context) ([]Tally, error)
}
