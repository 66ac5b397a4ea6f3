package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"praefect/coordinator"
)

var (
	// ErrNoLegacy says that a database has no tables of the existing release.
	ErrNoLegacy = errors.New("no metadata of an existing Praefect in schema public")
	// ErrLegacyServes says that a proxy of the existing release reported within a minute.
	ErrLegacyServes = errors.New("an existing Praefect reported within the last 60 s")
	// ErrNotAtRest says that metadata may still change.
	ErrNotAtRest = errors.New("metadata are not at rest")
)

// legacyBatch is how many repositories are in memory at once.
const legacyBatch = 1000

// Move is what an import or export has done, or would do.
type Move struct {
	Repositories, Replicas, Assignments int
	// Removed counts what an export takes out of the tables of the existing release.
	Removed int
	// Skipped are rows that cannot be mapped, each with its reason.
	Skipped []Unmapped
}

// Unmapped is a repository that an import leaves out.
type Unmapped struct {
	ID     int64
	Key    coordinator.Key
	Reason string
}

// String names the row and the reason.
func (u Unmapped) String() string {
	return fmt.Sprintf("repository %d, %s: %s", u.ID, u.Key, u.Reason)
}

// connect opens one connection for a long transaction.
func (c Config) connect(ctx context.Context) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(c.dsn())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidConfig, err)
	}
	c.adapt(config)
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return conn, nil
}

// beginMove opens the transactions of a move: one reads a snapshot, the other writes. They end with
// their connections at the latest.
func beginMove(ctx context.Context, from, to *pgx.Conn) (reading, writing pgx.Tx, err error) {
	reading, err = from.BeginTx(ctx, pgx.TxOptions{
		IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("begin to read: %w", err)
	}
	writing, err = to.Begin(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("begin to write: %w", err)
	}
	return reading, writing, nil
}

func commit(ctx context.Context, writing pgx.Tx) error {
	if err := writing.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// querier is a connection or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func rowsOf[T any](
	ctx context.Context, from querier, asked statement,
	collect func(pgx.CollectableRow) (T, error),
) ([]T, error) {
	rows, err := from.Query(ctx, asked.text, asked.parameters)
	if err != nil {
		return nil, fmt.Errorf("send statement: %w", err)
	}
	collected, err := pgx.CollectRows(rows, collect)
	if err != nil {
		return nil, fmt.Errorf("run statement: %w", err)
	}
	return collected, nil
}

// checkLegacy returns an error unless the tables are there and nobody uses them.
func checkLegacy(ctx context.Context, conn querier) error {
	present, err := rowsOf(ctx, conn, statement{legacyPresentSQL, arguments{}}, pgx.RowTo[bool])
	switch {
	case err != nil:
		return err
	case !present[0]:
		return ErrNoLegacy
	}
	return legacyIdle(ctx, conn)
}

func legacyIdle(ctx context.Context, conn querier) error {
	serving, err := rowsOf(ctx, conn, statement{legacyServingSQL, arguments{}}, pgx.RowTo[string])
	switch {
	case err != nil:
		return err
	case len(serving) > 0:
		return fmt.Errorf("%w: %s", ErrLegacyServes, strings.Join(serving, ", "))
	}
	return nil
}

// legacyRepository is a repository as the existing release knows it.
type legacyRepository struct {
	id          int64
	key         coordinator.Key
	replicaPath string
	generation  int64
	primary     string
	everywhere  bool
	replicas    []legacyReplica
}

type legacyReplica struct {
	storage          string
	generation       int64
	assigned, doomed bool
	verifiedAt       *time.Time
	repairDueAt      *time.Time
	repairRank       int
}

// group puts the rows of each repository, which follow each other, together.
func group(rows []legacyRepository) []legacyRepository {
	var list []legacyRepository
	for _, row := range rows {
		last := len(list) - 1
		if last >= 0 && list[last].id == row.id {
			list[last].replicas = append(list[last].replicas, row.replicas...)
			continue
		}
		list = append(list, row)
	}
	return list
}

// current says how many replicas hold every write.
func (r *legacyRepository) current() int {
	count := 0
	for _, replica := range r.replicas {
		if replica.generation == r.generation {
			count++
		}
	}
	return count
}

// adapt turns the meaning of the existing release's rows into that of ours, or says why it cannot.
// Without assignments a repository is meant to be on all configured storages.
func (r *legacyRepository) adapt(cluster coordinator.Cluster) string {
	config, ok := cluster.VirtualStorages[r.key.VirtualStorage]
	if !ok {
		return "its virtual storage is not configured"
	}
	if !slices.ContainsFunc(r.replicas, func(p legacyReplica) bool { return p.generation >= 0 }) {
		return "it has no replica"
	}
	r.everywhere = !slices.ContainsFunc(r.replicas,
		func(p legacyReplica) bool { return p.assigned })
	for _, replica := range r.replicas {
		r.generation = max(r.generation, replica.generation)
	}
	if r.everywhere {
		r.spread(config)
	}
	r.doom()
	for i := range r.replicas {
		r.replicas[i].due(r.generation, r.current(), coordinator.IsPoolReplicaPath(r.replicaPath))
	}
	return ""
}

// spread assigns the configured storages.
func (r *legacyRepository) spread(config coordinator.VirtualStorageConfig) {
	for _, storage := range config.Storages {
		i := slices.IndexFunc(r.replicas,
			func(p legacyReplica) bool { return p.storage == string(storage) })
		if i < 0 {
			i = len(r.replicas)
			r.replicas = append(r.replicas, legacyReplica{
				storage: string(storage), generation: int64(coordinator.Absent),
			})
		}
		r.replicas[i].assigned = true
	}
}

// doom believes nothing of replicas that were being deleted, unless nothing else is current.
func (r *legacyRepository) doom() {
	for i, replica := range r.replicas {
		others := r.current()
		if replica.generation == r.generation {
			others--
		}
		if replica.doomed && others > 0 {
			r.replicas[i].generation = int64(coordinator.Absent)
		}
	}
}

// due says when a replica that is behind is repaired.
func (p *legacyReplica) due(generation int64, copies int, pool bool) {
	if !p.assigned || p.generation == generation {
		return
	}
	now := time.Now()
	p.repairDueAt, p.repairRank = &now, min(copies, 999)
	if !pool {
		p.repairRank += 1000
	}
}
