package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/zap"

	"praefect/coordinator"
)

// serverVersionMin is PostgreSQL 11 as the server reports it.
const serverVersionMin = 110000

// Store implements [coordinator.Store]. Safe for concurrent use.
type Store struct {
	pool *pgxpool.Pool
	// listener is how to connect for notices.
	listener *pgx.ConnConfig
	preparer *preparer
	timeout  time.Duration
	onListen func(connected bool)
	// renewals counts, since not each one prunes.
	renewals atomic.Uint64
	// lost is set from the first statement that met a broken connection to the next that did not:
	// an outage is told once, whatever is tried meanwhile.
	lost atomic.Bool
	log  *zap.Logger
}

// Open makes a store. It does not connect; [Store.Ping] does. Errors match [ErrInvalidConfig].
func Open(ctx context.Context, log *zap.Logger, config Config) (*Store, error) {
	parameters, err := config.pool()
	if err != nil {
		return nil, err
	}
	listener, err := config.listener()
	if err != nil {
		return nil, err
	}
	preparer := &preparer{}
	preparer.attend(parameters)
	pool, err := pgxpool.NewWithConfig(ctx, parameters)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidConfig, err)
	}
	onListen := config.OnListen
	if onListen == nil {
		onListen = func(bool) {}
	}
	return &Store{
		pool: pool, listener: listener, preparer: preparer, onListen: onListen,
		timeout: config.WithDefaults().StatementTimeout, log: log,
	}, nil
}

// Close gives up all connections and waits for the statements under way.
func (s *Store) Close() { s.pool.Close() }

// Ping checks that the database can be reached and written to, and that its server is not older
// than version 11, which is [ErrServerTooOld].
func (s *Store) Ping(ctx context.Context) error {
	var version int
	if err := s.pool.QueryRow(ctx, pingSQL).Scan(&version); err != nil {
		return fmt.Errorf("send ping: %w", err)
	}
	if version < serverVersionMin {
		return fmt.Errorf("%w: %d", ErrServerTooOld, version)
	}
	return nil
}

// ping tests a connection only after it was idle for long.
func ping(_ context.Context, parameters pgxpool.ShouldPingParams) bool {
	return parameters.IdleDuration > idleBeforePing
}

// run sends something to the server, bounded in time, once more if it surely was not executed.
// Everything that the package does on the pool goes through here.
func (s *Store) run(ctx context.Context, attempt func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := attempt(ctx)
	s.note(err)
	if err != nil && repeatable(err) {
		err = attempt(ctx)
		s.note(err)
	}
	return translate(err)
}

// note gives up all connections after a statement that met a broken one, and tells when that begins
// and when it is over.
func (s *Store) note(err error) {
	s.preparer.refuse(err, s.log)
	switch broken := stale(err) || brokenConnection(err); {
	case broken:
		s.pool.Reset()
		if !s.lost.Swap(true) {
			s.log.Warn("connections to the database are given up", zap.Error(err))
		}
	case err == nil && s.lost.Load() && s.lost.Swap(false):
		s.log.Info("database answers again")
	}
}

// query runs a statement and collects its rows.
func query[T any](
	ctx context.Context, s *Store, statement string, parameters arguments,
	collect func(pgx.CollectableRow) (T, error),
) ([]T, error) {
	var rows []T
	err := s.run(ctx, func(ctx context.Context) error {
		var err error
		rows, err = collectRows(ctx, s, statement, parameters, collect)
		return err
	})
	return rows, err
}

// again calls something that may be done twice once more, on another connection, if the first one
// turned out to be broken.
func again(call func() error) error {
	err := call()
	if stale(err) || brokenConnection(err) {
		return call()
	}
	return err
}

// read runs a statement that may be run twice.
func read[T any](
	ctx context.Context, s *Store, statement string, parameters arguments,
	collect func(pgx.CollectableRow) (T, error),
) ([]T, error) {
	var rows []T
	err := again(func() error {
		var err error
		rows, err = query(ctx, s, statement, parameters, collect)
		return err
	})
	return rows, err
}

func collectRows[T any](
	ctx context.Context, s *Store, statement string, parameters arguments,
	collect func(pgx.CollectableRow) (T, error),
) ([]T, error) {
	rows, err := s.pool.Query(ctx, statement, parameters)
	if err != nil {
		return nil, fmt.Errorf("send statement: %w", err)
	}
	collected, err := pgx.CollectRows(rows, collect)
	if err != nil {
		return nil, fmt.Errorf("run statement: %w", err)
	}
	return collected, nil
}

// queryOne returns the only row of a statement, or [pgx.ErrNoRows].
func queryOne[T any](
	ctx context.Context, s *Store, statement string, parameters arguments,
	collect func(pgx.CollectableRow) (T, error),
) (T, error) {
	rows, err := query(ctx, s, statement, parameters, collect)
	if err != nil || len(rows) == 0 {
		var zero T
		return zero, errors.Join(err, noRows(err))
	}
	return rows[0], nil
}

func noRows(err error) error {
	if err == nil {
		return pgx.ErrNoRows
	}
	return nil
}

// milliseconds is how durations are passed: intervals as text would depend on settings.
func milliseconds(duration time.Duration) int64 { return duration.Milliseconds() }

// names passes storages as an array of text.
func names(storages []coordinator.Storage) []string {
	list := make([]string, 0, len(storages))
	for _, storage := range storages {
		list = append(list, string(storage))
	}
	return list
}
