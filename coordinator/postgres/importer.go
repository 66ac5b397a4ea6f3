package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"praefect/coordinator"
)

// ImportRequest says what to take over, and how.
type ImportRequest struct {
	// Source is the database of the existing release; it may be the own one.
	Source Config
	// Cluster has the virtual storages of this release.
	Cluster coordinator.Cluster
	// DryRun changes nothing.
	DryRun bool
	// Skip goes on without rows that cannot be mapped; otherwise they are an error of the import,
	// and nothing is changed.
	Skip bool
	// Progress, if not nil, is told how many repositories were read so far.
	Progress func(repositories int)
}

// ErrUnmapped says that an import would leave rows out.
var ErrUnmapped = errors.New("some repositories cannot be mapped")

// Import takes over the metadata of an existing Praefect, in one transaction: ids, paths, replicas,
// generations, assignments and primaries stay what they are. A replica that is behind does not
// count as a copy until it is repaired, so that whatever could be written can be written. The
// source is only read. What cannot be mapped is remembered, so that an export leaves it as it is.
// Errors match [ErrNoLegacy], [ErrLegacyServes] or [ErrUnmapped]; nothing is changed then.
func (c Config) Import(ctx context.Context, request ImportRequest) (move Move, err error) {
	source, err := request.Source.connect(ctx)
	if err != nil {
		return Move{}, err
	}
	defer func() { err = errors.Join(err, source.Close(context.WithoutCancel(ctx))) }()
	if err := checkLegacy(ctx, source); err != nil {
		return Move{}, err
	}
	target, err := c.connect(ctx)
	if err != nil {
		return Move{}, err
	}
	defer func() { err = errors.Join(err, target.Close(context.WithoutCancel(ctx))) }()

	reading, writing, err := beginMove(ctx, source, target)
	if err != nil {
		return Move{}, err
	}
	run := &importRun{request: request, from: reading, to: writing}
	err = run.all(ctx)
	err = errors.Join(err, reading.Rollback(context.WithoutCancel(ctx)))
	if err == nil && !request.DryRun {
		err = run.admissible(ctx, source)
	}
	if err != nil || request.DryRun {
		return run.move, errors.Join(err, writing.Rollback(context.WithoutCancel(ctx)))
	}
	return run.move, commit(ctx, writing)
}

const forgetLeftOutSQL = `DELETE FROM praefect.left_out`

// importRun is one import under way.
type importRun struct {
	request  ImportRequest
	from, to pgx.Tx
	move     Move
}

// admissible returns an error if rows were left out unasked, or somebody may have changed them.
func (i *importRun) admissible(ctx context.Context, source querier) error {
	if len(i.move.Skipped) > 0 && !i.request.Skip {
		return ErrUnmapped
	}
	return legacyIdle(ctx, source)
}

func (i *importRun) all(ctx context.Context) error {
	if _, err := i.to.Exec(ctx, forgetLeftOutSQL); err != nil {
		return fmt.Errorf("forget what an earlier import left out: %w", err)
	}
	after := int64(0)
	for {
		rows, err := rowsOf(ctx, i.from, statement{
			legacyReadSQL, arguments{"after": after, "limit": legacyBatch},
		}, scanLegacy)
		if err != nil {
			return fmt.Errorf("read repositories: %w", err)
		}
		batch := group(rows)
		if len(batch) == 0 {
			return nil
		}
		after = batch[len(batch)-1].id
		if err := i.insert(ctx, batch); err != nil {
			return fmt.Errorf("insert repositories: %w", err)
		}
		if i.request.Progress != nil {
			i.request.Progress(i.move.Repositories + len(i.move.Skipped))
		}
	}
}

func scanLegacy(row pgx.CollectableRow) (legacyRepository, error) {
	var (
		r                legacyRepository
		p                legacyReplica
		assigned, doomed *bool
	)
	err := row.Scan(&r.id, &r.key.VirtualStorage, &r.key.RelativePath, &r.replicaPath,
		&r.generation, &r.primary, &p.storage, &p.generation, &p.verifiedAt, &assigned, &doomed)
	if err != nil {
		return r, fmt.Errorf("scan repository: %w", err)
	}
	if p.storage != "" {
		p.assigned, p.doomed = *assigned, *doomed
		r.replicas = []legacyReplica{p}
	}
	return r, nil
}

// insert adds what can be mapped.
func (i *importRun) insert(ctx context.Context, batch []legacyRepository) error {
	taken, err := i.taken(ctx, batch)
	if err != nil {
		return err
	}
	var repositories, replicas, out [][]any
	for _, r := range batch {
		reason := r.adapt(i.request.Cluster)
		if reason != "" {
			out = append(out, []any{r.id, string(r.key.VirtualStorage), r.key.RelativePath})
		} else if slices.Contains(taken, r.id) {
			reason = "its id or path is in the database already"
		}
		if reason != "" {
			i.move.Skipped = append(i.move.Skipped, Unmapped{r.id, r.key, reason})
			continue
		}
		repositories = append(repositories, []any{
			r.id, string(r.key.VirtualStorage), r.key.RelativePath, r.replicaPath, "ready",
			r.generation, r.primary, r.everywhere,
		})
		for _, p := range r.replicas {
			replicas = append(replicas, []any{
				r.id, string(r.key.VirtualStorage), p.storage, p.generation, p.assigned,
				p.repairDueAt, p.repairRank, p.verifiedAt, p.repairDueAt != nil,
			})
			if p.assigned {
				i.move.Assignments++
			}
		}
	}
	i.move.Repositories += len(repositories)
	i.move.Replicas += len(replicas)
	if err := i.copy(ctx, "repositories", []string{
		"id", "virtual_storage", "relative_path", "replica_path", "state", "generation",
		"primary_storage", "everywhere",
	}, repositories); err != nil {
		return err
	}
	if err := i.copy(ctx, "left_out", []string{
		"id", "virtual_storage", "relative_path",
	}, out); err != nil {
		return err
	}
	return i.copy(ctx, "replicas", []string{
		"repository_id", "virtual_storage", "storage", "generation", "assigned", "repair_due_at",
		"repair_rank", "verified_at", "filling",
	}, replicas)
}

func (i *importRun) copy(
	ctx context.Context, table string, columns []string, rows [][]any,
) error {
	_, err := i.to.CopyFrom(ctx, pgx.Identifier{"praefect", table}, columns,
		pgx.CopyFromRows(rows))
	if err != nil {
		return fmt.Errorf("copy to %s: %w", table, err)
	}
	return nil
}

// taken lists those that are there already.
func (i *importRun) taken(ctx context.Context, batch []legacyRepository) ([]int64, error) {
	var (
		ids                            []int64
		virtuals, relatives, onReplica []string
	)
	for _, r := range batch {
		ids = append(ids, r.id)
		virtuals = append(virtuals, string(r.key.VirtualStorage))
		relatives = append(relatives, r.key.RelativePath)
		onReplica = append(onReplica, r.replicaPath)
	}
	return rowsOf(ctx, i.to, statement{importTakenSQL, arguments{
		"ids": ids, "virtual_storages": virtuals, "relative_paths": relatives,
		"replica_paths": onReplica,
	}}, pgx.RowTo[int64])
}
