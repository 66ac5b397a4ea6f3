package coordinator

import (
	"context"
	"time"
)

// Incarnation is one life of a proxy: from when it took up its lease until that was lost or given
// back. Random, positive, never used again.
type Incarnation int64

// Sequence numbers invalidations in the order in which they became visible.
type Sequence int64

// WriteID identifies one turn, and with it at most one write, so that its statements can be
// repeated: random and never zero.
type WriteID int64

// Intent is the durable form of a held turn: there is at most one a repository, and while it is
// there nobody else changes the repository's generation, epoch or primary.
type Intent struct {
	Write       WriteID
	Repository  RepositoryID
	Incarnation Incarnation
	Kind        WriteKind
	// Participants are those that may commit. Those that did not stand at the repository's
	// generation are none. Empty when nothing is committed under the turn, as in an election.
	Participants []Storage
}

// Turns hands out the turns across processes.
type Turns interface {
	// OpenTurn makes the intent durable and then reads the repository, by a snapshot that is taken
	// after it. An intent of another write is [ErrTurnTaken]; it is noted there that somebody
	// waits, and told with [NoticeTurnWanted] and, at its end, [NoticeTurnFree]. It returns
	// [ErrRepositoryNotFound] unless the repository is ready, and [ErrLeaseLost] when the
	// incarnation has ended; nothing is held then. Opening the same intent again succeeds.
	OpenTurn(ctx context.Context, intent Intent) (Repository, error)
	// CloseTurn removes an intent under which nothing was committed, unless it is marked or
	// adopted, and says whether another proxy waits for the turn. That it is not there is success.
	CloseTurn(ctx context.Context, id RepositoryID, write WriteID) (wanted bool, err error)
	// Holdings lists what an incarnation holds: turns that are neither marked nor adopted,
	// announcements, and creations that are neither complete nor undone.
	Holdings(ctx context.Context, incarnation Incarnation) ([]Holding, error)
	// MarkTurn leaves an intent to recovery, at once and whatever becomes of its proxy, and adds
	// to the participants that are known to do nothing any more. That it is not there is success.
	MarkTurn(ctx context.Context, id RepositoryID, write WriteID, ended []Storage) error
}

// Holding is what the store keeps for a call that is under way.
type Holding struct {
	Kind       HoldingKind
	Repository RepositoryID
	// Write is that of the intent or the announcement, and zero of a creation.
	Write WriteID
}

// HoldingKind says what is held.
type HoldingKind string

// Kinds of holdings.
const (
	HoldingTurn         HoldingKind = "turn"
	HoldingAnnouncement HoldingKind = "announcement"
	HoldingCreation     HoldingKind = "creation"
)

// Adoption is an intent that this proxy has to bring to its end, because its own proxy cannot.
type Adoption struct {
	Intent
	// Number tells this adoption from earlier ones.
	Number int64
	// Ended are participants that are known to do nothing any more for the write.
	Ended []Storage
	// Snapshot is the repository after its epoch was raised for the adoption. Participants that
	// stand at its generation are those in doubt.
	Snapshot Repository
}

// Recoverer takes over turns.
type Recoverer interface {
	// AdoptTurns adopts intents that are marked or whose incarnation has ended, unless a proxy that
	// lives has done so. Each gets the adopter and a new number, and the epoch of its repository is
	// raised, so that nothing that began before can be recorded. Those that the same incarnation
	// has adopted before come first, unchanged, so that an answer that was lost can be had again.
	// [ErrLeaseLost] when the adopter's incarnation has ended.
	AdoptTurns(ctx context.Context, adopter Incarnation, limit int) ([]Adoption, error)
	// Resolve ends a turn by what was found on the nodes. In one statement it raises generation and
	// epoch by one, and with them the replicas to keep that stood at the base; makes the repair of
	// the others due, and removes the intent. It invalidates. [ErrSuperseded] when the intent is
	// not the caller's any more, the repository has moved, or the primary would not be kept.
	// Repeating it succeeds.
	Resolve(ctx context.Context, resolution Resolution) (Recorded, error)
	// Settle notes that nodes may be acting on a write whose proxy had lost its lease: their
	// replicas are claimed for repair as [Repairer] says and are compared again after the given
	// time. It returns [ErrRepositoryNotFound] if there is no such repository.
	Settle(ctx context.Context, id RepositoryID, settling Settling) error
	// Restore writes a record again that the store has lost: if the repository stands at an earlier
	// generation, it is put at that of the record, its epoch raised above all that were used, and
	// the holders with it, but for those whose repair has begun meanwhile. The others are behind
	// and due for repair; the primary is the record's if it holds, else another holder. It
	// invalidates. It returns false, and changes nothing, if the repository is not ready, stands
	// at that generation or a later one, or nobody is left who holds.
	Restore(ctx context.Context, lost Kept) (bool, error)
}

// Kept is what a proxy remembers of the last write that it recorded to a repository.
type Kept struct {
	Repository RepositoryID
	Write      WriteID
	// Epoch and Generation are those of the record.
	Epoch      Epoch
	Generation Generation
	// Holders have the write on their disks.
	Holders []Storage
	Primary Storage
}

// Settling are replicas whose nodes may still act on a write that was decided without them.
type Settling struct {
	Storages []Storage
	For      time.Duration
}

// Resolution is what a turn ends with that did not end by itself.
type Resolution struct {
	Repository RepositoryID
	Write      WriteID
	// Owner and Number are the adopter and its adoption; for a turn of this proxy its own
	// incarnation and 0.
	Owner  Incarnation
	Number int64
	Epoch  Epoch
	Base   Generation
	// Keep names the replicas that stay current. If it is empty nothing was in doubt: only the
	// intent is removed.
	Keep []Storage
	// Primary is one of them.
	Primary Storage
	// Settling replicas are compared again later, kept or not, but for those that are not kept and
	// are known by then to do nothing any more: see MarkTurn. Whoever is kept may have committed
	// after it was asked, and ended since.
	Settling Settling
}

// Verifier keeps which repositories are to be compared.
type Verifier interface {
	// ScheduleVerification notes that the replicas of the repository should be compared after the
	// given time, or earlier if that was noted before.
	ScheduleVerification(ctx context.Context, id RepositoryID, delay time.Duration) error
	// ClaimVerifications returns repositories that are due, and leaves them to the caller for the
	// given time.
	ClaimVerifications(ctx context.Context, limit int, ttl time.Duration) ([]Verification, error)
	// Verified forgets a verification, unless another one was asked for since it was claimed.
	Verified(ctx context.Context, verification Verification) error
}

// Verification is a comparison of replicas that is due.
type Verification struct {
	Repository Repository
	// Asked identifies what was asked for.
	Asked int64
	// Doubtful says that a recovery asked for it: generation and epoch are raised even if all are
	// equal.
	Doubtful bool
}

// Members keeps the proxies that live.
type Members interface {
	// Enlist begins an incarnation and ends those that it takes the place of. It returns the last
	// invalidation: an empty cache need not apply it or earlier ones. Enlisting an incarnation
	// again succeeds while it lives; after that it returns [ErrLeaseLost].
	Enlist(ctx context.Context, enlistment Enlistment) (Sequence, error)
	// Renew prolongs the lease and exchanges what the proxies know. It returns [ErrLeaseLost] when
	// the incarnation has ended, and [ErrTimelineChanged] when the store is on another timeline
	// than expected; then nothing is changed.
	Renew(ctx context.Context, renewal Renewal) (Membership, error)
	// Acknowledge says that all invalidations up to one are applied. It returns [ErrLeaseLost]
	// when the incarnation has ended or the store is on another timeline than expected.
	Acknowledge(ctx context.Context, acknowledgement Acknowledgement) error
	// Acknowledged says whether all other incarnations that live have acknowledged that much.
	Acknowledged(ctx context.Context, incarnation Incarnation, awaited Sequence) (bool, error)
	// Resign ends the incarnation. What it left open is adopted at once.
	Resign(ctx context.Context, incarnation Incarnation) error
	// Listen calls receive, one call at a time, for what other proxies do, until the context
	// ends. It connects again as often as it must; notices may be lost, so they only make
	// things faster. It returns nil when the context ends.
	Listen(ctx context.Context, receive func(Notice)) error
}

// Enlistment is a proxy that begins an incarnation.
type Enlistment struct {
	Incarnation Incarnation
	// Name stays the same over restarts.
	Name string
	// Replaces says that no other process of this name lives, so that the incarnations of that
	// name end.
	Replaces bool
	// Former are earlier attempts and incarnations of the same process. They end.
	Former []Incarnation
	// TTL is after what time without renewal the incarnation has ended for all others.
	TTL time.Duration
}

// Acknowledgement says which invalidations a proxy has applied.
type Acknowledgement struct {
	Incarnation Incarnation
	// Timeline is the one on which the invalidations were numbered: after a failover the same
	// numbers may be given to others. Empty stands for whatever the store is on.
	Timeline string
	// Applied is the last that is applied, with all before.
	Applied Sequence
}

// Renewal is what a proxy reports.
type Renewal struct {
	Incarnation Incarnation
	TTL         time.Duration
	// Timeline and Applied are those of an [Acknowledgement].
	Timeline string
	Applied  Sequence
	// Healthy are the storages that it finds healthy.
	Healthy map[VirtualStorage][]Storage
}

// Membership is what a proxy learns from a renewal.
type Membership struct {
	// Invalidations follow those that were applied, in order; there may be more.
	Invalidations []Invalidation
	// Reports are the latest of all incarnations that live, the own one included.
	Reports []Report
	// Timeline changes when another server took over the store, which may have lost the latest
	// statements.
	Timeline string
}

// Report is what one proxy finds healthy.
type Report struct {
	Incarnation Incarnation
	Name        string
	Healthy     map[VirtualStorage][]Storage
}

// Invalidation says that cached routes of a repository are not to be used any more.
type Invalidation struct {
	Sequence Sequence
	Key      Key
}

// NoticeKind says what a notice is about.
type NoticeKind uint8

const (
	// NoticeInvalidated says that there are new invalidations.
	NoticeInvalidated NoticeKind = iota + 1
	// NoticeTurnWanted says that another proxy waits for the turn of the repository.
	NoticeTurnWanted
	// NoticeTurnFree says that the turn of the repository has ended that somebody waited for.
	NoticeTurnFree
	// NoticeTurnLeft says that an intent was marked, so that recovery has work.
	NoticeTurnLeft
)

// Notice tells at once what would be found out later anyway.
type Notice struct {
	Kind NoticeKind
	// Repository is there for turns.
	Repository RepositoryID
}
