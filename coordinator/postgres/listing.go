package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"praefect/coordinator"
)

// HeldTurn is what operators are told about a turn.
type HeldTurn struct {
	Repository   coordinator.RepositoryID
	Key          coordinator.Key
	Kind         string
	Participants []string
	// Proxy holds it; it is empty when nothing is known of that proxy any more. Lives says that its
	// lease holds.
	Proxy string
	Lives bool
	// Left says that it was left to recovery, Adopter which proxy decides about it.
	Left    bool
	Adopter string
	// Wanted says that another proxy waits for it.
	Wanted bool
	Age    time.Duration
}

// HeldTurns lists the turns that are held, the longest first, at most so many.
func (s *Store) HeldTurns(ctx context.Context, limit int) ([]HeldTurn, error) {
	return read(ctx, s, listTurnsSQL, arguments{"limit": limit},
		func(row pgx.CollectableRow) (HeldTurn, error) {
			var (
				turn HeldTurn
				age  int64
			)
			err := row.Scan(&turn.Repository, &turn.Key.VirtualStorage, &turn.Key.RelativePath,
				&turn.Kind, &turn.Participants, &turn.Proxy, &turn.Lives, &turn.Left,
				&turn.Adopter, &turn.Wanted, &age)
			if err != nil {
				return turn, fmt.Errorf("scan turn: %w", err)
			}
			turn.Age = time.Duration(age) * time.Millisecond
			return turn, nil
		})
}

// DueRepair is what operators are told about a replica that needs repair.
type DueRepair struct {
	Repository coordinator.RepositoryID
	Key        coordinator.Key
	Storage    coordinator.Storage
	// Generation is the replica's, Wanted the repository's.
	Generation, Wanted coordinator.Generation
	// Running says that a repair has claimed it, Settling that its node may still act on a write
	// that was decided without it, Joining that writes are sent to it already.
	Running, Settling, Joining bool
	Failures                   int
	LastError                  string
	// Due is when it is repaired, from now; negative when that is overdue.
	Due time.Duration
}

// DueRepairs lists the replicas at some places that need repair, the most urgent first, at most so
// many.
func (s *Store) DueRepairs(
	ctx context.Context, places []coordinator.Place, limit int,
) ([]DueRepair, error) {
	parameters := placesOf(places)
	parameters["limit"] = limit
	return read(ctx, s, listRepairsSQL, parameters,
		func(row pgx.CollectableRow) (DueRepair, error) {
			var (
				repair DueRepair
				due    int64
			)
			err := row.Scan(&repair.Repository, &repair.Key.VirtualStorage,
				&repair.Key.RelativePath, &repair.Storage, &repair.Generation, &repair.Wanted,
				&repair.Running, &repair.Settling, &repair.Joining, &repair.Failures,
				&repair.LastError, &due)
			if err != nil {
				return repair, fmt.Errorf("scan repair: %w", err)
			}
			repair.Due = time.Duration(due) * time.Millisecond
			return repair, nil
		})
}

// Leaders lists the storages whose replica of at least one visible repository is to be believed:
// that of the primary, or where no configured storage is that, the first current one. The empty
// name stands for repositories that no configured storage can tell of.
func (s *Store) Leaders(
	ctx context.Context, virtual coordinator.VirtualStorage, configured []coordinator.Storage,
) ([]coordinator.Storage, error) {
	return read(ctx, s, leadersSQL, arguments{
		"virtual_storage": string(virtual), "configured": names(configured),
	}, pgx.RowTo[coordinator.Storage])
}

// Known is a repository as it is found on disks.
type Known struct {
	ReplicaPath, RelativePath string
	// Leader is the storage whose replica is to be believed, as [Store.Leaders] says.
	Leader coordinator.Storage
}

// Known lists which of some replica paths belong to visible repositories, in no order.
func (s *Store) Known(
	ctx context.Context, virtual coordinator.VirtualStorage, configured []coordinator.Storage,
	replicaPaths []string,
) ([]Known, error) {
	return read(ctx, s, knownSQL, arguments{
		"virtual_storage": string(virtual), "configured": names(configured),
		"paths": replicaPaths,
	}, pgx.RowToStructByPos[Known])
}
