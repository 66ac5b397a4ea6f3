package main

import (
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/proxy/gitalypb"
)

// creations are cases of repositories that come and go.
func creations() []trial {
	return []trial{
		{name: "creation/empty", run: func(t *take) { t.create() }},
		{name: "creation/twice", run: createTwice},
		{name: "creation/removal", run: removeRepository},
	}
}

func createTwice(t *take) {
	r := t.create()
	_, err := t.repositories().CreateRepository(t.context,
		&gitalypb.CreateRepositoryRequest{Repository: r.proto})
	require.Equal(t, codes.AlreadyExists, status.Code(err), "%v", err)
	r.requireEqual()
}

func removeRepository(t *take) {
	r := t.create()
	t.filled(r)
	before, err := r.look()
	require.NoError(t, err)

	_, err = t.repositories().RemoveRepository(t.context,
		&gitalypb.RemoveRepositoryRequest{Repository: r.proto})
	require.NoError(t, err)
	answer, err := t.repositories().RepositoryExists(t.context,
		&gitalypb.RepositoryExistsRequest{Repository: r.proto})
	require.NoError(t, err)
	require.False(t, answer.GetExists())
	for _, node := range t.stage.Nodes() {
		require.NoDirExists(t, node.Path(before.path), node.Storage)
	}

	r.mutate(func(options ...grpc.CallOption) error {
		_, err := t.repositories().CreateRepository(t.context,
			&gitalypb.CreateRepositoryRequest{Repository: r.proto}, options...)

		return err
	})
}
