package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"praefect/test/chaos/audit"
	"praefect/test/chaos/client"
	"praefect/test/chaos/fault"
	"praefect/test/chaos/history"
)

const (
	// settlePatience is how long everything may take to be current again.
	settlePatience = 60 * time.Second
	// progressEvery is how often is told how far the run is.
	progressEvery = 5 * time.Second

	writeDeadline = 14 * time.Second
	readDeadline  = 6 * time.Second
	// commitsPerSecond is how many values are kept in store for all repositories together: more
	// than any machine writes.
	commitsPerSecond = 60
	commitsMin       = 512
)

// session is one run.
type session struct {
	settings

	rig      *rig
	recorder *history.Recorder
	world    *client.World
	injector *fault.Injector
	out      io.Writer

	// late is set when the time is over and the run goes on for what is missing.
	late atomic.Bool

	mu sync.Mutex // guards out and the field below
	// diverged is what was found in the middle of the run.
	diverged []string
}

// say prints a line.
func (s *session) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Whoever does not want to read it need not; the exit status tells.
	_, _ = fmt.Fprintf(s.out, format+"\n", args...)
}

// chaos makes one run and judges it.
func chaos(ctx context.Context, settings settings, out io.Writer) error {
	s := &session{settings: settings, recorder: history.NewRecorder(), out: out}
	s.say("chaos: starting %d proxies and %d nodes", s.proxies, s.nodes)
	r, err := startRig(ctx, settings)
	if err != nil {
		return err
	}
	s.rig = r

	sum, err := s.play(ctx)
	err = errors.Join(err, s.recorder.Save(filepath.Join(r.dir, "history.jsonl")), r.stop())
	problem := sum.problem()
	if s.discard || !s.keepAll && err == nil && problem == "" {
		err = errors.Join(err, r.remove())
	} else {
		err = errors.Join(err, r.keep(context.WithoutCancel(ctx)))
		s.say("chaos: logs, disks and history are in %s", r.dir)
	}
	if err == nil && problem == "" {
		s.say("%s", sum.line())

		return nil
	}

	s.say("chaos: run it again: %s", s.again())
	if err != nil {
		return err
	}
	s.say("chaos: %s", problem)
	s.say("%s", sum.line())

	return errFailed
}

// play prepares the repositories, lets clients and faults loose, and judges.
func (s *session) play(ctx context.Context) (summary, error) {
	perRepository := commitsPerSecond * int(s.duration().Seconds()) / s.repositories
	world, err := client.NewWorld(s.recorder, client.Config{
		Address: s.rig.balancer.Address(), Storage: s.rig.VirtualStorage(), Token: s.rig.Token(),
		Behind: s.rig.balancer.Behind, Seed: s.seed,
		Workers: s.workers, Readers: s.readers, Repositories: s.repositories,
		Clash: s.program == fault.Jitter,
		// Some repositories are written more often than others.
		Commits:       max(commitsMin, 3*perRepository),
		WriteDeadline: writeDeadline, ReadDeadline: readDeadline,
	})
	if err != nil {
		return summary{}, err
	}
	s.world = world
	if err := world.Prepare(ctx); err != nil {
		return summary{}, err
	}

	s.injector = fault.New(fault.Config{
		Nodes: s.rig.Nodes(), Proxies: s.rig.Proxies(), Server: s.rig.Server(), Disks: s.rig.disks,
		Targets: s.rig.targets, Doors: s.rig.doors, Seed: s.seed, Program: s.program,
		Now:     s.recorder.Now,
		Primary: s.primary, Calm: s.calm,
		Report: func(f fault.Fault) { s.say("chaos: %s", f) }, Rest: world.Rest, Muster: s.muster,
		Wanted: s.wanted,
	})
	if err := s.unleash(ctx); err != nil {
		return summary{}, err
	}
	if ctx.Err() != nil {
		return summary{}, context.Cause(ctx)
	}

	return s.judge(ctx)
}

// unleash runs clients and faults for the time of the run. The clients end with the last fault.
func (s *session) unleash(ctx context.Context) error {
	working, stop := context.WithCancel(ctx)
	defer stop()
	breaking, cancel := context.WithCancel(ctx)
	defer cancel()

	var running sync.WaitGroup
	running.Go(func() { s.world.Run(working) })
	running.Go(func() { s.progress(working) })
	running.Go(func() {
		defer cancel()
		s.awaitEnough(breaking)
	})
	err := s.injector.Run(breaking)
	cancel()
	if err == nil {
		err = s.injector.Finale(ctx, stop)
	}
	stop()
	running.Wait()

	return err
}

// wanted tells whether more faults of a kind are wanted: of every kind while the time lasts, then
// of those that are missing. What else is missing then are writes, and faults only delay them.
func (s *session) wanted(kind fault.Kind) bool {
	return !s.late.Load() || fault.Count(s.injector.Faults())[kind] < leastFaults(s.settings)
}

// awaitEnough waits for the time of the run, and then, on a machine that is slow, a bit longer,
// until every kind of fault came often enough and enough was written.
func (s *session) awaitEnough(ctx context.Context) {
	const poll, longest = 500 * time.Millisecond, 2 // times the time
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for begin := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		passed := time.Since(begin)
		s.late.Store(passed >= s.duration())
		if s.first && len(s.differences()) > 0 {
			return
		}
		enough := len(missing(s.settings, s.injector.Faults())) == 0 &&
			s.counts()[client.Succeeded] >= leastWrites(s.duration())
		if passed >= s.duration() && enough || passed >= longest*s.duration() {
			return
		}
	}
}

// progress tells how far the run is.
func (s *session) progress(ctx context.Context) {
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	begin := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			counts := s.counts()
			s.say("chaos: %3.0fs of %.0fs: %d faults; writes: %d succeeded, %d declined, "+
				"%d queued too long, %d failed",
				time.Since(begin).Seconds(), s.duration().Seconds(),
				len(s.injector.Faults()), counts[client.Succeeded], counts[client.Declined],
				counts[client.Queued], counts[client.Failed])
		}
	}
}

// counts tells how many writes ended in which way so far.
func (s *session) counts() map[client.Verdict]int {
	counts := map[client.Verdict]int{}
	for _, a := range s.world.Attempts() {
		counts[a.Verdict]++
	}

	return counts
}

// primary returns the repositories whose primary is a storage; none when nobody knows.
func (s *session) primary(ctx context.Context, storage string) []string {
	snapshot, err := s.rig.metadata.Look(ctx)
	if err != nil {
		return nil
	}

	return snapshot.Primary(storage)
}

// calm tells whether no replica is behind.
func (s *session) calm(ctx context.Context) bool {
	snapshot, err := s.rig.metadata.Look(ctx)

	return err == nil && !snapshot.Behind()
}

const (
	// musterPatience is how long replicas may differ without being recorded as outdated, after
	// all parties can talk to each other again.
	musterPatience = 10 * time.Second
	musterPoll     = 500 * time.Millisecond
)

// muster compares the replicas that are recorded as current, while the clients rest. What went
// wrong is covered up by later repairs, so it is looked for now and then in the middle of a run.
// What moves while it is looked at is what recovery is deciding about, so that is looked at again.
func (s *session) muster(ctx context.Context) error {
	begin := time.Now()
	// What was begun is looked at, even if the run ends meanwhile.
	ctx = context.WithoutCancel(ctx)
	auditor := &audit.Auditor{Metadata: s.rig.metadata, Nodes: s.rig.Nodes()}
	var diverged []string
	for {
		late := time.Since(begin) > musterPatience
		var whole bool
		var err error
		diverged, whole, err = auditor.Compare(ctx)
		if err != nil {
			return err
		}
		if len(diverged) == 0 && whole || late {
			break
		}
		<-time.After(musterPoll)
	}
	s.note(diverged)
	s.say("chaos: mustered all replicas in %.1fs, %d differences",
		time.Since(begin).Seconds(), len(diverged))

	return nil
}

// note keeps what a muster has found.
func (s *session) note(diverged []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range diverged {
		s.diverged = append(s.diverged,
			fmt.Sprintf("at %.0fs: %s", s.recorder.Now().Seconds(), text))
	}
}

// differences returns what musters have found.
func (s *session) differences() []string {
	s.mu.Lock()
	defer s.mu.Unlock()

	return slices.Clone(s.diverged)
}

// judge waits until everything has settled and looks at what was seen and what is there.
func (s *session) judge(ctx context.Context) (summary, error) {
	s.say("chaos: faults are over, everything has %v to settle", s.patience)
	begin := time.Now()
	auditor := &audit.Auditor{
		Metadata: s.rig.metadata, Nodes: s.rig.Nodes(),
		Waiting: func(waiting []string) {
			s.say("chaos: waiting for %d: %s", len(waiting),
				strings.Join(waiting[:min(len(waiting), 2)], "; "))
		},
	}
	result, err := auditor.Await(ctx, s.patience)
	if err != nil {
		return summary{}, err
	}
	s.say("chaos: looked at everything after %.1fs", time.Since(begin).Seconds())

	result.Diverged = append(result.Diverged, s.differences()...)
	result.Unresolved = append(result.Unresolved, s.rig.ended()...)
	crashes, err := s.rig.crashes()
	if err != nil {
		return summary{}, err
	}
	result.Unresolved = append(result.Unresolved, crashes...)
	if err := s.world.LookAgain(ctx, s.proxies); err != nil {
		result.Unresolved = append(result.Unresolved, err.Error())
	}
	s.recorder.Add(s.ending(result)...)

	operations := s.recorder.Operations()
	s.say("chaos: judging %d operations", len(operations))
	report := history.Check(operations, history.Config{})
	sum := newSummary(s.settings, s.injector.Faults(), s.world.Attempts())
	sum.reads = readCalls(operations)
	sum.add(report, result)
	s.explain(report, result, sum)

	return sum, nil
}
