package node_test

import (
	"archive/tar"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/hooks/node"
	"praefect/proxy/gitalypb"
)

// holdPrepared makes the coordinator keep each PREPARED vote to itself, as a proxy does that is
// frozen; the channel gets a value for each.
func (c *coordinator) holdPrepared() <-chan struct{} {
	held := make(chan struct{}, 10)
	c.answer(func(ctx context.Context, _ int, vote string) (verdict, error) {
		if !strings.HasPrefix(vote, "PREPARED ") {
			return commit, nil
		}
		held <- struct{}{}
		<-ctx.Done()

		return abort, ctx.Err()
	})

	return held
}

// TestVoteDeadline lets nobody answer a node that is prepared. When its deadline has passed it
// gives up: nothing is changed or locked, and the same write succeeds with somebody who answers.
func TestVoteDeadline(t *testing.T) {
	t.Parallel()

	for name, write := range map[string]func(context.Context, *testing.T, filled) error{
		"WriteRef": func(ctx context.Context, _ *testing.T, f filled) error {
			_, err := gitalypb.NewRepositoryServiceClient(f.conn).WriteRef(ctx,
				&gitalypb.WriteRefRequest{
					Repository: f.repo, Ref: []byte("refs/heads/new"), Revision: []byte(f.second),
				})

			return err
		},
		"DeleteRefs": func(ctx context.Context, _ *testing.T, f filled) error {
			_, err := gitalypb.NewRefServiceClient(f.conn).DeleteRefs(ctx,
				&gitalypb.DeleteRefsRequest{
					Repository: f.repo, Refs: [][]byte{[]byte("refs/heads/old")},
				})

			return err
		},
		"SetCustomHooks": func(ctx context.Context, t *testing.T, f filled) error {
			t.Helper()

			return f.setCustomHooks(ctx, archive(t,
				entry{"custom_hooks/", tar.TypeDir, 0o755, ""},
				entry{"custom_hooks/update", tar.TypeReg, 0o755, "hook"}))
		},
		"CreateRepository": func(ctx context.Context, _ *testing.T, f filled) error {
			_, err := gitalypb.NewRepositoryServiceClient(f.conn).CreateRepository(ctx,
				&gitalypb.CreateRepositoryRequest{Repository: &gitalypb.Repository{
					StorageName: storage, RelativePath: "new.git",
				}})

			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			f := fill(t, start(t, func(c *node.Config) { c.VoteTimeout = 2 * time.Second }))
			before := f.references(t, f.repo)
			held := f.votes.holdPrepared()
			require.Error(t, write(voting(t.Context(), true), t, f))
			require.NotEmpty(t, held, "it did not come to its PREPARED vote")
			f.requireQuiet(t)
			require.Equal(t, before, f.references(t, f.repo))
			require.Empty(t, f.getCustomHooks(t))
			require.NoDirExists(t, f.path(&gitalypb.Repository{RelativePath: "new.git"}))

			f.votes.verdictAt(0, commit)
			require.NoError(t, write(voting(t.Context(), true), t, f))
			f.requireQuiet(t)
		})
	}
}
