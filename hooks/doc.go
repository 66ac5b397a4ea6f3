// Package hooks is how a node votes: what it hashes, when it asks, and what its Git processes do
// with the answer.
//
// A call that changes a repository reaches several nodes at once. Each does the whole work on its
// own disk, and each asks the coordinator at the same steps: "this is what I am about to do; may
// I?" A node never sees another node's state. It hands in the hash of a ballot, waits, and goes on
// only when enough others have handed in the same.
//
// # What is voted on
//
// A ballot is the exact bytes that describe a step; the vote is their SHA-1 and a [Phase]. The
// functions of this package return the hash of each ballot that exists. Most changes come from a
// Git process with a reference-transaction hook, and there the ballot is the input that Git gives
// to the hook, unmodified. So a push of one branch is, on every node:
//
//	pre-receive hook    "synchronize pre-receive hook"      synchronized
//	update hook         "synchronize update hook"           synchronized   once a reference
//	references locked   "<old> <new> refs/heads/main\n"     prepared
//	references written  the same bytes                      committed
//	post-receive hook   "synchronize post-receive hook"     synchronized
//	end of the call     twenty zero bytes, not hashed       committed
//
// Git before 2.50 or so locks and writes each reference of a push that is not atomic on its own,
// so update, prepared and committed repeat; newer Git does all references at once. Old Git also
// adds a line for HEAD when it points to a changed reference. Nodes agree with those that have the
// same Git. Steps that no hook sees are voted on by the node itself, in the same phases:
// the creation and removal of a repository, files that are replaced under a lock, HEAD, deletions
// by name. These announce themselves with a vote in the phase preparing before they lock anything.
//
// Nothing is voted for the states "preparing" and "aborted" of the hook, nor when all lines of its
// input go from the zero id to the zero id. The latter are deletions of references without an old
// value; Git runs them for the packed copy of references too, and when a node last packed its
// references is its own affair.
//
// # Who does what
//
//	node ---- starts ----> git receive-pack, with a Payload in its environment
//	 ^                         |
//	 |                         | runs, by core.hooksPath
//	 |                         v
//	 +-- unix socket ---- cmd/praefect-hooks: Run
//	 |
//	 +-- backchannel ---> coordinator
//
// [Run] is the life of a hook process. It reads its input to the end first, so that Git is never
// stuck in a half-read pipe. It runs the custom hooks of the repository, if this node is the
// primary of the vote or nothing is voted on, and casts its vote through [Server], which the node
// runs. When a custom hook fails, the primary stops the transaction for all. Secondaries run no
// custom hooks: they cast the same vote and so wait for the primary.
//
// What this package does not do: it speaks no gRPC and knows no coordinator, which is what
// [Voter] is for; it starts no Git; it does not decide what a vote means. It imports the standard
// library only, for a hook starts several times in each push.
//
// # Failures
//
//	what fails                     what Git does                what the coordinator sees
//	vote answered ABORT or STOP    undoes, removes its locks    end of the call, not committed
//	node lost before "prepared"    as above: the hook fails     lost connection
//	node lost in "committed"       is done; the hook gives 0    lost connection: uncertain
//	custom hook fails              undoes                       stop, from the primary
//	hook is killed                 undoes                       the vote is cancelled
//	pusher leaves                  undoes before "prepared"     the vote is cancelled
//	node is frozen                 waits, with its locks        nothing, until its deadlines
//
// Git itself is never killed between "prepared" and "committed": it would leave its locks behind,
// and whoever comes next would find the references locked.
//
// # Concurrency
//
// [Server] serves any number of hooks at the same time. Everything else is a value or a function
// without shared state.
package hooks
