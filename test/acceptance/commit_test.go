package acceptance_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"praefect/proxy/gitalypb"
)

// commit is a call that commits a file, of which nodes know so far to which repository.
type commit = gitalypb.OperationService_UserCommitFilesClient

// commitReadme commits a file as GitLab does when a project is created with one.
func commitReadme(
	t *testing.T, conn grpc.ClientConnInterface, repository *gitalypb.Repository, content string,
) string {
	t.Helper()

	return finishCommit(t, beginCommit(t, conn, repository), content)
}

// beginCommit opens a call that lasts until it is finished.
func beginCommit(
	t *testing.T, conn grpc.ClientConnInterface, repository *gitalypb.Repository,
) commit {
	t.Helper()
	stream, err := gitalypb.NewOperationServiceClient(conn).UserCommitFiles(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&gitalypb.UserCommitFilesRequest{
		UserCommitFilesRequestPayload: &gitalypb.UserCommitFilesRequest_Header{
			Header: &gitalypb.UserCommitFilesRequestHeader{
				Repository: repository, BranchName: []byte("main"),
				User: &gitalypb.User{
					GlId: "user-1", GlUsername: "user", Name: []byte("User"),
					Email: []byte("user@example.org"), Timezone: "UTC",
				},
				CommitMessage: []byte("Initial commit"), Timestamp: timestamppb.Now(),
			},
		},
	}))

	return stream
}

// finishCommit sends the file and returns the commit.
func finishCommit(t *testing.T, stream commit, content string) string {
	t.Helper()
	for _, action := range []*gitalypb.UserCommitFilesAction{
		{UserCommitFilesActionPayload: &gitalypb.UserCommitFilesAction_Header{
			Header: &gitalypb.UserCommitFilesActionHeader{
				Action:   gitalypb.UserCommitFilesActionHeader_CREATE,
				FilePath: []byte("README.md"),
			},
		}},
		{UserCommitFilesActionPayload: &gitalypb.UserCommitFilesAction_Content{
			Content: []byte(content),
		}},
	} {
		require.NoError(t, stream.Send(&gitalypb.UserCommitFilesRequest{
			UserCommitFilesRequestPayload: &gitalypb.UserCommitFilesRequest_Action{Action: action},
		}))
	}
	answer, err := stream.CloseAndRecv()
	require.NoError(t, err)
	require.NotNil(t, answer.GetBranchUpdate(), answer)

	return answer.GetBranchUpdate().GetCommitId()
}
