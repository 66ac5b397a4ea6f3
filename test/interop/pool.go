package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"praefect/proxy/gitalypb"
)

// pools are cases of repositories whose objects others borrow.
func pools() []trial {
	return []trial{{name: "pool/life", run: poolLife}}
}

func (t *take) objectPools() gitalypb.ObjectPoolServiceClient {
	return gitalypb.NewObjectPoolServiceClient(t.stage.conn)
}

// newPool makes a pool of a repository.
func (t *take) newPool(origin *repository) *repository {
	// The form is that of pools, which nodes recognise.
	name := fmt.Sprintf("%064x", rand.Uint64())
	p := &repository{take: t, proto: &gitalypb.Repository{
		StorageName:  t.stage.VirtualStorage(),
		RelativePath: fmt.Sprintf("@pools/%s/%s/%s.git", name[:2], name[2:4], name),
	}}
	p.mutate(func(options ...grpc.CallOption) error {
		_, err := t.objectPools().CreateObjectPool(t.context, &gitalypb.CreateObjectPoolRequest{
			ObjectPool: p.pool(), Origin: origin.proto,
		}, options...)

		return err
	})

	return p
}

func (r *repository) pool() *gitalypb.ObjectPool {
	return &gitalypb.ObjectPool{Repository: r.proto}
}

func (r *repository) link(pool *repository) {
	r.mutate(func(options ...grpc.CallOption) error {
		_, err := r.objectPools().LinkRepositoryToObjectPool(r.context,
			&gitalypb.LinkRepositoryToObjectPoolRequest{
				Repository: r.proto, ObjectPool: pool.pool(),
			}, options...)

		return err
	})
}

func (r *repository) disconnect() {
	r.mutate(func(options ...grpc.CallOption) error {
		_, err := r.objectPools().DisconnectGitAlternates(r.context,
			&gitalypb.DisconnectGitAlternatesRequest{Repository: r.proto}, options...)

		return err
	})
}

// fetchFrom brings a pool up to date.
func (r *repository) fetchFrom(origin *repository) {
	r.mutate(func(options ...grpc.CallOption) error {
		_, err := r.objectPools().FetchIntoObjectPool(r.context,
			&gitalypb.FetchIntoObjectPoolRequest{ObjectPool: r.pool(), Origin: origin.proto},
			options...)

		return err
	})
}

// poolLife makes a pool of a repository, links it and a fork, brings it up to date, and ends all.
func poolLife(t *take) {
	origin, forked := fork(t)
	p := t.newPool(origin)
	origin.link(p)
	forked.link(p)
	answer, err := t.objectPools().GetObjectPool(t.context,
		&gitalypb.GetObjectPoolRequest{Repository: forked.proto})
	require.NoError(t, err)
	require.Equal(t, p.proto.GetRelativePath(),
		answer.GetObjectPool().GetRepository().GetRelativePath())

	c := t.checkout()
	c.commit("more", "more\n")
	_, err = overHTTP(c, origin, "push", "--quiet", remote, "main:more")
	require.NoError(t, err)
	p.fetchFrom(origin)

	forked.disconnect()
	answer, err = t.objectPools().GetObjectPool(t.context,
		&gitalypb.GetObjectPoolRequest{Repository: forked.proto})
	require.NoError(t, err)
	require.Nil(t, answer.GetObjectPool())
	copied := &checkout{take: t, dir: t.tempDir()}
	_, err = overHTTP(copied, forked, "clone", "--quiet", remote, ".")
	require.NoError(t, err)
	copied.git("fsck", "--full", "--no-progress")

	origin.disconnect()
	_, err = t.objectPools().DeleteObjectPool(t.context,
		&gitalypb.DeleteObjectPoolRequest{ObjectPool: p.pool()})
	require.NoError(t, err)
}
