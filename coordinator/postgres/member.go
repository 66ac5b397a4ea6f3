package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"

	"praefect/coordinator"
)

const (
	// invalidationsMax bounds the answer to a renewal; the next one brings the rest.
	invalidationsMax = 1000
	// pruneEach is how many renewals there are to one pruning: each half minute at two a second.
	pruneEach = 60
	// pruneMax bounds the rows that one pruning deletes.
	pruneMax = 10000
)

// Enlist implements [coordinator.Members].
func (s *Store) Enlist(
	ctx context.Context, enlistment coordinator.Enlistment,
) (coordinator.Sequence, error) {
	incarnation := int64(enlistment.Incarnation)
	former := make([]int64, 0, len(enlistment.Former))
	for _, earlier := range enlistment.Former {
		former = append(former, int64(earlier))
	}
	var last []coordinator.Sequence
	err := s.batchAgain(ctx, func(a *answers) error {
		if err := a.skip(); err != nil {
			return err
		}
		var err error
		last, err = next(a, pgx.RowTo[coordinator.Sequence])
		return err
	}, statement{endFormerSQL, arguments{
		"name": enlistment.Name, "incarnation": incarnation,
		"replaces": enlistment.Replaces, "former": former,
	}}, statement{enlistSQL, arguments{
		"name": enlistment.Name, "incarnation": incarnation, "ttl": milliseconds(enlistment.TTL),
	}})
	switch {
	case err != nil:
		return 0, err
	case len(last) == 0:
		return 0, coordinator.ErrLeaseLost
	}
	return last[0], nil
}

// Renew implements [coordinator.Members].
func (s *Store) Renew(
	ctx context.Context, renewal coordinator.Renewal,
) (coordinator.Membership, error) {
	healthy, err := json.Marshal(renewal.Healthy)
	if err != nil {
		return coordinator.Membership{}, fmt.Errorf("encode report: %w", err)
	}
	var (
		renewed []int64
		known   coordinator.Membership
	)
	err = s.batchAgain(ctx, func(a *answers) error {
		var err error
		if renewed, err = next(a, pgx.RowTo[int64]); err != nil {
			return err
		}
		known, err = nextMembership(a)
		return err
	}, statement{renewSQL, arguments{
		"incarnation": int64(renewal.Incarnation), "ttl": milliseconds(renewal.TTL),
		"applied": int64(renewal.Applied), "healthy": string(healthy),
		"timeline": renewal.Timeline,
	}}, statement{invalidationsSQL, arguments{
		"applied": int64(renewal.Applied), "limit": invalidationsMax,
	}}, statement{reportsSQL, arguments{}}, statement{timelineSQL, arguments{}})
	switch {
	case err != nil:
		return coordinator.Membership{}, err
	case len(renewed) == 0 && renewal.Timeline != "" && renewal.Timeline != known.Timeline:
		return coordinator.Membership{}, coordinator.ErrTimelineChanged
	case len(renewed) == 0:
		return coordinator.Membership{}, coordinator.ErrLeaseLost
	}
	s.prune(ctx)
	return known, nil
}

func nextMembership(a *answers) (coordinator.Membership, error) {
	var (
		known coordinator.Membership
		err   error
	)
	if known.Invalidations, err = next(a, scanInvalidation); err != nil {
		return known, err
	}
	if known.Reports, err = next(a, scanReport); err != nil {
		return known, err
	}
	known.Timeline, err = first(a, pgx.RowTo[string])
	return known, err
}

func scanInvalidation(row pgx.CollectableRow) (coordinator.Invalidation, error) {
	var i coordinator.Invalidation
	err := row.Scan(&i.Sequence, &i.Key.VirtualStorage, &i.Key.RelativePath)
	if err != nil {
		return i, fmt.Errorf("scan invalidation: %w", err)
	}
	return i, nil
}

func scanReport(row pgx.CollectableRow) (coordinator.Report, error) {
	var (
		report  coordinator.Report
		healthy string
	)
	if err := row.Scan(&report.Incarnation, &report.Name, &healthy); err != nil {
		return report, fmt.Errorf("scan report: %w", err)
	}
	if err := json.Unmarshal([]byte(healthy), &report.Healthy); err != nil {
		return report, fmt.Errorf("decode report: %w", err)
	}
	return report, nil
}

// prune forgets now and then what nobody asks for any more. A renewal does not fail for it.
func (s *Store) prune(ctx context.Context) {
	if s.renewals.Add(1)%pruneEach != 0 {
		return
	}
	err := errors.Join(
		s.execute(ctx, pruneInvalidationsSQL, arguments{"limit": pruneMax}),
		s.execute(ctx, pruneProxiesSQL, arguments{}),
	)
	if err != nil {
		s.log.Warn("old invalidations and proxies are not forgotten", zap.Error(err))
	}
}

// Acknowledge implements [coordinator.Members].
func (s *Store) Acknowledge(
	ctx context.Context, acknowledgement coordinator.Acknowledgement,
) error {
	return s.changed(ctx, acknowledgeSQL, arguments{
		"incarnation": int64(acknowledgement.Incarnation),
		"timeline":    acknowledgement.Timeline,
		"applied":     int64(acknowledgement.Applied),
	}, coordinator.ErrLeaseLost)
}

// Acknowledged implements [coordinator.Members].
func (s *Store) Acknowledged(
	ctx context.Context, incarnation coordinator.Incarnation, awaited coordinator.Sequence,
) (bool, error) {
	done, err := read(ctx, s, acknowledgedSQL, arguments{
		"incarnation": int64(incarnation), "awaited": int64(awaited),
	}, pgx.RowTo[bool])
	return len(done) > 0 && done[0], err
}

// Resign implements [coordinator.Members].
func (s *Store) Resign(ctx context.Context, incarnation coordinator.Incarnation) error {
	return s.execute(ctx, resignSQL, arguments{"incarnation": int64(incarnation)})
}
