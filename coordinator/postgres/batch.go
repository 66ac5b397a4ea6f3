package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// statement is a part of a batch.
type statement struct {
	text       string
	parameters arguments
}

// lock is the first statement of batches that change a repository.
func lock[ID ~int64](id ID) statement {
	return statement{lockSQL, arguments{"id": int64(id)}}
}

// answers are the results of a batch, in its order.
type answers struct{ results pgx.BatchResults }

// batch runs statements as one transaction and in one round trip. The server takes a new snapshot
// for each statement, so that one behind another that had to wait sees what it waited for. Receive
// has to take every answer, and is called again if the batch is sent again.
func (s *Store) batch(
	ctx context.Context, receive func(*answers) error, statements ...statement,
) error {
	return s.run(ctx, func(ctx context.Context) error {
		connection, err := s.pool.Acquire(ctx)
		if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		defer connection.Release()
		return exchange(ctx, connection, receive, statements)
	})
}

// batchAgain is for batches that may be done twice.
func (s *Store) batchAgain(
	ctx context.Context, receive func(*answers) error, statements ...statement,
) error {
	return again(func() error { return s.batch(ctx, receive, statements...) })
}

// sender is a connection, or a transaction on one.
type sender interface {
	SendBatch(ctx context.Context, batch *pgx.Batch) pgx.BatchResults
}

func exchange(
	ctx context.Context, to sender, receive func(*answers) error, statements []statement,
) error {
	var batch pgx.Batch
	for _, statement := range statements {
		batch.Queue(statement.text, statement.parameters)
	}
	results := to.SendBatch(ctx, &batch)
	err := receive(&answers{results})
	// What fails after the last answer is the commit.
	if failure := results.Close(); err == nil && failure != nil {
		return fmt.Errorf("end batch: %w", failure)
	}
	return err
}

// skip takes the next answer and drops it.
func (a *answers) skip() error {
	if _, err := a.results.Exec(); err != nil {
		return fmt.Errorf("run statement: %w", err)
	}
	return nil
}

// next takes the next answer.
func next[T any](a *answers, collect func(pgx.CollectableRow) (T, error)) ([]T, error) {
	rows, err := a.results.Query()
	if err != nil {
		return nil, fmt.Errorf("run statement: %w", err)
	}
	collected, err := pgx.CollectRows(rows, collect)
	if err != nil {
		return nil, fmt.Errorf("run statement: %w", err)
	}
	return collected, nil
}

// first takes the next answer, which has at most one row; without it, it is the zero value.
func first[T any](a *answers, collect func(pgx.CollectableRow) (T, error)) (T, error) {
	rows, err := next(a, collect)
	if err != nil || len(rows) == 0 {
		var zero T
		return zero, err
	}
	return rows[0], nil
}

// changedLocked runs a statement that returns the rows that it changed, behind the lock of the
// repository. It says whether there was any.
func (s *Store) changedLocked(
	ctx context.Context, id int64, text string, parameters arguments,
) (bool, error) {
	var changed []int64
	err := s.batch(ctx, func(a *answers) error {
		if err := a.skip(); err != nil {
			return err
		}
		var err error
		changed, err = next(a, pgx.RowTo[int64])
		return err
	}, lock(id), statement{text, parameters})
	return len(changed) > 0, err
}
