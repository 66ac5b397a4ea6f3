package native_test

import (
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"praefect/proxy/gitalypb"
)

// refused asserts code and text of an answer.
func refused(t *testing.T, err error, code codes.Code, text string) {
	t.Helper()
	require.Equal(t, code, status.Code(err))
	require.Equal(t, text, status.Convert(err).Message())
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	c := setup(t)
	repo := c.create(t, repoPath)
	client := gitalypb.NewPraefectInfoServiceClient(c.client)
	byPath := func(virtualStorage string) *gitalypb.GetRepositoryMetadataRequest {
		return &gitalypb.GetRepositoryMetadataRequest{
			Query: &gitalypb.GetRepositoryMetadataRequest_Path_{
				Path: &gitalypb.GetRepositoryMetadataRequest_Path{
					VirtualStorage: virtualStorage, RelativePath: repoPath,
				},
			},
		}
	}
	replica := func(storage string) *gitalypb.GetRepositoryMetadataResponse_Replica {
		return &gitalypb.GetRepositoryMetadataResponse_Replica{
			Storage: storage, Assigned: true, Healthy: true, ValidPrimary: true,
		}
	}
	want := &gitalypb.GetRepositoryMetadataResponse{
		RepositoryId: int64(repo.ID), VirtualStorage: "default", RelativePath: repoPath,
		ReplicaPath: repo.ReplicaPath, Primary: "a",
		Replicas: []*gitalypb.GetRepositoryMetadataResponse_Replica{replica("a"), replica("b")},
	}
	for _, request := range []*gitalypb.GetRepositoryMetadataRequest{
		byPath("default"),
		{Query: &gitalypb.GetRepositoryMetadataRequest_RepositoryId{RepositoryId: int64(repo.ID)}},
	} {
		answer, err := client.GetRepositoryMetadata(t.Context(), request)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(want, answer, protocmp.Transform()))
	}
	_, err := client.GetRepositoryMetadata(t.Context(), byPath("none"))
	refused(t, err, codes.NotFound, "repository not found")
	_, err = client.GetRepositoryMetadata(t.Context(), &gitalypb.GetRepositoryMetadataRequest{})
	refused(t, err, codes.Internal, "unknown query type: <nil>")
}

// losses lists what the server streams.
func (c *cluster) losses(
	t *testing.T, request *gitalypb.DatalossRequest,
) ([]*gitalypb.DatalossResponse_Repository, error) {
	t.Helper()
	stream, err := gitalypb.NewPraefectInfoServiceClient(c.client).Dataloss(t.Context(), request)
	require.NoError(t, err)
	var found []*gitalypb.DatalossResponse_Repository
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return found, err
		}
		found = append(found, answer.GetRepositories()...)
	}
}

func TestAcceptedLoss(t *testing.T) {
	t.Parallel()
	c := setup(t)
	c.create(t, repoPath)
	client := gitalypb.NewPraefectInfoServiceClient(c.client)
	request := &gitalypb.DatalossRequest{
		VirtualStorage: "default", IncludePartiallyReplicated: true,
	}
	found, err := c.losses(t, request)
	require.NoError(t, err)
	require.Empty(t, found)

	accept := func(virtualStorage, path, storage string) error {
		_, err := client.SetAuthoritativeStorage(t.Context(),
			&gitalypb.SetAuthoritativeStorageRequest{
				VirtualStorage: virtualStorage, RelativePath: path, AuthoritativeStorage: storage,
			})
		return err
	}
	require.NoError(t, accept("default", repoPath, "b"))
	found, err = c.losses(t, request)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "b", found[0].GetPrimary())
	require.EqualValues(t, 1, found[0].GetStorages()[0].GetBehindBy())
	request.IncludePartiallyReplicated = false
	found, err = c.losses(t, request)
	require.NoError(t, err)
	require.Empty(t, found, "it is available on one")

	c.servers["b"].silent = true
	require.NoError(t, accept("default", repoPath, "b"), "the metadata know of it")

	c.servers["a"].gone = true
	refused(t, accept("default", repoPath, "a"), codes.FailedPrecondition,
		`the repository is not on the disk of "a"`)
	refused(t, accept("none", repoPath, "a"), codes.InvalidArgument,
		`unknown virtual storage: "none"`)
	refused(t, accept("default", repoPath, "none"), codes.InvalidArgument,
		`unknown authoritative storage: "none"`)
	refused(t, accept("default", "none.git", "a"), codes.InvalidArgument,
		"repository does not exist on virtual storage")
	_, err = c.losses(t, &gitalypb.DatalossRequest{VirtualStorage: "none"})
	refused(t, err, codes.Internal, `unknown virtual storage: "none"`)
}

func TestReplicationFactor(t *testing.T) {
	t.Parallel()
	c := setup(t)
	c.create(t, repoPath)
	client := gitalypb.NewPraefectInfoServiceClient(c.client)
	set := func(virtualStorage, path string, factor int32) ([]string, error) {
		answer, err := client.SetReplicationFactor(t.Context(),
			&gitalypb.SetReplicationFactorRequest{
				VirtualStorage: virtualStorage, RelativePath: path, ReplicationFactor: factor,
			})
		return answer.GetStorages(), err
	}
	for _, change := range []struct {
		factor int32
		want   []string
	}{{1, []string{"a"}}, {2, []string{"a", "b"}}} {
		assigned, err := set("default", repoPath, change.factor)
		require.NoError(t, err)
		require.Equal(t, change.want, assigned)
	}
	const (
		prefix  = "set replication factor: "
		tooMany = "attempted to set replication factor 3 " +
			"but virtual storage only contains 2 storages"
	)
	for text, call := range map[string]func() ([]string, error){
		"attempted to set replication factor 0 but minimum is 1": func() ([]string, error) {
			return set("default", repoPath, 0)
		},
		tooMany: func() ([]string, error) { return set("default", repoPath, 3) },
		`virtual storage "none" not found`: func() ([]string, error) {
			return set("none", repoPath, 1)
		},
		`repository "default"/"none.git" not found`: func() ([]string, error) {
			return set("default", "none.git", 1)
		},
	} {
		_, err := call()
		refused(t, err, codes.InvalidArgument, prefix+text)
	}
}

func TestMarkUnverified(t *testing.T) {
	t.Parallel()
	c := setup(t)
	client := gitalypb.NewPraefectInfoServiceClient(c.client)
	answer, err := client.MarkUnverified(t.Context(), &gitalypb.MarkUnverifiedRequest{
		Selector: &gitalypb.MarkUnverifiedRequest_VirtualStorage{VirtualStorage: "default"},
	})
	require.NoError(t, err)
	require.Zero(t, answer.GetReplicasMarked())
	_, err = client.MarkUnverified(t.Context(), &gitalypb.MarkUnverifiedRequest{})
	refused(t, err, codes.Internal, "unknown selector: <nil>")
}

func TestReplicas(t *testing.T) {
	t.Parallel()
	c := setup(t)
	c.create(t, repoPath)
	client := gitalypb.NewPraefectInfoServiceClient(c.client)
	answer, err := client.RepositoryReplicas(t.Context(),
		&gitalypb.RepositoryReplicasRequest{Repository: message(repoPath)})
	require.NoError(t, err)
	require.Equal(t, "a", answer.GetPrimary().GetRepository().GetStorageName())
	require.Equal(t, "checksum", answer.GetPrimary().GetChecksum())
	require.Len(t, answer.GetReplicas(), 1)
	require.Equal(t, repoPath, answer.GetReplicas()[0].GetRepository().GetRelativePath())
	_, err = client.RepositoryReplicas(t.Context(),
		&gitalypb.RepositoryReplicasRequest{Repository: message("none.git")})
	refused(t, err, codes.Internal, "get repository id: repository not found")
}
