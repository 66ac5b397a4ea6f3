// Package repair brings outdated replicas back.
//
// There is no queue of jobs: a replica is due for repair exactly when its row says so, since a
// write that left it behind has marked it in the statement that recorded the write. Any number of
// processes may run a [Worker]; a claim in the store, with an end, gives one of them the right to
// one replica.
//
//	due --claim--> copying --join--> joining --hold--> last copy --finish--> current
//	 ^                |                 |                  |
//	 +---- postponed with back-off -----+------------------+
//
// Copying takes as long as it takes, while writes go on elsewhere. Then the replica joins: writes
// that begin from now on are sent to it too, though it cannot count yet. When all earlier writes of
// this process have ended, it is copied once more if the first copy took long, so that what
// the writes under way build upon is there. The last copy is made while this process holds the
// repository's turn.
//
// # Invariant
//
// A repair makes a replica current only when the last copy was begun after the turn was taken and
// ended before it was given back, from a replica that was current at the generation that was read
// in between. While the turn is held, no write of this process is between its first commit and its
// record, so the source is at rest and holds exactly that generation. A write of another process
// that commits meanwhile raises the generation with its record; the replica, raised to the
// generation that was read before, is then behind and due again. So whatever a racing copy has
// caught, it never counts as more than what was recorded before the copy began, and never stays
// current beside a record that it may lack. The final statement compares and sets on the claim and
// never lowers a generation.
//
// That the repair of a busy repository ends follows from joining: a write that began before is
// waited for, one that began after was sent to the replica and finds it current when it takes the
// turn, so its record does not leave it behind.
//
// # Failures
//
//	node cannot copy            postponed: 1 s, doubled each time up to 1 min, with jitter
//	three such failures         the outdated replica is removed from its disk and copied afresh
//	no source, source busy,
//	node of the copy turns sick postponed for a second, not counted
//	copy takes too long         postponed for a minute, not counted
//	claim lost or expired       the copy is given up before another process may begin its own
//	repository deleted          the claim is given back, the removal goes on
//	process dies                the claim ends, and any process claims it anew
package repair
