package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"praefect/coordinator"
)

// Announce implements [coordinator.Announcer].
func (s *Store) Announce(ctx context.Context, announcement coordinator.Announcement) error {
	rows, err := read(ctx, s, announceSQL, arguments{
		"write": int64(announcement.Write), "id": int64(announcement.Repository),
		"incarnation":  int64(announcement.Incarnation),
		"participants": names(announcement.Participants),
	}, scanOpened)
	switch {
	case err != nil:
		return err
	case len(rows) == 0 || !rows[0].live:
		return coordinator.ErrLeaseLost
	case !rows[0].opened:
		return coordinator.ErrRepositoryNotFound
	}
	return nil
}

// Withdraw implements [coordinator.Announcer].
func (s *Store) Withdraw(ctx context.Context, withdrawal coordinator.Withdrawal) error {
	settling := withdrawal.Settling
	return s.execute(ctx, withdrawSQL, arguments{
		"write": int64(withdrawal.Write), "id": int64(withdrawal.Repository),
		"compare": withdrawal.Compare, "doubtful": withdrawal.Doubtful,
		"storages": names(settling.Storages), "for": milliseconds(settling.For),
	})
}

// AdoptAnnouncements implements [coordinator.Announcer].
func (s *Store) AdoptAnnouncements(
	ctx context.Context, limit int, settle time.Duration,
) (int, error) {
	adopted, err := query(ctx, s, adoptAnnouncementsSQL, arguments{
		"limit": limit, "for": milliseconds(settle),
	}, func(row pgx.CollectableRow) (int64, error) {
		var id int64
		if err := row.Scan(&id); err != nil {
			return 0, fmt.Errorf("scan announcement: %w", err)
		}
		return id, nil
	})
	return len(adopted), err
}

// Announced implements [coordinator.Announcer].
func (s *Store) Announced(ctx context.Context, id coordinator.RepositoryID) (bool, error) {
	rows, err := read(ctx, s, announcedSQL, arguments{"id": int64(id)}, pgx.RowTo[bool])
	return len(rows) > 0 && rows[0], err
}
