package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/zap"

	"praefect/coordinator"
)

const (
	// probeAfter is how long nothing may be heard before the connection is tried out.
	probeAfter = 15 * time.Second
	// probeWait is how long the own notice may take.
	probeWait = 5 * time.Second
	// Without notices everything is found out by polling, so there is no hurry to connect again to
	// a server that does not answer.
	listenPauseMin = 100 * time.Millisecond
	listenPauseMax = 30 * time.Second
)

// errDeaf says that notices do not arrive, as behind a pooler by transactions.
var errDeaf = errors.New("notices of the database do not arrive")

// Listen implements [coordinator.Members]. Its connection is not one of the pool.
func (s *Store) Listen(
	ctx context.Context, receive func(coordinator.Notice),
) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = listenPauseMin, listenPauseMax
	for ctx.Err() == nil {
		s.listenOnce(ctx, receive, pause)
	}
	return nil
}

// listenOnce listens until the connection fails, and then for a pause does not.
func (s *Store) listenOnce(
	ctx context.Context, receive func(coordinator.Notice), pause *backoff.ExponentialBackOff,
) {
	err := s.listen(ctx, receive, pause.Reset)
	if ctx.Err() != nil {
		return
	}
	s.log.Error("listening was interrupted", zap.Error(err))
	select {
	case <-time.After(pause.NextBackOff()):
	case <-ctx.Done():
	}
}

// listen serves one connection until it fails. It calls heard when notices are known to arrive.
func (s *Store) listen(
	ctx context.Context, receive func(coordinator.Notice), heard func(),
) error {
	connection, err := s.connectListener(ctx)
	if err != nil {
		return err
	}
	s.onListen(true)
	defer func() {
		s.onListen(false)
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
		defer cancel()
		// It may be broken, which is no news here.
		_ = connection.Close(ending)
	}()
	for {
		// From the pool, as a pooler in between would pass on what the connection tells itself.
		if err := s.execute(ctx, probeSQL, arguments{}); err != nil {
			return err
		}
		wait := probeWait
		for {
			notice, err := await(ctx, connection, wait)
			if errors.Is(err, errDeaf) && wait == probeAfter {
				break
			}
			if err != nil {
				return err
			}
			heard()
			wait = probeAfter
			if parsed, ok := parse(notice.Payload); ok {
				receive(parsed)
			}
		}
	}
}

func (s *Store) connectListener(ctx context.Context) (*pgx.Conn, error) {
	connecting, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	connection, err := pgx.ConnectConfig(connecting, s.listener.Copy())
	if err != nil {
		return nil, fmt.Errorf("connect for notices: %w", err)
	}
	if _, err := connection.Exec(connecting, listenSQL); err != nil {
		return nil, errors.Join(
			fmt.Errorf("ask for notices: %w", err), connection.Close(connecting),
		)
	}
	return connection, nil
}

// await returns errDeaf when there was no notice in the given time.
func await(
	ctx context.Context, connection *pgx.Conn, wait time.Duration,
) (*pgconn.Notification, error) {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	notice, err := connection.WaitForNotification(waiting)
	switch {
	case err == nil:
		return notice, nil
	case waiting.Err() != nil && ctx.Err() == nil && !connection.IsClosed():
		return nil, errDeaf
	default:
		return nil, fmt.Errorf("wait for notices: %w", err)
	}
}

// parse understands what the statements of this package tell. Others are none of ours.
func parse(payload string) (coordinator.Notice, bool) {
	name, number, _ := strings.Cut(payload, " ")
	kind := coordinator.NoticeKind(0)
	switch name {
	case "invalidated":
		return coordinator.Notice{Kind: coordinator.NoticeInvalidated}, true
	case "wanted":
		kind = coordinator.NoticeTurnWanted
	case "free":
		kind = coordinator.NoticeTurnFree
	case "left":
		kind = coordinator.NoticeTurnLeft
	}
	id, err := strconv.ParseInt(number, 10, 64)
	return coordinator.Notice{
		Kind: kind, Repository: coordinator.RepositoryID(id),
	}, err == nil && kind != 0
}
