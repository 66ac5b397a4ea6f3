package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"praefect/coordinator"
)

// push pushes and shows the generations afterwards.
func (s *story) push(ctx context.Context, refs ...string) error {
	s.did("git push origin %s", strings.Join(refs, " "))
	args := append([]string{"push", "--quiet", "origin"}, refs...)
	if err := s.user.git(ctx, args...); err != nil {
		return err
	}
	s.pushes++

	return s.showReplicas(ctx)
}

// pushSoon pushes until it succeeds: the proxy may notice only by the first attempt that a node is
// gone.
func (s *story) pushSoon(ctx context.Context, refs ...string) error {
	ctx, cancel := context.WithTimeout(ctx, electionWait)
	defer cancel()

	for {
		err := s.push(ctx, refs...)
		if err == nil {
			return nil
		}
		s.saw("refused: %v", err)

		select {
		case <-time.After(time.Second / 2):
		case <-ctx.Done():
			return fmt.Errorf("push after the loss of the primary: %w", err)
		}
	}
}

func (s *story) showReplicas(ctx context.Context) error {
	m, err := s.stage.metadata(ctx)
	if err != nil {
		return err
	}

	parts := make([]string, 0, len(m.Replicas))
	for _, replica := range m.Replicas {
		note := ""
		switch {
		case replica.Generation == coordinator.Absent:
			note = " (never filled)"
		case replica.Generation < m.Generation:
			note = " (outdated)"
		case replica.Storage == m.Primary:
			note = " (primary)"
		}
		parts = append(parts, fmt.Sprintf("%s at %d%s", replica.Storage, replica.Generation, note))
	}
	s.saw("generation %d: %s", m.Generation, strings.Join(parts, ", "))

	return nil
}

// showVotes prints what was voted since it was called last.
func (s *story) showVotes() error {
	votes, err := s.stage.votes.next()
	if err != nil {
		return err
	}
	if len(votes) == 0 {
		return fmt.Errorf("the proxy's log has no votes")
	}
	for _, line := range tabulate(votes) {
		s.saw("%s", line)
	}

	return nil
}

// requireOutdated fails when a replica is not recorded as outdated.
func (s *story) requireOutdated(ctx context.Context, storage string) error {
	m, err := s.stage.metadata(ctx)
	if err != nil {
		return err
	}
	if slices.Contains(m.current(), storage) {
		return fmt.Errorf("%s missed a push and is recorded as current", storage)
	}
	s.saw("%s is recorded as outdated: it serves no reads and is due for repair", storage)

	return nil
}
