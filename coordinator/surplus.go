package coordinator

import "time"

// Surplus is a replica on a storage that its repository is not assigned to.
type Surplus struct {
	Repository  RepositoryID
	Key         Key
	ReplicaPath string
	Storage     Storage
}

// Retirement takes a replica that is not assigned out of service, under the turn.
type Retirement struct {
	Repository RepositoryID
	// Write is that of the intent that holds the turn.
	Write   WriteID
	Storage Storage
	// Configured are the storages of the virtual storage: others are no copies to rely on.
	Configured []Storage
	Claim      ClaimID
	// Grace is how long the replica is left on its disk, so that no proxy has a route to it any
	// more and reads come to their end.
	Grace time.Duration
	// Keep is how long a node may go on with a repair after the end of its claim.
	Keep time.Duration
}

// RetiredRequest asks for replicas to remove that count for nothing.
type RetiredRequest struct {
	Claim  ClaimID
	Places []Place
	// TTL is that of the claim; a node that was told to remove a replica must surely have done so,
	// or never do it, when it ends.
	TTL time.Duration
	// Keep is that of [Retirement].
	Keep time.Duration
	// Limit counts for each place.
	Limit int
}
