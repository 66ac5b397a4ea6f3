package node_test

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"praefect/hooks"
	"praefect/proxy/auth"
	"praefect/proxy/gitalypb"
)

func TestCalculateChecksum(t *testing.T) {
	t.Parallel()

	f := fill(t, start(t))
	client := gitalypb.NewRepositoryServiceClient(f.conn)
	checksum := func() string {
		answer, err := client.CalculateChecksum(t.Context(),
			&gitalypb.CalculateChecksumRequest{Repository: f.repo})
		require.NoError(t, err)

		return answer.GetChecksum()
	}
	combine := func(lines ...string) string {
		total := new(big.Int)
		for _, line := range lines {
			sum := hooks.SumText(line)
			total.Xor(total, new(big.Int).SetBytes(sum[:]))
		}
		text := total.Text(16)

		return strings.Repeat("0", len(text)%2) + text
	}

	write(t, f.path(f.repo), "create refs/internal/unseen "+f.first,
		"create refs/remotes/origin/HEAD "+f.first)
	require.Equal(t, combine(f.second+" HEAD", f.second+" refs/heads/main",
		f.first+" refs/heads/old", f.second+" refs/tags/v1", f.first+" refs/remotes/origin/HEAD"),
		checksum())

	for _, name := range []string{"heads/main", "heads/old", "tags/v1", "remotes/origin/HEAD"} {
		write(t, f.path(f.repo), "delete refs/"+name)
	}
	require.Equal(t, zero, checksum())

	require.NoError(t, os.Remove(filepath.Join(f.path(f.repo), "HEAD")))
	_, err := client.CalculateChecksum(t.Context(),
		&gitalypb.CalculateChecksumRequest{Repository: f.repo})
	require.Equal(t, codes.DataLoss, status.Code(err))
	require.ErrorContains(t, err, "not a git repository '"+f.path(f.repo)+"'")
}

func TestDescribeRepository(t *testing.T) {
	t.Parallel()

	f := fill(t, start(t))
	client := gitalypb.NewRepositoryServiceClient(f.conn)
	size, err := client.RepositorySize(t.Context(),
		&gitalypb.RepositorySizeRequest{Repository: f.repo})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(
		filepath.Join(f.path(f.repo), "large"), make([]byte, 5<<20), 0o600))
	larger, err := client.RepositorySize(t.Context(),
		&gitalypb.RepositorySizeRequest{Repository: f.repo})
	require.NoError(t, err)
	require.Equal(t, size.GetSize()+5<<10, larger.GetSize())

	format, err := client.ObjectFormat(t.Context(),
		&gitalypb.ObjectFormatRequest{Repository: f.repo})
	require.NoError(t, err)
	require.Equal(t, gitalypb.ObjectFormat_OBJECT_FORMAT_SHA1, format.GetFormat())

	missing := &gitalypb.Repository{StorageName: storage, RelativePath: "missing"}
	_, err = client.RepositorySize(t.Context(),
		&gitalypb.RepositorySizeRequest{Repository: missing})
	require.Equal(t, codes.NotFound, status.Code(err))
	_, err = client.ObjectFormat(t.Context(), &gitalypb.ObjectFormatRequest{Repository: missing})
	require.Equal(t, codes.NotFound, status.Code(err))
	_, err = client.CalculateChecksum(t.Context(),
		&gitalypb.CalculateChecksumRequest{Repository: missing})
	require.Equal(t, codes.NotFound, status.Code(err))
}

func TestFindCommit(t *testing.T) {
	t.Parallel()

	f := fill(t, start(t))
	client := gitalypb.NewCommitServiceClient(f.conn)
	find := func(revision string) (*gitalypb.GitCommit, error) {
		answer, err := client.FindCommit(t.Context(),
			&gitalypb.FindCommitRequest{Repository: f.repo, Revision: []byte(revision)})

		return answer.GetCommit(), err
	}

	for _, revision := range []string{"main", "refs/heads/main", f.second, "refs/tags/v1", "HEAD"} {
		commit, err := find(revision)
		require.NoError(t, err)
		require.Equal(t, f.second, commit.GetId(), revision)
		require.Equal(t, []string{f.first}, commit.GetParentIds())
		require.Equal(t, "second", string(commit.GetSubject()))
		require.Equal(t, "second\n", string(commit.GetBody()))
		require.Equal(t, int64(7), commit.GetBodySize())
		require.Equal(t, "A", string(commit.GetAuthor().GetName()))
		require.Equal(t, "a@b", string(commit.GetCommitter().GetEmail()))
		require.Equal(t, int64(1700000000), commit.GetAuthor().GetDate().GetSeconds())
		require.Equal(t, "+0000", string(commit.GetAuthor().GetTimezone()))
		require.Equal(t, runGit(t, f.clone, "rev-parse", "HEAD^{tree}"), commit.GetTreeId())
	}
	for _, revision := range []string{"none", zero, strings.Repeat("1", 40), "main^{tree}"} {
		commit, err := find(revision)
		require.NoError(t, err, revision)
		require.Nil(t, commit, revision)
	}
	for _, revision := range []string{"", "--all", "a b", "main:file", "a\x00b"} {
		_, err := find(revision)
		require.Equal(t, codes.InvalidArgument, status.Code(err), revision)
	}
}

func TestServerMethods(t *testing.T) {
	t.Parallel()

	f := fill(t, start(t))
	client := gitalypb.NewServerServiceClient(f.conn)
	info, err := client.ServerInfo(t.Context(), &gitalypb.ServerInfoRequest{})
	require.NoError(t, err)
	require.Contains(t, runGit(t, "/", "version"), info.GetGitVersion())
	require.Len(t, info.GetStorageStatuses(), 1)
	state := info.GetStorageStatuses()[0]
	require.Equal(t, storage, state.GetStorageName())
	require.True(t, state.GetReadable())
	require.True(t, state.GetWriteable())
	again, err := client.ServerInfo(t.Context(), &gitalypb.ServerInfoRequest{})
	require.NoError(t, err)
	require.Equal(t, state.GetFilesystemId(), again.GetStorageStatuses()[0].GetFilesystemId())

	statistics, err := client.DiskStatistics(t.Context(), &gitalypb.DiskStatisticsRequest{})
	require.NoError(t, err)
	require.Positive(t, statistics.GetStorageStatuses()[0].GetAvailable())
	require.Positive(t, statistics.GetStorageStatuses()[0].GetUsed())

	f.create(t, "@cluster/repositories/6b/86/1")
	walk := func(storage string) ([]string, error) {
		stream, err := gitalypb.NewInternalGitalyClient(f.conn).WalkRepos(t.Context(),
			&gitalypb.WalkReposRequest{StorageName: storage})
		require.NoError(t, err)
		var found []string
		for {
			response, err := stream.Recv()
			if err == io.EOF { //nolint:errorlint // as documented
				return found, nil
			}
			if err != nil {
				return nil, err
			}
			require.Positive(t, response.GetModificationTime().GetSeconds())
			found = append(found, response.GetRelativePath())
		}
	}
	found, err := walk(storage)
	require.NoError(t, err)
	require.Equal(t, []string{"@cluster/repositories/6b/86/1", "a.git"}, found)
	_, err = walk("other")
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}

func TestHealthReflectionAndTokens(t *testing.T) {
	t.Parallel()

	r := start(t)
	anonymous := r.plain(t)
	health, err := grpc_health_v1.NewHealthClient(anonymous).Check(t.Context(),
		&grpc_health_v1.HealthCheckRequest{})
	require.NoError(t, err)
	require.Equal(t, grpc_health_v1.HealthCheckResponse_SERVING, health.GetStatus())
	ask := func(conn grpc.ClientConnInterface) error {
		_, err := gitalypb.NewServerServiceClient(conn).ServerInfo(t.Context(),
			&gitalypb.ServerInfoRequest{})

		return err
	}
	require.Equal(t, codes.Unauthenticated, status.Code(ask(anonymous)))
	wrong := r.plain(t, grpc.WithPerRPCCredentials(auth.Credentials("wrong", nil)))
	require.Equal(t, codes.PermissionDenied, status.Code(ask(wrong)))
	require.NoError(t, ask(r.conn))
	_, err = gitalypb.NewRepositoryServiceClient(r.conn).OptimizeRepository(t.Context(),
		&gitalypb.OptimizeRepositoryRequest{})
	require.Equal(t, codes.Unimplemented, status.Code(err))

	reflection := grpc_reflection_v1.NewServerReflectionClient(r.conn)
	stream, err := reflection.ServerReflectionInfo(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_FileContainingSymbol{
			FileContainingSymbol: "gitaly.SmartHTTPService",
		},
	}))
	answer, err := stream.Recv()
	require.NoError(t, err)
	require.NotEmpty(t, answer.GetFileDescriptorResponse().GetFileDescriptorProto())
	require.NoError(t, stream.CloseSend())

	_, err = r.post(t.Context(), &gitalypb.Repository{
		StorageName: storage, RelativePath: strings.Repeat("x", 5<<20),
	}, nil)
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
}

// entry is one entry of an archive.
type entry struct {
	name    string
	kind    byte
	mode    int64
	content string // or where a link leads
}

// archive packs custom hooks.
func archive(t *testing.T, entries ...entry) []byte {
	t.Helper()

	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Typeflag: e.kind, Mode: e.mode}
		if e.kind == tar.TypeReg {
			header.Size = int64(len(e.content))
		} else {
			header.Linkname = e.content
		}
		require.NoError(t, writer.WriteHeader(header))
		if e.kind == tar.TypeReg {
			_, err := io.WriteString(writer, e.content)
			require.NoError(t, err)
		}
	}
	require.NoError(t, writer.Close())

	return buffer.Bytes()
}

func (f filled) setCustomHooks(ctx context.Context, data []byte) error {
	stream, err := gitalypb.NewRepositoryServiceClient(f.conn).SetCustomHooks(ctx)
	if err != nil {
		return err
	}
	repo := f.repo
	for len(data) > 0 || repo != nil {
		part := data[:min(len(data), 1000)]
		data = data[len(part):]
		// The answer tells what was wrong.
		_ = stream.Send(&gitalypb.SetCustomHooksRequest{Repository: repo, Data: part})
		repo = nil
	}
	_, err = stream.CloseAndRecv()

	return err
}

func (f filled) getCustomHooks(t *testing.T) []string {
	t.Helper()

	stream, err := gitalypb.NewRepositoryServiceClient(f.conn).GetCustomHooks(t.Context(),
		&gitalypb.GetCustomHooksRequest{Repository: f.repo})
	require.NoError(t, err)
	var data bytes.Buffer
	for {
		response, err := stream.Recv()
		if err == io.EOF { //nolint:errorlint // as documented
			break
		}
		require.NoError(t, err)
		data.Write(response.GetData())
	}

	var entries []string
	for reader := tar.NewReader(&data); ; {
		header, err := reader.Next()
		if err == io.EOF { //nolint:errorlint // as documented
			return entries
		}
		require.NoError(t, err)
		content, err := io.ReadAll(reader)
		require.NoError(t, err)
		mode := header.FileInfo().Mode().String()
		entries = append(entries, mode+" "+header.Name+" "+string(content))
	}
}

func TestCustomHooksOfARepository(t *testing.T) {
	t.Parallel()

	f := fill(t, start(t))
	require.Empty(t, f.getCustomHooks(t))
	data := archive(t,
		entry{"custom_hooks/", tar.TypeDir, 0o755, ""},
		entry{"custom_hooks/pre-receive", tar.TypeReg, 0o755, "one"},
		entry{"custom_hooks/update.d/x", tar.TypeReg, 0o700, "two"})
	require.NoError(t, f.setCustomHooks(voting(t.Context(), true), data))

	ballot := hooks.Sum(
		[]byte("."), []byte{0x80, 0, 0x01, 0xed},
		[]byte("pre-receive"), []byte{0, 0, 0x01, 0xed}, []byte("one"),
		[]byte("update.d"), []byte{0x80, 0, 0x01, 0xed},
		[]byte("update.d/x"), []byte{0, 0, 0x01, 0xc0}, []byte("two"))
	f.votes.require(t, preparing(hooks.SettingCustomHooks()), prepared(ballot), committed(ballot))
	want := []string{
		"drwxr-xr-x custom_hooks/ ", "-rwxr-xr-x custom_hooks/pre-receive one",
		"drwxr-xr-x custom_hooks/update.d/ ", "-rwx------ custom_hooks/update.d/x two",
	}
	require.Empty(t, cmp.Diff(want, f.getCustomHooks(t)))

	for at := 1; at <= 2; at++ {
		f.votes.verdictAt(at, abort)
		require.Equal(t, codes.Aborted,
			status.Code(f.setCustomHooks(voting(t.Context(), true), nil)))
		require.Empty(t, cmp.Diff(want, f.getCustomHooks(t)))
		f.requireNoLocks(t)
	}
	for _, e := range []entry{
		{"custom_hooks/../config", tar.TypeReg, 0o644, ""},
		{"/etc/passwd", tar.TypeReg, 0o644, ""},
		{"custom_hooks/x", tar.TypeSymlink, 0o777, "/etc"},
	} {
		require.Equal(t, codes.InvalidArgument,
			status.Code(f.setCustomHooks(t.Context(), archive(t, e))), e.name)
	}
	require.Equal(t, codes.InvalidArgument,
		status.Code(f.setCustomHooks(t.Context(), []byte(strings.Repeat("x", 2000)))))
	require.Empty(t, cmp.Diff(want, f.getCustomHooks(t)))

	require.NoError(t, f.setCustomHooks(t.Context(), nil))
	require.Equal(t, []string{"drwxr-xr-x custom_hooks/ "}, f.getCustomHooks(t))
	f.requireNoLocks(t)
}
