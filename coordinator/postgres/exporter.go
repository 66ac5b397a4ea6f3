package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Statements of an export into the tables of the existing release. Each touches one repository: its
// triggers notify of all rows of a statement at once, in a payload that is bounded.
const (
	exportQueueSQL = `DELETE FROM public.replication_queue_job_lock`
	exportJobsSQL  = `DELETE FROM public.replication_queue`
	exportLocksSQL = `UPDATE public.replication_queue_lock SET acquired = false WHERE acquired`
	exportGoneSQL  = `DELETE FROM public.repositories WHERE repository_id = $1`
	exportOneSQL   = `
INSERT INTO public.repositories AS r
       (repository_id, virtual_storage, relative_path, replica_path, generation, "primary")
VALUES ($1, $2, $3, $4, $5, nullif($6::text, ''))
    ON CONFLICT (repository_id) DO UPDATE
   SET virtual_storage = excluded.virtual_storage, relative_path = excluded.relative_path,
       replica_path = excluded.replica_path, generation = excluded.generation,
       "primary" = excluded."primary"`
	exportClearReplicasSQL    = `DELETE FROM public.storage_repositories WHERE repository_id = $1`
	exportClearAssignmentsSQL = `DELETE FROM public.repository_assignments WHERE repository_id = $1`
	exportReplicaSQL          = `
INSERT INTO public.storage_repositories
       (repository_id, virtual_storage, relative_path, storage, generation, verified_at)
VALUES ($1, $2, $3, $4, $5, $6)`
	exportAssignmentSQL = `
INSERT INTO public.repository_assignments
       (repository_id, virtual_storage, relative_path, storage)
VALUES ($1, $2, $3, $4)`
)

// ExportRequest says where to write metadata back to.
type ExportRequest struct {
	// Target is the database of the existing release; it may be the own one.
	Target Config
	// DryRun changes nothing.
	DryRun bool
	// Progress, if not nil, is told how many repositories were written so far.
	Progress func(repositories int)
}

// Export writes the metadata back into the tables of an existing Praefect, in one transaction:
// what it knew is replaced, so that it revives no stale replica, and its queue is emptied, since
// its jobs belong to a state that is gone. Errors match [ErrNoLegacy], [ErrLegacyServes] or
// [ErrNotAtRest]; nothing is changed then.
func (c Config) Export(ctx context.Context, request ExportRequest) (move Move, err error) {
	source, err := c.connect(ctx)
	if err != nil {
		return Move{}, err
	}
	defer func() { err = errors.Join(err, source.Close(context.WithoutCancel(ctx))) }()
	target, err := request.Target.connect(ctx)
	if err != nil {
		return Move{}, err
	}
	defer func() { err = errors.Join(err, target.Close(context.WithoutCancel(ctx))) }()
	if err := checkLegacy(ctx, target); err != nil {
		return Move{}, err
	}
	reading, writing, err := beginMove(ctx, source, target)
	if err != nil {
		return Move{}, err
	}
	run := &exportRun{request: request, from: reading, to: writing}
	err = run.all(ctx)
	err = errors.Join(err, reading.Rollback(context.WithoutCancel(ctx)))
	if err == nil && !request.DryRun {
		err = errors.Join(legacyIdle(ctx, writing), atRest(ctx, source))
	}
	if err != nil || request.DryRun {
		return run.move, errors.Join(err, writing.Rollback(context.WithoutCancel(ctx)))
	}
	return run.move, commit(ctx, writing)
}

// exportRun is one export under way.
type exportRun struct {
	request  ExportRequest
	from, to pgx.Tx
	move     Move
}

// atRest returns an error while anybody may change the metadata.
func atRest(ctx context.Context, conn querier) error {
	type blocked struct{ Proxies, Turns, Settling, Unready, Doubts int }
	found, err := rowsOf(ctx, conn, statement{exportBlockedSQL, arguments{}},
		pgx.RowToStructByPos[blocked])
	switch {
	case err != nil:
		return err
	case found[0] != (blocked{}):
		return fmt.Errorf("%w: %d proxies serve, %d turns are open, %d replicas settle, "+
			"%d repositories are being created or removed, and the replicas of %d are to be "+
			"compared by a proxy", ErrNotAtRest, found[0].Proxies, found[0].Turns,
			found[0].Settling, found[0].Unready, found[0].Doubts)
	}
	return nil
}

func (e *exportRun) all(ctx context.Context) error {
	if err := atRest(ctx, e.from); err != nil {
		return err
	}
	for _, text := range []string{exportQueueSQL, exportJobsSQL, exportLocksSQL} {
		if _, err := e.to.Exec(ctx, text); err != nil {
			return fmt.Errorf("empty the queue: %w", err)
		}
	}
	if err := e.removeGone(ctx); err != nil {
		return fmt.Errorf("remove what is gone: %w", err)
	}
	after := int64(0)
	for {
		rows, err := rowsOf(ctx, e.from, statement{
			exportReadSQL, arguments{"after": after, "limit": legacyBatch},
		}, scanExport)
		if err != nil {
			return fmt.Errorf("read repositories: %w", err)
		}
		batch := group(rows)
		if len(batch) == 0 {
			return nil
		}
		after = batch[len(batch)-1].id
		if err := e.write(ctx, batch); err != nil {
			return fmt.Errorf("write repositories: %w", err)
		}
		if e.request.Progress != nil {
			e.request.Progress(e.move.Repositories)
		}
	}
}

func scanExport(row pgx.CollectableRow) (legacyRepository, error) {
	var (
		r legacyRepository
		p legacyReplica
	)
	err := row.Scan(&r.id, &r.key.VirtualStorage, &r.key.RelativePath, &r.replicaPath,
		&r.generation, &r.primary, &r.everywhere, &p.storage, &p.generation, &p.assigned,
		&p.verifiedAt)
	if err != nil {
		return r, fmt.Errorf("scan repository: %w", err)
	}
	r.replicas = []legacyReplica{p}
	return r, nil
}

// removeGone removes the repositories that were removed since the import.
func (e *exportRun) removeGone(ctx context.Context) error {
	after := int64(0)
	for {
		ids, err := rowsOf(ctx, e.to, statement{
			exportStaleSQL, arguments{"after": after, "limit": legacyBatch},
		}, pgx.RowTo[int64])
		if err != nil || len(ids) == 0 {
			return err
		}
		after = ids[len(ids)-1]
		known, err := rowsOf(ctx, e.from, statement{
			exportKnownSQL, arguments{"ids": ids},
		}, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		var batch pgx.Batch
		for _, id := range ids {
			if !slices.Contains(known, id) {
				batch.Queue(exportGoneSQL, id)
			}
		}
		e.move.Removed += batch.Len()
		if err := e.send(ctx, &batch); err != nil {
			return err
		}
	}
}

func (e *exportRun) write(ctx context.Context, repositories []legacyRepository) error {
	var batch pgx.Batch
	for _, r := range repositories {
		e.queue(&batch, r)
	}
	return e.send(ctx, &batch)
}

func (e *exportRun) queue(batch *pgx.Batch, r legacyRepository) {
	virtual, path := string(r.key.VirtualStorage), r.key.RelativePath
	batch.Queue(exportClearReplicasSQL, r.id)
	batch.Queue(exportClearAssignmentsSQL, r.id)
	batch.Queue(exportOneSQL, r.id, virtual, path, r.replicaPath, r.generation, r.primary)
	e.move.Repositories++
	for _, p := range r.replicas {
		if p.generation >= 0 {
			batch.Queue(exportReplicaSQL, r.id, virtual, path, p.storage, p.generation,
				p.verifiedAt)
			e.move.Replicas++
		}
		if p.assigned && !r.everywhere {
			batch.Queue(exportAssignmentSQL, r.id, virtual, path, p.storage)
			e.move.Assignments++
		}
	}
}

func (e *exportRun) send(ctx context.Context, batch *pgx.Batch) error {
	if batch.Len() == 0 {
		return nil
	}
	if err := e.to.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("send statements: %w", err)
	}
	return nil
}
