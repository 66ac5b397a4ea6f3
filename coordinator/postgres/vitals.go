package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Vitals are what an operator wants to know of the server that takes the writes.
type Vitals struct {
	Version string
	// Standby says that it replays another server, ReadOnly that it takes no writes.
	Standby, ReadOnly bool
	// FsyncOff and CommitOff say that acknowledged statements may be lost in a crash.
	FsyncOff, CommitOff bool
	// Proxies are the names of those whose leases hold.
	Proxies []string
}

// Vitals asks the server about itself.
func (s *Store) Vitals(ctx context.Context) (Vitals, error) {
	return queryOne(ctx, s, vitalsSQL, arguments{},
		func(row pgx.CollectableRow) (Vitals, error) {
			var v Vitals
			err := row.Scan(&v.Version, &v.Standby, &v.ReadOnly, &v.FsyncOff, &v.CommitOff,
				&v.Proxies)
			if err != nil {
				return v, fmt.Errorf("scan vitals: %w", err)
			}
			return v, nil
		})
}

// Clock asks for the server's time.
func (s *Store) Clock(ctx context.Context) (time.Time, error) {
	return queryOne(ctx, s, clockSQL, arguments{}, pgx.RowTo[time.Time])
}

// Listens checks that notices arrive on the connection that is made for them, or returns an error.
// Without them everything is found out by polling.
func (s *Store) Listens(ctx context.Context) error {
	connection, err := s.connectListener(ctx)
	if err != nil {
		return err
	}
	defer func() {
		// It may be broken, which is told already.
		_ = connection.Close(context.WithoutCancel(ctx))
	}()
	if err := s.execute(ctx, probeSQL, arguments{}); err != nil {
		return err
	}
	_, err = connection.WaitForNotification(ctx)
	if err != nil && ctx.Err() != nil && !connection.IsClosed() {
		return errDeaf
	}
	if err != nil {
		return fmt.Errorf("wait for notices: %w", errors.Join(err, ctx.Err()))
	}
	return nil
}
