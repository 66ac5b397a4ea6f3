package e2e_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/proxy/gitalypb"
)

// TestDeletionWithoutOldValue deletes references without saying what they were. Git does not ask
// the hook about such deletions, so no node votes; a secondary that fails meanwhile must not stay
// recorded as current nevertheless, and is repaired.
//
// Requirements: T189
func TestDeletionWithoutOldValue(t *testing.T) {
	t.Parallel()

	zero := strings.Repeat("0", 40)

	for name, remove := range map[string]func(context.Context, *repository) error{
		"WriteRef": func(ctx context.Context, repo *repository) error {
			_, err := gitalypb.NewRepositoryServiceClient(repo.rig.conn).WriteRef(ctx,
				&gitalypb.WriteRefRequest{
					Repository: repo.proto,
					Ref:        []byte("refs/heads/feature"), Revision: []byte(zero),
				})

			return err
		},
		"UpdateReferences": func(ctx context.Context, repo *repository) error {
			stream, err := gitalypb.NewRefServiceClient(repo.rig.conn).UpdateReferences(ctx)
			if err != nil {
				return err
			}
			err = stream.Send(&gitalypb.UpdateReferencesRequest{
				Repository: repo.proto,
				Updates: []*gitalypb.UpdateReferencesRequest_Update{{
					Reference: []byte("refs/heads/feature"), NewObjectId: []byte(zero),
				}},
			})
			if err != nil {
				return err
			}
			_, err = stream.CloseAndRecv()

			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testDeletion(t, remove)
		})
	}
}

func testDeletion(t *testing.T, remove func(context.Context, *repository) error) {
	t.Helper()

	r := startRig(t, withPatience)

	prepare := func() *repository {
		repo := r.createRepository(t)
		user := newCheckout(t, repo.remote())
		user.commit(t, "file", "one")
		user.mustGit(t, "push", "origin", "main", "main:feature")
		repo.waitCurrent(t)

		return repo
	}

	// While all are well, all take part.
	repo := prepare()
	require.NoError(t, remove(t.Context(), repo))
	require.Len(t, repo.metadata(t).current(), len(r.Nodes()))
	repo.waitConverged(t)

	// A frozen secondary gets the call and does not answer.
	repo = prepare()
	frozen := repo.secondary(t)
	require.NoError(t, frozen.Process().Pause())
	require.NoError(t, remove(t.Context(), repo))
	require.NotContains(t, repo.metadata(t).current(), frozen.Storage)
	repo.requireConsistent(t)
	heal(t, frozen)
	repo.waitConverged(t)
	require.Empty(t, reference(t, frozen, repo.replicaPath, "refs/heads/feature"))

	// A dead one does not even get it.
	repo = prepare()
	dead := repo.secondary(t)
	require.NoError(t, dead.Kill())
	require.NoError(t, remove(t.Context(), repo))
	require.NotContains(t, repo.metadata(t).current(), dead.Storage)
	repo.requireConsistent(t)
	heal(t, dead)
	repo.waitConverged(t)
	require.Empty(t, reference(t, dead, repo.replicaPath, "refs/heads/feature"))
}
