package failpoint

// Point is a step at which a process can be stopped.
type Point string

// The steps of a write, in order.
const (
	// Routed: the replicas of a write are chosen, nothing is sent (design 6, step 1).
	Routed Point = "routed"
	// Announced: others know that the write may do something without a vote; no node does so yet.
	Announced Point = "announced"
	// FannedOut: the calls on all nodes are open (step 2).
	FannedOut Point = "fanned-out"
	// TurnTaken: the turn is held in this process, there is no intent yet (step 3).
	TurnTaken Point = "turn-taken-locally"
	// IntentDurable: the intent is in the database and the base is read (step 4).
	IntentDurable Point = "intent-durable"
	// PreparedWon: a PREPARED round is won, nobody was told COMMIT (step 5).
	PreparedWon Point = "prepared-won"
	// FirstCommitTold: one voter was told COMMIT, the others were not (step 5). They are answered
	// in the order of voters, so that it is the primary if all voted.
	FirstCommitTold Point = "first-commit-told"
	// Confirmed: enough voters have committed and the grace is over, nothing is recorded (step 6).
	Confirmed Point = "confirmed"
	// Recorded: the outcome is in the database, nobody is released from COMMITTED (step 6).
	Recorded Point = "recorded"
	// Ended: the calls of a write have ended that nobody voted on, nothing is recorded (step 7).
	Ended Point = "ended"
	// BeforeAnswer: the outcome is known, the client is not answered (step 7).
	BeforeAnswer Point = "before-answer"
	// Answered: the client is answered, a slow node is about to be drained (step 7).
	Answered Point = "answered"
)

// The steps of a repository's creation and removal, besides those of a write.
const (
	// RowInserted: the row of a new repository is there, no node was asked (design 7).
	RowInserted Point = "row-inserted"
	// CreationRecorded: the nodes have created and that is recorded; the repository is not visible.
	CreationRecorded Point = "creation-recorded"
	// CreationCompleted: the repository is visible, the client is not answered.
	CreationCompleted Point = "creation-completed"
	// RowDeleting: the repository is invisible and on all disks.
	RowDeleting Point = "row-deleting"
	// ReplicasRemoved: the replicas are on no disk that could be reached, the rows are there.
	ReplicasRemoved Point = "replicas-removed"
)

// The steps of elections, recoveries and repairs.
const (
	// Elected: another primary is in the database, whoever asked for one does not know (design 11).
	Elected Point = "elected"
	// Adopted: the turn of a proxy that has ended is taken over (design 7).
	Adopted Point = "adopted"
	// Compared: the replicas of an adopted turn were asked for what they hold.
	Compared Point = "compared"
	// Resolved: what was found is in the database.
	Resolved Point = "resolved"
	// Joined: writes are sent to a replica that is being repaired (design 10).
	Joined Point = "joined"
	// Copied: the last copy of a repair is made under the turn, the replica is not yet current.
	Copied Point = "copied"
)

// Points returns all points.
func Points() []Point {
	return []Point{
		Routed, Announced, FannedOut, TurnTaken, IntentDurable, PreparedWon, FirstCommitTold,
		Confirmed, Recorded, Ended, BeforeAnswer, Answered,
		RowInserted, CreationRecorded, CreationCompleted, RowDeleting, ReplicasRemoved,
		Elected, Adopted, Compared, Resolved, Joined, Copied,
	}
}
