package main

import (
	"strings"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"praefect/proxy/gitalypb"
)

// references are cases of calls that change references without a push.
func references() []trial {
	return []trial{
		{name: "refs/write", run: writeRefs},
		{name: "refs/head", run: writeHead},
		{name: "refs/update", run: updateRefs},
		{name: "refs/delete", run: deleteRefs},
		{
			name: "refs/languages", run: languages,
			needs: needs{gitaly: "the bundled node tells no languages"},
		},
	}
}

// zeroID stands for a reference that is not there.
var zeroID = strings.Repeat("0", 40)

func (r *repository) writeRef(request *gitalypb.WriteRefRequest) {
	request.Repository = r.proto
	r.mutate(func(options ...grpc.CallOption) error {
		_, err := r.repositories().WriteRef(r.context, request, options...)

		return err
	})
}

// writeRefs sets, changes and deletes a reference, with and without its old value.
func writeRefs(t *take) {
	r := t.create()
	c := t.filled(r)
	one, two := c.git("rev-parse", "stable"), c.git("rev-parse", "main")
	const name = "refs/heads/written"
	for _, step := range []struct{ old, to string }{
		{"", one}, {one, two}, {"", one}, {"", zeroID}, {zeroID, two}, {two, zeroID},
	} {
		r.writeRef(&gitalypb.WriteRefRequest{
			Ref: []byte(name), Revision: []byte(step.to), OldRevision: []byte(step.old),
		})
		want := step.to
		if want == zeroID {
			want = ""
		}
		require.Equal(t, want, r.reference(name), "%s -> %s", step.old, step.to)
	}
}

func writeHead(t *take) {
	r := t.create()
	t.filled(r)
	r.writeRef(&gitalypb.WriteRefRequest{
		Ref: []byte("HEAD"), Revision: []byte("refs/heads/stable"),
	})
	answer, err := gitalypb.NewRefServiceClient(t.stage.conn).FindDefaultBranchName(t.context,
		&gitalypb.FindDefaultBranchNameRequest{Repository: r.proto})
	require.NoError(t, err)
	require.Equal(t, "refs/heads/stable", string(answer.GetName()))
}

func (r *repository) updateReferences(updates ...*gitalypb.UpdateReferencesRequest_Update) {
	r.mutate(func(options ...grpc.CallOption) error {
		stream, err := gitalypb.NewRefServiceClient(r.stage.conn).UpdateReferences(r.context,
			options...)
		if err != nil {
			return err
		}
		err = stream.Send(&gitalypb.UpdateReferencesRequest{Repository: r.proto, Updates: updates})
		if err != nil {
			return err
		}
		_, err = stream.CloseAndRecv()

		return err
	})
}

func update(name, from, to string) *gitalypb.UpdateReferencesRequest_Update {
	return &gitalypb.UpdateReferencesRequest_Update{
		Reference: []byte(name), OldObjectId: []byte(from), NewObjectId: []byte(to),
	}
}

func updateRefs(t *take) {
	r := t.create()
	c := t.filled(r)
	one, two := c.git("rev-parse", "stable"), c.git("rev-parse", "main")
	r.updateReferences(update("refs/heads/a", zeroID, one), update("refs/heads/stable", one, two))
	require.Equal(t, two, r.reference("refs/heads/stable"))
	r.updateReferences(update("refs/heads/a", one, zeroID), update("refs/heads/b", "", two))
	require.Empty(t, r.reference("refs/heads/a"))
	require.Equal(t, two, r.reference("refs/heads/b"))
}

func deleteRefs(t *take) {
	r := t.create()
	t.filled(r)
	for _, request := range []*gitalypb.DeleteRefsRequest{
		{Refs: [][]byte{[]byte("refs/heads/stable"), []byte("refs/heads/never-there")}},
		{ExceptWithPrefix: [][]byte{[]byte("refs/heads/")}},
	} {
		request.Repository = r.proto
		r.mutate(func(options ...grpc.CallOption) error {
			_, err := gitalypb.NewRefServiceClient(t.stage.conn).DeleteRefs(t.context, request,
				options...)

			return err
		})
	}
	require.Empty(t, r.reference("refs/heads/stable"))
	require.Empty(t, r.reference("refs/tags/v1"))
	require.NotEmpty(t, r.reference("refs/heads/main"))
}

// languages is a call that counts as a change, though it is none and nobody votes: no replica may
// fall behind by it, nor any generation rise.
func languages(t *take) {
	r := t.create()
	t.filled(r)
	before, err := r.look()
	require.NoError(t, err)
	for range 3 {
		_, err := gitalypb.NewCommitServiceClient(t.stage.conn).CommitLanguages(t.context,
			&gitalypb.CommitLanguagesRequest{Repository: r.proto, Revision: []byte("main")})
		require.NoError(t, err)
	}
	after, err := r.look()
	require.NoError(t, err)
	require.Equal(t, before, after)
}
