package digest_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"praefect/proxy/digest"
	"praefect/proxy/gitalypb"
)

// service answers as a test tells it.
type service struct {
	gitalypb.UnimplementedRepositoryServiceServer
	gitalypb.UnimplementedRefServiceServer

	data []byte
	refs func(send func(names ...string) error) error
	// fail ends the streams.
	fail error
	// exists is what is answered to whoever asks for that.
	exists bool
	// headless fails whoever asks for the name that HEAD points to.
	headless bool
	// snapshot is the archive of the repository; nil when the node has no such call.
	snapshot []byte
}

func (s *service) RepositoryExists(
	context.Context, *gitalypb.RepositoryExistsRequest,
) (*gitalypb.RepositoryExistsResponse, error) {
	return &gitalypb.RepositoryExistsResponse{Exists: s.exists}, nil
}

func (s *service) GetCustomHooks(
	_ *gitalypb.GetCustomHooksRequest,
	stream grpc.ServerStreamingServer[gitalypb.GetCustomHooksResponse],
) error {
	// Messages end where they want to, and may be empty.
	for len(s.data) > 0 {
		n := min(len(s.data), 1000)
		if err := stream.Send(&gitalypb.GetCustomHooksResponse{Data: s.data[:n]}); err != nil {
			return err
		}
		if err := stream.Send(&gitalypb.GetCustomHooksResponse{}); err != nil {
			return err
		}
		s.data = s.data[n:]
	}
	return s.fail
}

func (s *service) GetConfig(
	_ *gitalypb.GetConfigRequest, stream grpc.ServerStreamingServer[gitalypb.GetConfigResponse],
) error {
	if err := stream.Send(&gitalypb.GetConfigResponse{Data: s.data}); err != nil {
		return err
	}
	return s.fail
}

const object = "1111111111111111111111111111111111111111"

func (s *service) ListRefs(
	_ *gitalypb.ListRefsRequest, stream grpc.ServerStreamingServer[gitalypb.ListRefsResponse],
) error {
	err := s.refs(func(names ...string) error {
		response := &gitalypb.ListRefsResponse{}
		for _, name := range names {
			response.References = append(response.References,
				&gitalypb.ListRefsResponse_Reference{Name: []byte(name), Target: object})
		}
		return stream.Send(response)
	})
	if err != nil {
		return err
	}
	return s.fail
}

func (s *service) FindDefaultBranchName(
	context.Context, *gitalypb.FindDefaultBranchNameRequest,
) (*gitalypb.FindDefaultBranchNameResponse, error) {
	if s.headless {
		return nil, status.Error(codes.Internal, "head reference: exit status 128")
	}
	return &gitalypb.FindDefaultBranchNameResponse{Name: []byte("refs/heads/main")}, nil
}

// serve connects to the service. The connection ends with the test.
func serve(t testing.TB, s *service) *grpc.ClientConn {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(grpc.WaitForHandlers(true))
	gitalypb.RegisterRepositoryServiceServer(server, s)
	gitalypb.RegisterRefServiceServer(server, s)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///node",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return listener.DialContext(ctx)
		}))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, conn.Close())
		server.Stop()
		require.NoError(t, <-served)
	})
	return conn
}

func ask(t *testing.T, s *service, kind digest.Kind) (string, error) {
	t.Helper()
	return digest.New(nodes{"a": serve(t, s)}).Digest(t.Context(),
		digest.Question{VirtualStorage: virtual, Storage: "a", Path: relative, Kind: kind})
}

// archive packs entries in the order in which they are given.
func archive(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var packed bytes.Buffer
	writer := tar.NewWriter(&packed)
	for _, header := range headers {
		content := []byte{}
		if header.Typeflag == tar.TypeReg {
			content = []byte("content of a hook")
		}
		header.Size = int64(len(content))
		require.NoError(t, writer.WriteHeader(&header))
		_, err := writer.Write(content)
		require.NoError(t, err)
	}
	require.NoError(t, writer.Close())
	return packed.Bytes()
}

// TestArchives has archives as a node's tar writes them: in the order of a directory, with owners
// and times, and with whatever name of a file comes first as its content.
func TestArchives(t *testing.T) {
	t.Parallel()
	dir := tar.Header{Name: "./custom_hooks/", Typeflag: tar.TypeDir, Mode: 0o755}
	file := tar.Header{Name: "custom_hooks/a", Typeflag: tar.TypeReg, Mode: 0o755}
	other := tar.Header{
		Name: "./custom_hooks/b", Typeflag: tar.TypeReg, Mode: 0o100755,
		Uid: 5, Uname: "git", ModTime: time.Unix(1_000_000_000, 0),
	}
	hard := tar.Header{
		Name: "custom_hooks/b", Typeflag: tar.TypeLink, Linkname: "custom_hooks/a", Mode: 0o755,
	}
	back := tar.Header{
		Name: "custom_hooks/a", Typeflag: tar.TypeLink, Linkname: "custom_hooks/b", Mode: 0o755,
	}
	soft := tar.Header{
		Name: "custom_hooks/b", Typeflag: tar.TypeSymlink, Linkname: "/a", Mode: 0o777,
	}
	elsewhere := soft
	elsewhere.Linkname = "/b"
	type of = []tar.Header
	for name, tc := range map[string]struct {
		a, b  of
		equal bool
	}{
		"order, owner and time":   {of{dir, file, other}, of{other, file}, true},
		"hard links":              {of{dir, file, hard}, of{dir, other, back}, true},
		"a link and what is lost": {of{file, soft}, of{file, other}, false},
		"links to other places":   {of{file, soft}, of{file, elsewhere}, false},
		"no archive and no hooks": {nil, of{dir}, true},
		"one more":                {of{dir, file}, of{dir, file, other}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := ask(t, &service{data: archive(t, tc.a...)}, digest.Hooks)
			require.NoError(t, err)
			b, err := ask(t, &service{data: archive(t, tc.b...)}, digest.Hooks)
			require.NoError(t, err)
			require.Equal(t, tc.equal, a == b)
		})
	}
	_, err := ask(t, &service{data: archive(t, dir, hard)}, digest.Hooks)
	require.ErrorIs(t, err, tar.ErrHeader)
	_, err = ask(t, &service{data: archive(t, file, other)[:520]}, digest.Hooks)
	require.Error(t, err, "an archive that ends early is no archive of fewer hooks")
}

func TestConfigurations(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		a, b  string
		equal bool
	}{
		"order of sections": {"[a]\nx = 1\n[b \"S\"]\ny\n", "[b \"S\"]\n\ty\n[a]\n  x = 1", true},
		"order of keys":     {"[a]\nx = 1\ny = 2\n", "[a]\ny = 2\nx = 1\n", true},
		"comments":          {"# text\n[a]\n\nx = 1\n; more\n", "[a]\nx = 1\n", true},
		"sections in parts": {"[a]\nx = 1\n[b]\n[a]\ny = 2\n", "[a]\nx = 1\ny = 2\n", true},
		"order of values":   {"[a]\nx = 1\nX = 2\n", "[a]\nX = 2\nx = 1\n", false},
		"order with a mark": {"[a]\nx # =\nx = 2\n", "[a]\nx = 2\nx # =\n", false},
		"section of a key":  {"[a]\nx = 1\n[b]\ny = 2\n", "[a]\n[b]\nx = 1\ny = 2\n", false},
		"continued lines":   {"[a]\nx = 1\\\ny = 2\n", "[a]\ny = 2\nx = 1\\\n", false},
		"includes":          {"[a]\nx\n[include]\ny\n", "[include]\ny\n[a]\nx\n", false},
		"key on the line":   {"[a] x = 1\nx = 2\n", "[a]\nx = 2\n[a] x = 1\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := ask(t, &service{data: []byte(tc.a)}, digest.Config)
			require.NoError(t, err)
			b, err := ask(t, &service{data: []byte(tc.b)}, digest.Config)
			require.NoError(t, err)
			require.Equal(t, tc.equal, a == b)
		})
	}
}

// TestNodeFails has answers that are no knowledge.
func TestNodeFails(t *testing.T) {
	t.Parallel()
	list := func(batches ...[]string) func(func(...string) error) error {
		return func(send func(...string) error) error {
			for _, names := range batches {
				if err := send(names...); err != nil {
					return err
				}
			}
			return nil
		}
	}
	broken := status.Error(codes.Unavailable, "broken")
	ends := func(names ...string) *service {
		return &service{refs: list(names), fail: broken}
	}
	for name, tc := range map[string]struct {
		service *service
		kind    digest.Kind
		code    codes.Code
		is      error
	}{
		"list ends early":    {ends("refs/a"), digest.References, codes.Unavailable, nil},
		"archive ends early": {ends(), digest.Hooks, codes.Unavailable, nil},
		"file ends early":    {ends(), digest.Config, codes.Unavailable, nil},
		"out of order": {
			&service{refs: list([]string{"refs/b", "refs/a"})},
			digest.References, codes.Unknown, digest.ErrUnordered,
		},
		"out of order between messages": {
			&service{refs: list([]string{"HEAD", "refs/b"}, []string{"refs/a"})},
			digest.References, codes.Unknown, digest.ErrUnordered,
		},
		"a reference twice": {
			&service{refs: list([]string{"refs/a", "refs/a"})},
			digest.References, codes.Unknown, digest.ErrUnordered,
		},
		"something else is not found": {
			&service{refs: list(), fail: status.Error(codes.NotFound, "what"), exists: true},
			digest.References, codes.NotFound, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := ask(t, tc.service, tc.kind)
			require.Error(t, err)
			require.Empty(t, found)
			require.Equal(t, tc.code, status.Code(err))
			if tc.is != nil {
				require.ErrorIs(t, err, tc.is)
			}
		})
	}
}

// TestNodeHangs has a node that never answers: the context ends the question.
func TestNodeHangs(t *testing.T) {
	t.Parallel()
	hanging := make(chan struct{})
	defer close(hanging)
	s := &service{refs: func(send func(...string) error) error {
		err := send("refs/a")
		<-hanging
		return err
	}}
	conn := serve(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := digest.New(nodes{"a": conn}).Digest(ctx, digest.Question{
		VirtualStorage: virtual, Storage: "a", Path: relative, Kind: digest.References,
	})
	require.Equal(t, codes.DeadlineExceeded, status.Code(err))
}

// BenchmarkReferences asks for a million references: time and bytes per reference.
func BenchmarkReferences(b *testing.B) {
	const many, batch = 1_000_000, 1000
	names := make([][]string, many/batch)
	for i := range names {
		for j := range batch {
			names[i] = append(names[i], fmt.Sprintf("refs/heads/branch-%08d", i*batch+j))
		}
	}
	conn := serve(b, &service{refs: func(send func(...string) error) error {
		for _, batch := range names {
			if err := send(batch...); err != nil {
				return err
			}
		}
		return nil
	}})
	asked := digest.New(nodes{"a": conn})
	for b.Loop() {
		_, err := asked.Digest(b.Context(), digest.Question{
			VirtualStorage: virtual, Storage: "a", Path: relative, Kind: digest.References,
		})
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/many, "ns/reference")
}
