package node_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/hooks"
	"praefect/proxy/gitalypb"
)

func TestObjectPool(t *testing.T) {
	t.Parallel()

	f := fill(t, start(t))
	ctx := voting(t.Context(), true)
	client := gitalypb.NewObjectPoolServiceClient(f.conn)
	pool := &gitalypb.ObjectPool{Repository: &gitalypb.Repository{
		StorageName: storage, RelativePath: "@cluster/pools/6b/86/1",
	}}

	_, err := client.CreateObjectPool(ctx,
		&gitalypb.CreateObjectPoolRequest{ObjectPool: pool, Origin: f.repo})
	require.NoError(t, err)
	references := hooks.SumText(hooks.UpdateLine(zero, f.second, "refs/heads/main") +
		hooks.UpdateLine(zero, f.first, "refs/heads/old") +
		hooks.UpdateLine(zero, f.second, "refs/tags/v1"))
	creation := hooks.SumText(emptyConfig + "HEAD " + f.second + " refs/heads/main\n" +
		"refs/heads/main " + f.second + " \nrefs/heads/old " + f.first + " \n" +
		"refs/tags/v1 " + f.second + " \n")
	head := hooks.SumText(hooks.UpdateLine(zero, "ref:refs/heads/main", "HEAD"))
	f.votes.require(t, append([]string{
		prepared(references), prepared(references), prepared(head), committed(head),
	}, all(creation)...)...)
	require.Equal(t, f.references(t, f.repo), f.references(t, pool.GetRepository()))

	link := &gitalypb.LinkRepositoryToObjectPoolRequest{ObjectPool: pool, Repository: f.repo}
	_, err = client.LinkRepositoryToObjectPool(ctx, link)
	require.NoError(t, err)
	content, err := os.ReadFile(filepath.Join(f.path(f.repo), "objects/info/alternates"))
	require.NoError(t, err)
	require.Equal(t, "../../@cluster/pools/6b/86/1/objects\n", string(content))
	f.votes.require(t, preparing(hooks.LockingFile()),
		prepared(hooks.Sum(content)), committed(hooks.Sum(content)))
	_, err = client.LinkRepositoryToObjectPool(ctx, link)
	require.NoError(t, err)
	f.votes.require(t, synchronized(hooks.SumText("repository linked")))

	answer, err := client.GetObjectPool(t.Context(),
		&gitalypb.GetObjectPoolRequest{Repository: f.repo})
	require.NoError(t, err)
	require.Equal(t, pool.GetRepository().GetRelativePath(),
		answer.GetObjectPool().GetRepository().GetRelativePath())

	// With its own objects gone, the repository lives on the pool's.
	for _, pattern := range []string{"??", "pack/*"} {
		own, err := filepath.Glob(filepath.Join(f.path(f.repo), "objects", pattern))
		require.NoError(t, err)
		for _, path := range own {
			require.NoError(t, os.RemoveAll(path))
		}
	}
	runGit(t, f.path(f.repo), "fsck", "--strict")

	f.disconnect(t, client)
	for range 2 { // What is absent is deleted.
		_, err = client.DeleteObjectPool(t.Context(),
			&gitalypb.DeleteObjectPoolRequest{ObjectPool: pool})
		require.NoError(t, err)
	}
	f.votes.require(t)
	require.NoDirExists(t, f.path(pool.GetRepository()))
	runGit(t, f.path(f.repo), "fsck", "--strict")
	f.requireNoLocks(t)
}

func TestPoolOfAnEmptyRepository(t *testing.T) {
	t.Parallel()

	r := start(t)
	origin := r.create(t, "empty.git")
	pool := &gitalypb.Repository{StorageName: storage, RelativePath: "@cluster/pools/6b/86/1"}
	_, err := gitalypb.NewObjectPoolServiceClient(r.conn).CreateObjectPool(
		voting(t.Context(), true), &gitalypb.CreateObjectPoolRequest{
			ObjectPool: &gitalypb.ObjectPool{Repository: pool}, Origin: origin,
		})
	require.NoError(t, err)
	head := hooks.SumText(hooks.UpdateLine(zero, "ref:refs/heads/main", "HEAD"))
	r.votes.require(t, append(
		[]string{prepared(head), committed(head)}, all(hooks.SumText(emptyConfig))...)...)
}

// disconnect ends the borrowing of the repository.
func (f filled) disconnect(t *testing.T, client gitalypb.ObjectPoolServiceClient) {
	t.Helper()

	request := &gitalypb.DisconnectGitAlternatesRequest{Repository: f.repo}
	_, err := client.DisconnectGitAlternates(voting(t.Context(), true), request)
	require.NoError(t, err)
	f.votes.require(t, append(all(hooks.SumText("migrate objects")),
		all(hooks.SumText("disconnect alternate"))...)...)
	require.NoFileExists(t, filepath.Join(f.path(f.repo), "objects/info/alternates"))

	_, err = client.DisconnectGitAlternates(voting(t.Context(), true), request)
	require.NoError(t, err)
	f.votes.require(t, synchronized(hooks.SumText("no alternates")))
	answer, err := client.GetObjectPool(t.Context(),
		&gitalypb.GetObjectPoolRequest{Repository: f.repo})
	require.NoError(t, err)
	require.Nil(t, answer.GetObjectPool())
}

func TestRefusedPools(t *testing.T) {
	t.Parallel()

	f := fill(t, start(t))
	ctx := voting(t.Context(), false)
	client := gitalypb.NewObjectPoolServiceClient(f.conn)
	pool := &gitalypb.ObjectPool{Repository: &gitalypb.Repository{
		StorageName: storage, RelativePath: "@cluster/pools/6b/86/1",
	}}
	create := func() error {
		_, err := client.CreateObjectPool(ctx,
			&gitalypb.CreateObjectPoolRequest{ObjectPool: pool, Origin: f.repo})

		return err
	}
	link := func() error {
		_, err := client.LinkRepositoryToObjectPool(ctx,
			&gitalypb.LinkRepositoryToObjectPoolRequest{ObjectPool: pool, Repository: f.repo})

		return err
	}

	for at := 1; at <= 6; at++ {
		f.votes.verdictAt(at, abort)
		require.Equal(t, codes.FailedPrecondition, status.Code(create()), "vote %d", at)
		require.NoDirExists(t, f.path(pool.GetRepository()))
		f.requireNoLocks(t)
	}
	require.Equal(t, codes.NotFound, status.Code(link()), "no pool")
	f.votes.verdictAt(0, commit)
	require.NoError(t, create())
	for at := 1; at <= 2; at++ {
		f.votes.verdictAt(at, abort)
		require.Equal(t, codes.Aborted, status.Code(link()), "vote %d", at)
		require.NoFileExists(t, filepath.Join(f.path(f.repo), "objects/info/alternates"))
		f.requireNoLocks(t)
	}
	_, err := client.LinkRepositoryToObjectPool(ctx, &gitalypb.LinkRepositoryToObjectPoolRequest{
		ObjectPool: pool, Repository: pool.GetRepository(),
	})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}

// A member is copied without what the pool has, where the pool is there too.
func TestReplicateMemberOfPool(t *testing.T) {
	t.Parallel()

	p := newPair(t)
	client := gitalypb.NewObjectPoolServiceClient(p.conn)
	member, place := p.repo, p.copy
	pool := &gitalypb.Repository{StorageName: storage, RelativePath: "@cluster/pools/6b/86/1"}
	_, err := client.CreateObjectPool(t.Context(), &gitalypb.CreateObjectPoolRequest{
		ObjectPool: &gitalypb.ObjectPool{Repository: pool}, Origin: member,
	})
	require.NoError(t, err)
	_, err = client.LinkRepositoryToObjectPool(t.Context(),
		&gitalypb.LinkRepositoryToObjectPoolRequest{
			ObjectPool: &gitalypb.ObjectPool{Repository: pool}, Repository: member,
		})
	require.NoError(t, err)

	p.repo = pool
	p.copy = &gitalypb.Repository{StorageName: otherStorage, RelativePath: pool.GetRelativePath()}
	require.NoError(t, p.replicate(t.Context()))
	p.requireEqual(t)
	p.repo, p.copy = member, place
	require.NoError(t, p.replicate(t.Context()))
	p.requireEqual(t)

	answer, err := gitalypb.NewObjectPoolServiceClient(p.target.conn).GetObjectPool(t.Context(),
		&gitalypb.GetObjectPoolRequest{Repository: p.copy})
	require.NoError(t, err)
	require.Equal(t, pool.GetRelativePath(),
		answer.GetObjectPool().GetRepository().GetRelativePath())
	require.True(t, strings.HasPrefix(
		runGit(t, p.target.path(p.copy), "count-objects"), "0 objects"), "objects were copied")
}
