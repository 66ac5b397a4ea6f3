package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"praefect/test/cluster"
)

const (
	// bulk is large enough that a node can be killed while it is being uploaded.
	bulk = 32 << 20
	// electionWait and repairWait bound what the story waits for.
	electionWait = 15 * time.Second
	repairWait   = 30 * time.Second
	tick         = 20 * time.Millisecond
)

// story is the state that the parts share.
type story struct {
	*narrator

	stage *stage
	user  *checkout

	pushes, killed, repaired, equal int
}

// tell tells the whole story. It fails at the first thing that is not as claimed.
func tell(ctx context.Context, n *narrator) error {
	ctx, cancel := context.WithTimeout(ctx, storyTimeout)
	defer cancel()

	return onStage(ctx, n, func(stage *stage) error {
		user, err := newCheckout(ctx, filepath.Join(stage.Dir(), "user"), stage.remote())
		if err != nil {
			return err
		}

		s := &story{narrator: n, stage: stage, user: user}
		if err := s.showVotes(); err != nil { // Those of the creation.
			return err
		}
		for _, part := range []func(context.Context) error{
			s.firstPushes, s.loseSecondary, s.losePrimary, s.compare, s.cloneBack,
		} {
			if err := part(ctx); err != nil {
				return err
			}
		}
		n.end("demo: ok pushes=%d replicas=%d equal=%d killed=%d repaired=%d",
			s.pushes, len(stage.Nodes()), s.equal, s.killed, s.repaired)

		return nil
	})
}

func (s *story) firstPushes(ctx context.Context) error {
	s.step("Push commits with plain git; the nodes vote on every step")
	if err := s.user.commit(ctx, "README.md", []byte("# demo\n")); err != nil {
		return err
	}
	if err := s.push(ctx, "main"); err != nil {
		return err
	}
	if err := s.showVotes(); err != nil {
		return err
	}

	s.step("Push again: a second commit, a branch and a tag in one push")
	if err := s.user.commit(ctx, "main.go", []byte("package main\n")); err != nil {
		return err
	}
	if err := s.user.git(ctx, "tag", "-m", "first", "v1"); err != nil {
		return err
	}
	if err := s.push(ctx, "main", "main:feature", "v1"); err != nil {
		return err
	}

	return s.showVotes()
}

// loseSecondary kills a secondary while it receives a push.
func (s *story) loseSecondary(ctx context.Context) error {
	before, err := s.stage.metadata(ctx)
	if err != nil {
		return err
	}
	victim, err := s.stage.secondary(before)
	if err != nil {
		return err
	}

	s.step("Kill a secondary, " + victim.Storage + ", in the middle of a push of 32 MiB")
	if err := s.user.commit(ctx, "bulk", random(bulk)); err != nil {
		return err
	}
	result := make(chan error, 1)
	go func() { result <- s.push(ctx, "main") }()

	killed := s.stage.killDuringUpload(ctx, victim)
	if err := <-result; err != nil {
		return err
	}
	if killed != nil {
		return killed
	}
	s.killed++
	s.saw("%s was killed with kill -9 while it received objects; the push succeeded",
		victim.Storage)

	if err := s.requireOutdated(ctx, victim.Storage); err != nil {
		return err
	}

	return s.repair(ctx, victim)
}

// losePrimary kills the primary between two pushes.
func (s *story) losePrimary(ctx context.Context) error {
	before, err := s.stage.metadata(ctx)
	if err != nil {
		return err
	}
	victim, err := s.stage.Node(string(before.Primary))
	if err != nil {
		return err
	}

	s.step("Kill the primary, " + victim.Storage + ", and push at once")
	if err := s.user.commit(ctx, "CHANGES", []byte("the primary is gone\n")); err != nil {
		return err
	}
	if err := victim.Kill(); err != nil {
		return err
	}
	s.killed++

	begin := time.Now()
	if err := s.pushSoon(ctx, "main"); err != nil {
		return err
	}
	after, err := s.stage.metadata(ctx)
	if err != nil {
		return err
	}
	if after.Primary == before.Primary {
		return fmt.Errorf("%s is still the primary", after.Primary)
	}
	s.saw("new primary %s, epoch %d; pushed %.1f s after the kill",
		after.Primary, after.Epoch, time.Since(begin).Seconds())

	if err := s.requireOutdated(ctx, victim.Storage); err != nil {
		return err
	}

	return s.repair(ctx, victim)
}

// repair restarts a node and waits until its replica is current again.
func (s *story) repair(ctx context.Context, node *cluster.Node) error {
	s.step("Restart " + node.Storage + "; its replica is repaired")
	if err := node.Start(ctx); err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(ctx, repairWait)
	defer cancel()
	begin := time.Now()
	err := s.stage.await(ctx, "repair of "+node.Storage, func(m metadata) bool {
		return len(m.current()) == len(s.stage.Nodes())
	})
	if err != nil {
		return err
	}
	s.repaired++
	s.saw("repaired %.1f s after the restart", time.Since(begin).Seconds())

	return s.showReplicas(ctx)
}

func random(size int) []byte {
	source := rand.NewChaCha8([32]byte{1})
	content := make([]byte, size)
	_, _ = source.Read(content) // It never fails.

	return content
}
