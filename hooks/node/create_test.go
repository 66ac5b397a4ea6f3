package node_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/hooks"
	"praefect/proxy/gitalypb"
)

const emptyConfig = "core.repositoryformatversion=0\ncore.filemode=true\ncore.bare=true\n"

func TestCreateRepository(t *testing.T) {
	t.Parallel()

	r := start(t)
	client := gitalypb.NewRepositoryServiceClient(r.conn)
	repo := &gitalypb.Repository{
		StorageName: storage, RelativePath: "@cluster/repositories/6b/86/1",
	}
	request := &gitalypb.CreateRepositoryRequest{Repository: repo, DefaultBranch: []byte("trunk")}

	_, err := client.CreateRepository(voting(t.Context(), true), request)
	require.NoError(t, err)
	r.votes.require(t, all(hooks.SumText(emptyConfig))...)
	require.Equal(t, "HEAD refs/heads/trunk\n", r.references(t, repo))

	_, err = client.CreateRepository(voting(t.Context(), true), request)
	require.Equal(t, codes.AlreadyExists, status.Code(err))
	r.votes.require(t)

	exists, err := client.RepositoryExists(t.Context(),
		&gitalypb.RepositoryExistsRequest{Repository: repo})
	require.NoError(t, err)
	require.True(t, exists.GetExists())

	remove := &gitalypb.RemoveRepositoryRequest{Repository: repo}
	_, err = client.RemoveRepository(voting(t.Context(), true), remove)
	require.NoError(t, err)
	r.votes.require(t,
		preparing(hooks.SumText("acquiring distributed lock @cluster/repositories/6b/86/1")),
		prepared(hooks.SumText("pre-remove @cluster/repositories/6b/86/1")),
		committed(hooks.SumText("post-remove @cluster/repositories/6b/86/1")))
	require.NoDirExists(t, r.path(repo))

	_, err = client.RemoveRepository(t.Context(), remove)
	require.Equal(t, codes.NotFound, status.Code(err))
	require.ErrorContains(t, err, "repository does not exist")
	r.requireNoLocks(t)
}

func TestCreateInSHA256(t *testing.T) {
	t.Parallel()

	r := start(t)
	repo := &gitalypb.Repository{StorageName: storage, RelativePath: "x"}
	_, err := gitalypb.NewRepositoryServiceClient(r.conn).CreateRepository(
		voting(t.Context(), true), &gitalypb.CreateRepositoryRequest{
			Repository: repo, ObjectFormat: gitalypb.ObjectFormat_OBJECT_FORMAT_SHA256,
		})
	require.NoError(t, err)
	require.Equal(t, "sha256", runGit(t, r.path(repo), "rev-parse", "--show-object-format"))
}

func TestRefusedCreationAndRemoval(t *testing.T) {
	t.Parallel()

	for at, name := range []string{"preparing", "prepared", "committed"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r := start(t)
			client := gitalypb.NewRepositoryServiceClient(r.conn)
			repo := &gitalypb.Repository{StorageName: storage, RelativePath: "a/b.git"}
			r.votes.verdictAt(at+1, abort)
			_, err := client.CreateRepository(voting(t.Context(), false),
				&gitalypb.CreateRepositoryRequest{Repository: repo})
			require.Equal(t, codes.FailedPrecondition, status.Code(err))
			require.ErrorContains(t, err, hooks.ErrAborted.Error())
			r.requireNoLocks(t)
			if name == "committed" { // decided before this node was told
				require.DirExists(t, r.path(repo))
			} else {
				require.NoDirExists(t, r.path(repo))
				r.create(t, "a/b.git")
			}

			r.votes.verdictAt(at+1, abort)
			_, err = client.RemoveRepository(voting(t.Context(), false),
				&gitalypb.RemoveRepositoryRequest{Repository: repo})
			require.Equal(t, codes.Internal, status.Code(err))
			r.requireNoLocks(t)
			_, err = os.Stat(r.path(repo))
			require.Equal(t, name == "committed", os.IsNotExist(err))
		})
	}
}

func TestWrongRepositories(t *testing.T) {
	t.Parallel()

	r := start(t)
	r.create(t, "a.git")
	client := gitalypb.NewRepositoryServiceClient(r.conn)

	at := func(storage, relative string) *gitalypb.Repository {
		return &gitalypb.Repository{StorageName: storage, RelativePath: relative}
	}
	for name, tc := range map[string]struct {
		repo *gitalypb.Repository
		text string
	}{
		"none":          {nil, "repository not set"},
		"no storage":    {at("", "x"), "storage name not set"},
		"no path":       {at(storage, ""), "repository path not set"},
		"other storage": {at("x", "x"), "storage name not found"},
		"outside":       {at(storage, "../x"), "invalid relative path"},
		"absolute":      {at(storage, "/etc"), "invalid relative path"},
		"own":           {at(storage, "+node/x"), "reserved"},
		"nested":        {at(storage, "a.git/refs/x"), "into another repository"},
	} {
		_, err := client.CreateRepository(t.Context(),
			&gitalypb.CreateRepositoryRequest{Repository: tc.repo})
		require.Equal(t, codes.InvalidArgument, status.Code(err), name)
		require.ErrorContains(t, err, tc.text, name)
	}
	for _, branch := range []string{"a..b", "-x", "a b"} {
		_, err := client.CreateRepository(t.Context(), &gitalypb.CreateRepositoryRequest{
			Repository:    &gitalypb.Repository{StorageName: storage, RelativePath: "b.git"},
			DefaultBranch: []byte(branch),
		})
		require.Equal(t, codes.InvalidArgument, status.Code(err), branch)
	}
	_, err := r.post(t.Context(),
		&gitalypb.Repository{StorageName: storage, RelativePath: "missing.git"}, nil)
	require.Equal(t, codes.NotFound, status.Code(err))
	require.ErrorContains(t, err, "repository not found")
}
