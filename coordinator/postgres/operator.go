package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"praefect/coordinator"
)

// Deficient implements [coordinator.Operator].
func (s *Store) Deficient(
	ctx context.Context, window coordinator.Window,
) ([]coordinator.Repository, string, error) {
	edge, err := read(ctx, s, deficientEdgeSQL, arguments{
		"virtual_storage": string(window.VirtualStorage), "after": window.After,
		"limit": window.Limit,
	}, pgx.RowTo[string])
	if err != nil {
		return nil, "", err
	}
	edge = append(edge, "") // The last window has no edge.
	ids, err := read(ctx, s, deficientSQL, arguments{
		"virtual_storage": string(window.VirtualStorage), "after": window.After,
		"edge": edge[0], "configured": names(window.Configured), "healthy": names(window.Healthy),
	}, pgx.RowTo[coordinator.RepositoryID])
	if err != nil {
		return nil, "", err
	}
	found, err := s.repositories(ctx, ids)
	if err != nil {
		return nil, "", err
	}
	return coordinator.ByPath(found), edge[0], nil
}

// Assign implements [coordinator.Operator].
func (s *Store) Assign(
	ctx context.Context, assignment coordinator.Assignment,
) (coordinator.Repository, error) {
	held, after, err := changeAndLoad(ctx, s, assignment.Repository, statement{
		assignSQL, arguments{
			"id": int64(assignment.Repository), "write": int64(assignment.Write),
			"assigned":   names(assignment.Assigned),
			"configured": names(assignment.Configured),
			"everywhere": assignment.Everywhere,
		},
	}, pgx.RowTo[bool])
	switch {
	case err != nil:
		return coordinator.Repository{}, err
	case after.State != coordinator.StateReady:
		return coordinator.Repository{}, coordinator.ErrRepositoryNotFound
	case !held:
		return coordinator.Repository{}, coordinator.ErrSuperseded
	}
	return after, nil
}

// changeAndLoad changes a repository behind its lock and reads what has become of it. A repository
// that is not there is zero.
func changeAndLoad[T any](
	ctx context.Context, s *Store, id coordinator.RepositoryID, change statement,
	collect func(pgx.CollectableRow) (T, error),
) (T, coordinator.Repository, error) {
	var (
		answer T
		after  []coordinator.Repository
	)
	err := s.batch(ctx, func(a *answers) error {
		err := a.skip()
		if err == nil {
			answer, err = first(a, collect)
		}
		if err == nil {
			after, err = nextRepositories(a)
		}
		return err
	}, lock(id), change, load(id))
	if err != nil || len(after) == 0 {
		return answer, coordinator.Repository{}, err
	}
	return answer, after[0], nil
}

// appointed says what kept a replica from being appointed, if anything did.
type appointed struct{ found, present, repairing, free bool }

// Appoint implements [coordinator.Operator].
func (s *Store) Appoint(
	ctx context.Context, appointment coordinator.Appointment,
) (coordinator.Repository, error) {
	was, after, err := changeAndLoad(ctx, s, appointment.Repository, statement{
		appointSQL, arguments{
			"id": int64(appointment.Repository), "write": int64(appointment.Write),
			"storage": string(appointment.Storage), "absent": appointment.Absent,
			"settle": milliseconds(appointment.Settle),
		},
	}, func(row pgx.CollectableRow) (appointed, error) {
		a := appointed{found: true}
		if err := row.Scan(&a.present, &a.repairing, &a.free); err != nil {
			return a, fmt.Errorf("scan appointment: %w", err)
		}
		return a, nil
	})
	switch {
	case err != nil:
		return coordinator.Repository{}, err
	case !was.found:
		return coordinator.Repository{}, coordinator.ErrRepositoryNotFound
	case !was.present:
		return coordinator.Repository{}, coordinator.ErrNoReplica
	case was.repairing:
		return coordinator.Repository{}, coordinator.ErrBusy
	case !was.free:
		return coordinator.Repository{}, coordinator.ErrTurnTaken
	}
	return after, nil
}

// Track implements [coordinator.Operator].
func (s *Store) Track(ctx context.Context, tracking coordinator.Tracking) error {
	return s.changed(ctx, trackSQL, arguments{
		"id":              int64(tracking.ID),
		"virtual_storage": string(tracking.Key.VirtualStorage),
		"relative_path":   tracking.Key.RelativePath,
		"replica_path":    tracking.ReplicaPath,
		"primary":         string(tracking.Primary),
		"present":         names(tracking.Present),
		"assigned":        names(tracking.Assigned),
		"everywhere":      tracking.Everywhere,
	}, coordinator.ErrRepositoryExists)
}

// Forget implements [coordinator.Operator].
func (s *Store) Forget(ctx context.Context, key coordinator.Key) error {
	repository, err := s.Lookup(ctx, key)
	if err != nil {
		return err
	}
	var free []bool
	err = s.batch(ctx, func(a *answers) error {
		err := a.skip()
		if err == nil {
			free, err = next(a, pgx.RowTo[bool])
		}
		return err
	}, lock(repository.ID), statement{forgetSQL, arguments{"id": int64(repository.ID)}})
	switch {
	case err != nil:
		return err
	case len(free) == 0:
		return coordinator.ErrRepositoryNotFound
	case !free[0]:
		return coordinator.ErrTurnTaken
	}
	return nil
}

// Untracked implements [coordinator.Operator].
func (s *Store) Untracked(
	ctx context.Context, place coordinator.Place, replicaPaths []string,
) ([]string, error) {
	return read(ctx, s, untrackedSQL, arguments{
		"virtual_storage": string(place.VirtualStorage), "storage": string(place.Storage),
		"paths": replicaPaths,
	}, pgx.RowTo[string])
}

// Unverify implements [coordinator.Operator].
func (s *Store) Unverify(
	ctx context.Context, selection coordinator.Selection, limit int,
) (int64, error) {
	changed, err := query(ctx, s, unverifySQL, arguments{
		"repository":      int64(selection.Repository),
		"virtual_storage": string(selection.VirtualStorage),
		"storage":         string(selection.Storage), "limit": limit,
	}, pgx.RowTo[int64])
	return int64(len(changed)), err
}
