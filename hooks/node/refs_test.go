package node_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/hooks"
	"praefect/proxy/gitalypb"
)

// filled is a rig with a repository in which main has two commits.
type filled struct {
	*rig
	repo          *gitalypb.Repository
	clone         string
	first, second string
}

func fill(t *testing.T, r *rig) filled {
	t.Helper()

	f := filled{rig: r, repo: r.create(t, "a.git")}
	f.clone, f.first = newClone(t)
	f.second = newCommit(t, f.clone, "second")
	_, err := r.post(t.Context(), f.repo, pushBody(t, f.clone, "",
		command{zero, f.second, "refs/heads/main"}, command{zero, f.first, "refs/heads/old"},
		command{zero, f.second, "refs/tags/v1"}))
	require.NoError(t, err)

	return f
}

// updateReferences sends one message for each update.
func (f filled) updateReferences(ctx context.Context, commands ...command) error {
	stream, err := gitalypb.NewRefServiceClient(f.conn).UpdateReferences(ctx)
	if err != nil {
		return err
	}
	repo := f.repo
	for _, c := range commands {
		err := stream.Send(&gitalypb.UpdateReferencesRequest{
			Repository: repo, Updates: []*gitalypb.UpdateReferencesRequest_Update{{
				Reference:   []byte(c.reference),
				OldObjectId: []byte(c.from), NewObjectId: []byte(c.to),
			}},
		})
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		repo = nil
	}
	_, err = stream.CloseAndRecv()

	return err
}

func TestVotesOfReferenceUpdates(t *testing.T) {
	t.Parallel()

	f := fill(t, start(t))
	ctx := voting(t.Context(), true)
	repositories := gitalypb.NewRepositoryServiceClient(f.conn)
	write := func(request *gitalypb.WriteRefRequest) error {
		request.Repository = f.repo
		_, err := repositories.WriteRef(ctx, request)

		return err
	}
	both := func(lines ...string) []string {
		hash := hooks.SumText(strings.Join(lines, ""))

		return []string{prepared(hash), committed(hash)}
	}

	require.NoError(t, f.updateReferences(ctx,
		command{zero, f.first, "refs/heads/new"}, command{f.first, f.second, "refs/heads/old"}))
	f.votes.require(t, both(hooks.UpdateLine(zero, f.first, "refs/heads/new"),
		hooks.UpdateLine(f.first, f.second, "refs/heads/old"))...)

	require.NoError(t, write(&gitalypb.WriteRefRequest{
		Ref: []byte("refs/heads/new"), Revision: []byte("refs/heads/main"),
		OldRevision: []byte(f.first),
	}))
	f.votes.require(t, both(hooks.UpdateLine(f.first, f.second, "refs/heads/new"))...)

	// Without an old value the line has none, whatever the reference was.
	require.NoError(t, write(&gitalypb.WriteRefRequest{
		Ref: []byte("refs/heads/new"), Revision: []byte(f.first),
	}))
	f.votes.require(t, both(hooks.UpdateLine(zero, f.first, "refs/heads/new"))...)

	// Deletions vote when they have an old value.
	require.NoError(t, f.updateReferences(ctx, command{f.first, zero, "refs/heads/new"}))
	f.votes.require(t, both(hooks.UpdateLine(f.first, zero, "refs/heads/new"))...)
	require.NoError(t, f.updateReferences(ctx, command{"", zero, "refs/heads/old"}))
	f.votes.require(t)
	require.NoError(t, write(&gitalypb.WriteRefRequest{
		Ref: []byte("refs/tags/v1"), Revision: []byte(zero),
	}))
	f.votes.require(t)

	require.NoError(t, write(&gitalypb.WriteRefRequest{
		Ref: []byte("HEAD"), Revision: []byte("refs/heads/trunk"),
	}))
	f.votes.require(t, both(hooks.UpdateLine(zero, "ref:refs/heads/trunk", "HEAD"))...)
	require.Equal(t, "HEAD refs/heads/trunk\nrefs/heads/main "+f.second, f.references(t, f.repo))
	f.requireNoLocks(t)
}

func TestVotesOfDeleteRefs(t *testing.T) {
	t.Parallel()

	f := fill(t, start(t))
	client := gitalypb.NewRefServiceClient(f.conn)
	remove := func(request *gitalypb.DeleteRefsRequest) error {
		request.Repository = f.repo
		_, err := client.DeleteRefs(voting(t.Context(), true), request)

		return err
	}

	require.NoError(t, remove(&gitalypb.DeleteRefsRequest{
		Refs: [][]byte{[]byte("refs/tags/v1"), []byte("refs/heads/none")},
	}))
	f.votes.require(t, all(hooks.SumText("refs/tags/v1\nrefs/heads/none\n"))...)
	require.NoError(t, remove(&gitalypb.DeleteRefsRequest{
		ExceptWithPrefix: [][]byte{[]byte("refs/heads/m")},
	}))
	f.votes.require(t, all(hooks.SumText("refs/heads/old\n"))...)
	require.Equal(t, "HEAD refs/heads/main\nrefs/heads/main "+f.second, f.references(t, f.repo))

	for at, want := range []string{"preparing vote: ", "prepared vote: ", "committing vote: "} {
		f.votes.verdictAt(at+1, abort)
		err := remove(&gitalypb.DeleteRefsRequest{Refs: [][]byte{[]byte("refs/heads/main")}})
		require.Equal(t, codes.Internal, status.Code(err))
		require.ErrorContains(t, err, want+hooks.ErrAborted.Error())
		require.Equal(t, at < 2, strings.Contains(f.references(t, f.repo), "refs/heads/main "))
		f.requireNoLocks(t)
	}
}

// detail is the detail of an error.
func detail[T any](t *testing.T, err error) T {
	t.Helper()

	details := status.Convert(err).Details()
	require.Len(t, details, 1, "%v", err)
	typed, ok := details[0].(T)
	require.True(t, ok, "%T", details[0])

	return typed
}

func TestFailingReferenceUpdates(t *testing.T) {
	t.Parallel()

	f := fill(t, start(t))
	lock := filepath.Join(f.path(f.repo), "refs/heads/held.lock")
	require.NoError(t, os.WriteFile(lock, nil, 0o600))

	err := f.updateReferences(t.Context(), command{zero, f.first, "refs/heads/held"})
	require.Equal(t, codes.Aborted, status.Code(err))
	require.Equal(t, "refs/heads/held", string(
		detail[*gitalypb.UpdateReferencesError](t, err).GetReferencesLocked().GetRefs()[0]))

	err = f.updateReferences(t.Context(), command{f.first, f.second, "refs/heads/main"})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	require.Equal(t, "refs/heads/main", string(detail[*gitalypb.UpdateReferencesError](
		t, err).GetReferenceStateMismatch().GetReferenceName()))

	for _, name := range []string{"HEAD", "refs/heads/a..b", "main", "refs/heads/x y"} {
		err = f.updateReferences(t.Context(), command{zero, f.first, name})
		require.Equal(t, codes.InvalidArgument, status.Code(err), name)
		require.Equal(t, name, string(detail[*gitalypb.UpdateReferencesError](
			t, err).GetInvalidFormat().GetRefs()[0]))
	}
	require.Equal(t, codes.InvalidArgument, status.Code(f.updateReferences(t.Context(),
		command{"x", f.first, "refs/heads/x"})))
	require.Equal(t, codes.InvalidArgument, status.Code(f.updateReferences(t.Context(),
		command{zero, "main", "refs/heads/x"})))

	_, err = gitalypb.NewRefServiceClient(f.conn).DeleteRefs(t.Context(),
		&gitalypb.DeleteRefsRequest{Repository: f.repo, Refs: [][]byte{[]byte("refs/heads/held")}})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	require.Len(t, detail[*gitalypb.DeleteRefsError](t, err).GetReferencesLocked().GetRefs(), 1)
	require.NoError(t, os.Remove(lock))

	_, err = gitalypb.NewRepositoryServiceClient(f.conn).WriteRef(t.Context(),
		&gitalypb.WriteRefRequest{
			Repository: f.repo, Ref: []byte("refs/heads/x"), Revision: []byte("refs/heads/none"),
		})
	require.Equal(t, codes.NotFound, status.Code(err))
}

// What votes refuse leaves no trace, in every way of changing references.
func TestRefusedReferenceUpdates(t *testing.T) {
	t.Parallel()

	for name, change := range map[string]func(context.Context, filled) error{
		"update references": func(ctx context.Context, f filled) error {
			return f.updateReferences(ctx, command{f.second, f.first, "refs/heads/main"})
		},
		"write reference": func(ctx context.Context, f filled) error {
			_, err := gitalypb.NewRepositoryServiceClient(f.conn).WriteRef(ctx,
				&gitalypb.WriteRefRequest{
					Repository: f.repo, Ref: []byte("refs/heads/main"), Revision: []byte(f.first),
				})

			return err
		},
		"write HEAD": func(ctx context.Context, f filled) error {
			_, err := gitalypb.NewRepositoryServiceClient(f.conn).WriteRef(ctx,
				&gitalypb.WriteRefRequest{
					Repository: f.repo, Ref: []byte("HEAD"), Revision: []byte("refs/heads/old"),
				})

			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			f := fill(t, start(t))
			before := f.references(t, f.repo)
			for state, code := range map[verdict]codes.Code{
				abort: codes.Aborted, stop: codes.FailedPrecondition, 9: codes.Internal,
			} {
				f.votes.verdictAt(1, state)
				err := change(voting(t.Context(), true), f)
				require.Equal(t, code, status.Code(err), "%v", err)
				require.Equal(t, before, f.references(t, f.repo))
				f.requireNoLocks(t)
			}

			// What is committed already stays, whatever is said about it.
			f.votes.verdictAt(2, abort)
			require.NoError(t, change(voting(t.Context(), true), f))
			require.NotEqual(t, before, f.references(t, f.repo))
		})
	}
}

func TestReadReferences(t *testing.T) {
	t.Parallel()

	f := fill(t, start(t))
	client := gitalypb.NewRefServiceClient(f.conn)
	for name, want := range map[string]bool{
		"refs/heads/main": true, "refs/tags/v1": true, "refs/heads/none": false,
	} {
		answer, err := client.RefExists(t.Context(),
			&gitalypb.RefExistsRequest{Repository: f.repo, Ref: []byte(name)})
		require.NoError(t, err)
		require.Equal(t, want, answer.GetValue(), name)
	}
	_, err := client.RefExists(t.Context(),
		&gitalypb.RefExistsRequest{Repository: f.repo, Ref: []byte("main")})
	require.Equal(t, codes.InvalidArgument, status.Code(err))

	branch := func(headOnly bool) string {
		answer, err := client.FindDefaultBranchName(t.Context(),
			&gitalypb.FindDefaultBranchNameRequest{Repository: f.repo, HeadOnly: headOnly})
		require.NoError(t, err)

		return string(answer.GetName())
	}
	require.Equal(t, "refs/heads/main", branch(false))
	runGit(t, f.path(f.repo), "symbolic-ref", "HEAD", "refs/heads/unborn")
	require.Equal(t, "refs/heads/unborn", branch(true))
	require.Equal(t, "refs/heads/main", branch(false))
	runGit(t, f.path(f.repo), "update-ref", "-d", "refs/heads/main")
	require.Equal(t, "refs/heads/old", branch(false))
	runGit(t, f.path(f.repo), "update-ref", "-d", "refs/heads/old")
	require.Empty(t, branch(false))
}

// listRefs returns what a request lists, and the token of the following page.
func (f filled) listRefs(t *testing.T, request *gitalypb.ListRefsRequest) ([]string, error) {
	t.Helper()

	request.Repository = f.repo
	stream, err := gitalypb.NewRefServiceClient(f.conn).ListRefs(t.Context(), request)
	require.NoError(t, err)
	var found []string
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		for _, r := range response.GetReferences() {
			found = append(found, string(r.GetName())+" "+r.GetTarget())
		}
		if next := response.GetPaginationCursor().GetNextCursor(); next != "" {
			found = append(found, "next "+next)
		}
	}
}

func TestListRefs(t *testing.T) {
	t.Parallel()

	f := fill(t, start(t))
	head, main := "HEAD "+f.second, "refs/heads/main "+f.second
	old, tag := "refs/heads/old "+f.first, "refs/tags/v1 "+f.second
	patterns := [][]byte{[]byte("refs/")}

	for name, tc := range map[string]struct {
		request *gitalypb.ListRefsRequest
		want    []string
	}{
		"all": {&gitalypb.ListRefsRequest{Patterns: patterns}, []string{main, old, tag}},
		"and HEAD": {
			&gitalypb.ListRefsRequest{Patterns: patterns, Head: true},
			[]string{head, main, old, tag},
		},
		"tags": {
			&gitalypb.ListRefsRequest{Patterns: [][]byte{[]byte("refs/tags/")}}, []string{tag},
		},
		"backwards": {
			&gitalypb.ListRefsRequest{Patterns: patterns, SortBy: &gitalypb.ListRefsRequest_SortBy{
				Direction: gitalypb.SortDirection_DESCENDING,
			}}, []string{tag, old, main},
		},
		"pointing at": {&gitalypb.ListRefsRequest{
			Patterns: patterns, PointingAtOids: [][]byte{[]byte(f.first)},
		}, []string{old}},
		"without some": {&gitalypb.ListRefsRequest{
			Patterns: patterns, ExcludePatterns: [][]byte{[]byte("refs/heads")},
		}, []string{tag}},
		"first page": {&gitalypb.ListRefsRequest{
			Patterns: patterns, PaginationParams: &gitalypb.PaginationParameter{Limit: 2},
		}, []string{main, old, "next refs/heads/old"}},
		"second page": {&gitalypb.ListRefsRequest{
			Patterns:         patterns,
			PaginationParams: &gitalypb.PaginationParameter{Limit: 2, PageToken: "refs/heads/old"},
		}, []string{tag}},
		"none": {&gitalypb.ListRefsRequest{Patterns: [][]byte{[]byte("refs/none/")}}, nil},
	} {
		found, err := f.listRefs(t, tc.request)
		require.NoError(t, err, name)
		require.Empty(t, cmp.Diff(tc.want, found), name)
	}
}

func TestWrongListRefs(t *testing.T) {
	t.Parallel()

	f := fill(t, start(t))
	patterns := [][]byte{[]byte("refs/")}
	for _, wrong := range []*gitalypb.ListRefsRequest{
		{},
		{Patterns: patterns, PointingAtOids: [][]byte{[]byte("--format=x")}},
		{Patterns: patterns, PaginationParams: &gitalypb.PaginationParameter{PageToken: "x"}},
		{Patterns: patterns, SortBy: &gitalypb.ListRefsRequest_SortBy{Key: 9}},
	} {
		_, err := f.listRefs(t, wrong)
		require.Equal(t, codes.InvalidArgument, status.Code(err), "%v", err)
	}
}
