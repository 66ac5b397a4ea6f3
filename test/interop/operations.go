package main

import (
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	"praefect/proxy/gitalypb"
)

// operations are cases of changes that the application makes for its users.
func operations() []trial {
	return []trial{
		{name: "operation/branch", run: branchLife},
		{name: "operation/commit-files", run: commitFilesTwice},
		{name: "operation/merge", run: merge},
		{name: "operation/without-timestamp", run: withoutTimestamp},
		{name: "operation/no-such-branch", run: deleteMissing},
	}
}

func (t *take) operations() gitalypb.OperationServiceClient {
	return gitalypb.NewOperationServiceClient(t.stage.conn)
}

// person is whom the application makes changes for.
func person() *gitalypb.User {
	return &gitalypb.User{
		GlId: user, GlUsername: "user", Name: []byte("User"), Email: []byte("user@example.org"),
		Timezone: "UTC",
	}
}

// moment is when the application says that a change is made: without it each node would take its
// own clock.
func moment() *timestamppb.Timestamp { return timestamppb.New(time.Unix(1_700_000_000, 0)) }

func (r *repository) createBranch(name string) {
	r.mutate(func(options ...grpc.CallOption) error {
		_, err := r.operations().UserCreateBranch(r.context, &gitalypb.UserCreateBranchRequest{
			Repository: r.proto, BranchName: []byte(name), StartPoint: []byte("main"),
			User: person(),
		}, options...)

		return err
	})
}

func (r *repository) deleteBranch(name string) {
	r.mutate(func(options ...grpc.CallOption) error {
		_, err := r.operations().UserDeleteBranch(r.context, &gitalypb.UserDeleteBranchRequest{
			Repository: r.proto, BranchName: []byte(name), User: person(),
		}, options...)

		return err
	})
}

func branchLife(t *take) {
	r := t.create()
	c := t.filled(r)
	r.createBranch("topic")
	require.Equal(t, c.git("rev-parse", "main"), r.reference("refs/heads/topic"))
	r.deleteBranch("topic")
	require.Empty(t, r.reference("refs/heads/topic"))
}

// file is what a commit creates or changes.
type file struct {
	action        gitalypb.UserCommitFilesActionHeader_ActionType
	path, content string
}

// commitFiles commits through the application; the time may be nil.
func (r *repository) commitFiles(
	branch string, at *timestamppb.Timestamp, files []file, options ...grpc.CallOption,
) (*gitalypb.UserCommitFilesResponse, error) {
	stream, err := r.operations().UserCommitFiles(r.context, options...)
	if err != nil {
		return nil, err
	}
	header := &gitalypb.UserCommitFilesRequestHeader{
		Repository: r.proto, User: person(), BranchName: []byte(branch),
		CommitMessage: []byte("change of files"), Timestamp: at,
	}
	requests := []*gitalypb.UserCommitFilesRequest{{
		UserCommitFilesRequestPayload: &gitalypb.UserCommitFilesRequest_Header{Header: header},
	}}
	for _, f := range files {
		requests = append(requests, action(&gitalypb.UserCommitFilesAction{
			UserCommitFilesActionPayload: &gitalypb.UserCommitFilesAction_Header{
				Header: &gitalypb.UserCommitFilesActionHeader{
					Action: f.action, FilePath: []byte(f.path),
				},
			},
		}), action(&gitalypb.UserCommitFilesAction{
			UserCommitFilesActionPayload: &gitalypb.UserCommitFilesAction_Content{
				Content: []byte(f.content),
			},
		}))
	}
	for _, request := range requests {
		if stream.Send(request) != nil {
			break // The answer says why.
		}
	}

	return stream.CloseAndRecv()
}

func action(a *gitalypb.UserCommitFilesAction) *gitalypb.UserCommitFilesRequest {
	return &gitalypb.UserCommitFilesRequest{
		UserCommitFilesRequestPayload: &gitalypb.UserCommitFilesRequest_Action{Action: a},
	}
}

// mustCommit commits, and returns the commit.
func (r *repository) mustCommit(branch string, files ...file) string {
	var commit string
	r.mutate(func(options ...grpc.CallOption) error {
		answer, err := r.commitFiles(branch, moment(), files, options...)
		commit = answer.GetBranchUpdate().GetCommitId()

		return err
	})
	require.Equal(r, commit, r.reference("refs/heads/"+branch))

	return commit
}

const (
	create = gitalypb.UserCommitFilesActionHeader_CREATE
	change = gitalypb.UserCommitFilesActionHeader_UPDATE
	remove = gitalypb.UserCommitFilesActionHeader_DELETE
)

// commitFilesTwice begins an empty repository through the application and goes on with it.
func commitFilesTwice(t *take) {
	r := t.create()
	r.mustCommit("main", file{create, "README", "one\n"}, file{create, "dir/a", "a\n"})
	r.mustCommit("main", file{change, "README", "two\n"}, file{remove, "dir/a", ""})

	copied := &checkout{take: t, dir: t.tempDir()}
	_, err := overHTTP(copied, r, "clone", "--quiet", remote, ".")
	require.NoError(t, err)
	require.Equal(t, "two", copied.git("show", "HEAD:README"))
	require.Equal(t, "README", copied.git("ls-tree", "-r", "--name-only", "HEAD"))
}

func merge(t *take) {
	r := t.create()
	r.mustCommit("main", file{create, "base", "base\n"})
	r.createBranch("topic")
	topic := r.mustCommit("topic", file{create, "topic", "topic\n"})
	main := r.mustCommit("main", file{create, "main", "main\n"})

	var commit string
	r.mutate(func(options ...grpc.CallOption) error {
		stream, err := r.operations().UserMergeBranch(r.context, options...)
		if err != nil {
			return err
		}
		if err := stream.Send(&gitalypb.UserMergeBranchRequest{
			Repository: r.proto, User: person(), CommitId: topic, Branch: []byte("main"),
			Message: []byte("merge of topic"), Timestamp: moment(),
		}); err != nil {
			return err
		}
		answer, err := stream.Recv()
		if err != nil {
			return err
		}
		commit = answer.GetCommitId()
		if err := stream.Send(&gitalypb.UserMergeBranchRequest{Apply: true}); err != nil {
			return err
		}
		if err := stream.CloseSend(); err != nil {
			return err
		}
		_, err = all(stream)

		return err
	})
	require.Equal(t, commit, r.reference("refs/heads/main"))

	copied := &checkout{take: t, dir: t.tempDir()}
	_, err := overHTTP(copied, r, "clone", "--quiet", remote, ".")
	require.NoError(t, err)
	require.Equal(t, main+" "+topic, copied.git("log", "-1", "--format=%P"))
}

// withoutTimestamp leaves the time to the nodes: if their clocks show different seconds they make
// different commits. Then either nobody has committed and the client is told so, or those that
// differ are left behind and repaired; but all come to be equal.
func withoutTimestamp(t *take) {
	r := t.create()
	r.mustCommit("main", file{create, "base", "base\n"})
	var trailer metadata.MD
	answer, err := r.commitFiles("main", nil, []file{{create, "more", "more\n"}},
		grpc.Trailer(&trailer))
	if err == nil {
		require.Equal(t, answer.GetBranchUpdate().GetCommitId(), r.reference("refs/heads/main"))
	} else {
		require.Equal(t, []string{"none"}, trailer.Get(outcomeKey), "%v", err)
	}
	r.requireEqual()
	r.mustCommit("main", file{change, "base", "again\n"})
}

// deleteMissing is a change that all nodes refuse: nothing is recorded and nobody falls behind.
func deleteMissing(t *take) {
	r := t.create()
	t.filled(r)
	before, err := r.look()
	require.NoError(t, err)
	_, err = t.operations().UserDeleteBranch(t.context, &gitalypb.UserDeleteBranchRequest{
		Repository: r.proto, BranchName: []byte("missing"), User: person(),
	})
	require.Error(t, err)
	r.requireEqual()
	after, err := r.look()
	require.NoError(t, err)
	require.Equal(t, before, after)
}
