package node_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/hooks/node"
	"praefect/proxy/gitalypb"
)

// holdAt makes the coordinator keep the n-th vote to itself; the channel is closed when it has it.
func (c *coordinator) holdAt(at int) <-chan struct{} {
	held := make(chan struct{})
	c.answer(func(ctx context.Context, n int, _ string) (verdict, error) {
		if n == at {
			close(held)
			<-ctx.Done()

			return abort, ctx.Err()
		}

		return commit, nil
	})

	return held
}

// processes returns the processes whose command line mentions the disk.
func (r *rig) processes(t require.TestingT) []string {
	entries, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	var found []string
	for _, entry := range entries {
		line, err := os.ReadFile(entry)
		if err == nil && bytes.Contains(line, []byte(r.dir)) {
			found = append(found, string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
		}
	}

	return found
}

func (r *rig) requireQuiet(t *testing.T) {
	t.Helper()

	require.EventuallyWithT(t, func(c *assert.CollectT) {
		require.Empty(c, r.processes(c))
	}, waitLong, tick)
	r.requireNoLocks(t)
}

// A push waits for its n-th verdict, and then something happens. Up to "prepared" the push is
// undone; afterwards it stands. In any case Git ends by itself, unlocks, and the same reference can
// be written again.
func TestLossesDuringAVote(t *testing.T) {
	t.Parallel()

	names := []string{"pre-receive", "update", "prepared", "committed", "post-receive", "final"}
	for what, happen := range map[string]func(*testing.T, *rig, context.CancelFunc){
		"call is cancelled": func(_ *testing.T, _ *rig, cancel context.CancelFunc) { cancel() },
		"connection is lost": func(t *testing.T, r *rig, _ context.CancelFunc) {
			t.Helper()
			r.disconnect()
		},
		"vote times out": func(*testing.T, *rig, context.CancelFunc) {},
		"node is stopped": func(_ *testing.T, r *rig, _ context.CancelFunc) {
			r.stop()
		},
	} {
		for i, phase := range names {
			t.Run(what+" at "+phase, func(t *testing.T) {
				t.Parallel()

				r := start(t, func(c *node.Config) {
					c.StopTimeout = 10 * time.Millisecond
					if what == "vote times out" {
						c.VoteTimeout = 3 * time.Second // also of the votes that are answered
					}
				})
				repo := r.create(t, "a.git")
				clone, first := newClone(t)
				body := pushBody(t, clone, "", command{zero, first, "refs/heads/topic"})

				held := r.votes.holdAt(i + 1)
				ctx, cancel := context.WithCancel(voting(t.Context(), true))
				defer cancel()
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					_, _ = r.post(ctx, repo, body) // However it ends: see the disk.
				}()
				select {
				case <-held:
				case <-ended:
					require.Fail(t, "ended before the vote")
				}
				happen(t, r, cancel)
				<-ended

				r.requireQuiet(t)
				want := "HEAD refs/heads/main\n"
				if i > 2 {
					want += "refs/heads/topic " + first
				}
				require.Equal(t, want, r.references(t, repo))
				r.writeAgain(t, repo, clone, first)
			})
		}
	}
}

// writeAgain starts over if need be, and pushes to the same reference.
func (r *rig) writeAgain(t *testing.T, repo *gitalypb.Repository, clone, first string) {
	t.Helper()

	r.stop()
	r.votes = newCoordinator()
	r.run(t)
	from := zero
	if strings.Contains(r.references(t, repo), first) {
		from = first
	}
	second := newCommit(t, clone, "second")
	output, err := r.post(voting(t.Context(), true), repo,
		pushBody(t, clone, "", command{from, second, "refs/heads/topic"}))
	require.NoError(t, err)
	require.Contains(t, output, "ok refs/heads/topic")
}

// A client that goes away in the middle of a large upload leaves nothing behind.
func TestAbortedUpload(t *testing.T) {
	t.Parallel()

	r := start(t)
	repo := r.create(t, "a.git")
	clone, _ := newClone(t)
	large := make([]byte, 50<<20)
	_, err := rand.Read(large)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(clone, "large"), large, 0o600))
	runGit(t, clone, "add", "large")
	commit := newCommit(t, clone, "large")
	body := pushBody(t, clone, "", command{zero, commit, "refs/heads/main"})

	for _, part := range []int{1, 2, 3} {
		ctx, cancel := context.WithCancel(voting(t.Context(), true))
		stream, err := gitalypb.NewSmartHTTPServiceClient(r.conn).PostReceivePack(ctx)
		require.NoError(t, err)
		require.NoError(t, stream.Send(
			&gitalypb.PostReceivePackRequest{Repository: repo, GlId: "user-1"}))
		for sent := 0; sent < len(body)*part/4; sent += 1 << 20 {
			require.NoError(t, stream.Send(
				&gitalypb.PostReceivePackRequest{Data: body[sent : sent+1<<20]}))
		}
		cancel()
		_, err = stream.Recv()
		require.Equal(t, codes.Canceled, status.Code(err))
		r.requireQuiet(t)
	}
	r.votes.require(t)

	_, err = r.post(voting(t.Context(), true), repo, body)
	require.NoError(t, err)
	require.Contains(t, r.references(t, repo), commit)
}

// The primary's custom hook decides for all: it stops the transaction.
func TestPrimaryStopsTheTransaction(t *testing.T) {
	t.Parallel()

	for name, at := range map[string]int{"pre-receive": 0, "update": 1, "post-receive": 4} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r := start(t)
			repo := r.create(t, "a.git")
			clone, first := newClone(t)
			hook := filepath.Join(r.path(repo), "custom_hooks", name)
			require.NoError(t, os.MkdirAll(filepath.Dir(hook), 0o755))
			require.NoError(t, os.WriteFile(hook, []byte("#!/bin/sh\nexit 1\n"), 0o755))

			push := command{zero, first, "refs/heads/topic"}
			_, err := r.post(voting(t.Context(), true), repo, pushBody(t, clone, "", push))
			require.NoError(t, err)
			votes := pushVotes(t, false, push)[:at]
			r.votes.require(t, append(votes, "STOP", final)...)
			require.Equal(t, name == "post-receive",
				strings.Contains(r.references(t, repo), first))

			// A secondary does not run it.
			second := newCommit(t, clone, "second")
			next := command{zero, second, "refs/heads/other"}
			_, err = r.post(voting(t.Context(), false), repo, pushBody(t, clone, "", next))
			require.NoError(t, err)
			r.votes.require(t, pushVotes(t, false, next)...)
		})
	}
}

// A custom hook that takes for ever is ended when nobody waits for it.
func TestPusherLeavesDuringCustomHook(t *testing.T) {
	t.Parallel()

	r := start(t)
	repo := r.create(t, "a.git")
	clone, first := newClone(t)
	hook := filepath.Join(r.path(repo), "custom_hooks", "pre-receive")
	require.NoError(t, os.MkdirAll(filepath.Dir(hook), 0o755))
	require.NoError(t, os.WriteFile(hook, fmt.Appendf(nil,
		"#!/bin/sh\n>%s; while :; do sleep 0.1 %s 2>/dev/null || sleep 0.1; done\n",
		filepath.Join(r.dir, "started"), r.dir), 0o755))

	ctx, cancel := context.WithCancel(voting(t.Context(), true))
	defer cancel()
	body := pushBody(t, clone, "", command{zero, first, "refs/heads/topic"})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = r.post(ctx, repo, body)
	}()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		require.FileExists(c, filepath.Join(r.dir, "started"))
	}, waitLong, tick)
	cancel()
	<-ended
	r.requireQuiet(t)
	require.NotContains(t, r.references(t, repo), first)
}

// Without the multiplexed connection there is no way to vote; reading works.
func TestVotingNeedsTheBackchannel(t *testing.T) {
	t.Parallel()

	f := fill(t, start(t))
	other := *f.rig
	other.conn = f.plainWithToken(t)
	f.rig = &other

	err := f.updateReferences(voting(t.Context(), true),
		command{zero, f.first, "refs/heads/new"})
	require.Equal(t, codes.Internal, status.Code(err))
	require.ErrorContains(t, err, "get backchannel: no backchannel for peer 0")
	require.NoError(t, f.updateReferences(t.Context(), command{zero, f.first, "refs/heads/new"}))
	f.requireNoLocks(t)
}

func TestWrongConfiguration(t *testing.T) {
	t.Parallel()

	log := zaptest.NewLogger(t)
	_, err := node.New(node.Config{}, log)
	require.ErrorIs(t, err, node.ErrNotConfigured)
	_, err = node.New(node.Config{
		Storage: storage, Directory: t.TempDir(), HooksBinary: "/nonexistent/praefect-hooks",
	}, log)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = node.New(node.Config{
		Storage: storage, Directory: "/nonexistent", HooksBinary: hooksBinary,
	}, log)
	require.ErrorIs(t, err, os.ErrNotExist)
}
