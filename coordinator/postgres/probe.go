package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// ProbeRead checks that metadata can be read.
func (s *Store) ProbeRead(ctx context.Context) error {
	_, err := read(ctx, s, timelineSQL, arguments{}, pgx.RowTo[string])
	return err
}

// ProbeWrite checks that metadata can be written. It leaves nothing behind.
func (s *Store) ProbeWrite(ctx context.Context) error {
	return s.run(ctx, func(ctx context.Context) error {
		tx, err := s.pool.Begin(ctx)
		if err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		_, err = tx.Exec(ctx, probeWriteSQL, arguments{"name": rand.Text()})
		return errors.Join(err, tx.Rollback(ctx))
	})
}
