package boot

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"praefect/cmd/internal/configfile"
	"praefect/cmd/internal/succession"
)

var (
	errGraceExpired = errors.New("grace period expired")
	errForced       = errors.New("force shutdown")
)

// Options are what [Run] is given beside its log. The configuration must be valid.
type Options struct {
	Config  *configfile.File
	Version string
	// Force is closed when a graceful stop shall not go on.
	Force <-chan struct{}
	// Sockets, if not nil, opens the listeners.
	Sockets Sockets
	// Ready, if not nil, is called once calls are answered.
	Ready func() error
	// Successor says that this process takes the place of one of the same name, which lives until
	// Ready was called and its calls have ended.
	Successor bool
}

// server is a server in the making, running, or ending.
type server struct {
	Options

	log *zap.Logger
	parts
	phase phase
	// serving are the listeners. The others end after the calls, in this order: workers, what ends
	// turns, the lease.
	serving, workers, turns, leases group
	// closers end what was made, the last first.
	closers []closer
}

// group are goroutines that share a context, which ends when one of them fails or with stop.
type group struct {
	run   func(func(context.Context) error)
	ended <-chan struct{}
	stop  func()
	wait  func() error
}

type closer struct {
	name  string
	close func() error
}

// Run serves until ctx ends, and then ends gracefully. It returns nil after that, and after a stop
// during the start. An error says what could not be started, what failed while serving, or that the
// grace was over before everything had ended; in the last case some goroutines are left.
func Run(ctx context.Context, log *zap.Logger, options Options) error {
	s := newServer(ctx, log, options)
	err := s.start(ctx)
	switch {
	case err == nil:
		return s.serve(ctx)
	case ctx.Err() != nil:
		log.Info("stopped before serving", zap.Error(err))
		err = nil
	}

	return errors.Join(err, s.end(ctx))
}

// serve returns when the server has ended. Supervisors know the lines.
func (s *server) serve(ctx context.Context) error {
	s.wait(ctx)
	s.log.Warn("starting grace period", zap.Duration("bound", s.Config.Grace()))
	err := s.end(ctx)
	if err == nil {
		s.log.Info("[shutdown] stopped Gitaly gracefully")
	}

	return err
}

func newServer(ctx context.Context, log *zap.Logger, options Options) *server {
	s := &server{
		Options: options, log: log,
		serving: newGroup(ctx), workers: newGroup(ctx), turns: newGroup(ctx), leases: newGroup(ctx),
	}
	s.phase.begins("process")

	return s
}

// newGroup makes a group whose context has the values of the given one, but not its end.
func newGroup(ctx context.Context) group {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	members, ctx := errgroup.WithContext(ctx)

	return group{
		run: func(f func(context.Context) error) {
			members.Go(func() error { return f(ctx) })
		},
		ended: ctx.Done(),
		stop:  stop,
		wait:  members.Wait,
	}
}

// wait returns when the server shall stop, for whatever reason.
func (s *server) wait(ctx context.Context) {
	select {
	case <-ctx.Done():
		s.log.Info("[shutdown] stopping Gitaly", zap.NamedError("reason", context.Cause(ctx)))
		if errors.Is(context.Cause(ctx), succession.ErrReplaced) {
			s.handOver()
		}
	case <-s.workers.ended:
		s.log.Error("stopping because a worker failed")
	case <-s.serving.ended:
		s.log.Error("stopping because a listener failed")
	}
}

// handOver ends what the successor does from now on. Both listen on the same address: whoever asks
// whether the process is ready, or what it counts, would hear the one or the other by chance.
func (s *server) handOver() {
	if s.endMetrics != nil {
		_ = s.endMetrics() // The end of all parts tells its error.
	}
}

// onEnd registers what ends a part.
func (s *server) onEnd(name string, end func() error) {
	s.closers = append(s.closers, closer{name: name, close: end})
}

// end ends everything. After the grace, or when it is forced, it returns with some of it undone.
func (s *server) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(
		context.WithoutCancel(ctx), s.Config.Grace(), errGraceExpired)
	defer cancel()

	done := make(chan error, 1)
	go func() { done <- s.endAll(ctx) }()

	select {
	case err := <-done:
		return err
	case <-s.Force:
		return errForced
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// endAll ends calls, workers and parts in this order.
func (s *server) endAll(ctx context.Context) error {
	s.phase.stopping.Store(true)
	var errs []error
	if s.front != nil {
		errs = append(errs, s.front.Stop(ctx))
	}
	s.serving.stop()
	errs = append(errs, s.serving.wait())

	if s.relay != nil {
		errs = append(errs, s.relay.Close(ctx))
	}
	for _, group := range []group{s.workers, s.turns, s.leases} {
		group.stop()
		errs = append(errs, group.wait())
	}

	for _, part := range slices.Backward(s.closers) {
		if err := part.close(); err != nil {
			errs = append(errs, fmt.Errorf("end %s: %w", part.name, err))
		}
	}

	return errors.Join(errs...)
}
