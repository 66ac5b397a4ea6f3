package githttp_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"praefect/proxy/gitalypb"
	"praefect/proxy/githttp"
)

func wantRepository() *gitalypb.Repository {
	return &gitalypb.Repository{
		StorageName: "default", RelativePath: "group/project.git",
		GlRepository: "group/project.git",
	}
}

func requireProto(t *testing.T, want, got proto.Message) {
	t.Helper()
	require.Empty(t, cmp.Diff(want, got, protocmp.Transform()))
}

func TestAdvertise(t *testing.T) {
	t.Parallel()
	requests := make(chan *gitalypb.InfoRefsRequest, 1)
	g := start(t, &service{
		refs: func(r *gitalypb.InfoRefsRequest, service string, out io.Writer) error {
			requests <- r
			_, err := io.WriteString(out, "001e# service=git-"+service)
			if err == nil {
				_, err = io.WriteString(out, "\n0000")
			}
			return err
		},
	}, githttp.Config{})
	for _, service := range []string{"upload-pack", "receive-pack"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
			g.url+"/group/project.git/info/refs?service=git-"+service, nil)
		require.NoError(t, err)
		request.Header.Set("Git-Protocol", "version=2")
		got := g.send(t, request)
		require.Equal(t, http.StatusOK, got.StatusCode)
		require.Equal(t, "001e# service=git-"+service+"\n0000", got.body)
		require.Equal(t, "application/x-git-"+service+"-advertisement",
			got.Header.Get("Content-Type"))
		require.Contains(t, got.Header.Get("Cache-Control"), "no-cache")
		requireProto(t, &gitalypb.InfoRefsRequest{
			Repository: wantRepository(), GitProtocol: "version=2",
		}, <-requests)
	}
}

func TestFetch(t *testing.T) {
	t.Parallel()
	requests := make(chan *gitalypb.PostUploadPackWithSidechannelRequest, 1)
	g := start(t, &service{
		fetch: func(
			ctx context.Context, r *gitalypb.PostUploadPackWithSidechannelRequest,
		) error {
			requests <- r
			return echoFetch(ctx, r)
		},
	}, githttp.Config{})
	for _, size := range []int{0, 1, 100, 3 << 20} {
		want := strings.Repeat("x", size)
		request := g.post(t, "git-upload-pack", strings.NewReader(want))
		request.Header.Set("Git-Protocol", "version=2")
		got := g.send(t, request)
		require.NoError(t, got.err)
		require.Equal(t, http.StatusOK, got.StatusCode)
		require.Equal(t, "application/x-git-upload-pack-result", got.Header.Get("Content-Type"))
		require.Equal(t, want, got.body)
		requireProto(t, &gitalypb.PostUploadPackWithSidechannelRequest{
			Repository: wantRepository(), GitProtocol: "version=2",
		}, <-requests)
	}
}

func TestPush(t *testing.T) {
	t.Parallel()
	first := make(chan *gitalypb.PostReceivePackRequest, 1)
	g := start(t, &service{push: func(stream pushStream) error {
		request, err := stream.Recv()
		if err != nil {
			return err
		}
		first <- request
		size := 0
		for {
			request, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return stream.Send(&gitalypb.PostReceivePackResponse{
					Data: []byte(strings.Repeat("y", size)),
				})
			}
			if err != nil {
				return err
			}
			if !proto.Equal(&gitalypb.PostReceivePackRequest{Data: request.GetData()}, request) {
				return status.Error(codes.InvalidArgument, "more than data in a later message")
			}
			size += len(request.GetData())
		}
	}}, githttp.Config{UserID: "user-7"})
	for _, size := range []int{0, 1, 128 << 10, 128<<10 + 1, 1 << 20} {
		request := g.post(t, "git-receive-pack", strings.NewReader(strings.Repeat("x", size)))
		request.SetBasicAuth("someone", "ignored")
		got := g.send(t, request)
		require.NoError(t, got.err)
		require.Equal(t, http.StatusOK, got.StatusCode)
		require.Len(t, got.body, size)
		requireProto(t, &gitalypb.PostReceivePackRequest{
			Repository: wantRepository(), GlId: "user-7", GlUsername: "someone",
			GlRepository: "group/project.git",
		}, <-first)
	}
}

func TestCompressedAndChunked(t *testing.T) {
	t.Parallel()
	g := start(t, &service{push: echo, fetch: echoFetch}, githttp.Config{})
	want := strings.Repeat("some compressible text ", 10_000)
	var compressed bytes.Buffer
	writer := gzip.NewWriter(&compressed)
	_, err := io.WriteString(writer, want)
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	for _, name := range []string{"git-upload-pack", "git-receive-pack"} {
		// A reader of unknown length is sent in chunks.
		request := g.post(t, name, io.MultiReader(bytes.NewReader(compressed.Bytes())))
		request.Header.Set("Content-Encoding", "gzip")
		got := g.send(t, request)
		require.Equal(t, http.StatusOK, got.StatusCode)
		require.Equal(t, want, got.body)

		half := bytes.NewReader(compressed.Bytes()[:compressed.Len()/2])
		request = g.post(t, name, half)
		request.Header.Set("Content-Encoding", "gzip")
		response, err := client(t).Do(request)
		require.NoError(t, err)
		_, err = io.ReadAll(response.Body)
		require.True(t, err != nil || response.StatusCode == http.StatusBadRequest)
		require.NoError(t, response.Body.Close())
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	g := start(t, &service{}, githttp.Config{})
	const upload, receive = "/group/project.git/git-upload-pack", "/a.git/git-receive-pack"
	for name, tc := range map[string]struct {
		method, path string
		header       http.Header
		want         int
	}{
		"root":           {"GET", "/", nil, 404},
		"other page":     {"GET", "/group/project.git", nil, 404},
		"no ending":      {"GET", "/group/project/info/refs?service=git-upload-pack", nil, 404},
		"no name":        {"GET", "/.git/info/refs?service=git-upload-pack", nil, 404},
		"no name, group": {"GET", "/group/.git/info/refs?service=git-upload-pack", nil, 404},
		"parent":         {"GET", "/%2e%2e/a.git/info/refs?service=git-upload-pack", nil, 404},
		"two slashes":    {"GET", "/group//a.git/info/refs?service=git-upload-pack", nil, 404},
		"control":        {"GET", "/a%00.git/info/refs?service=git-upload-pack", nil, 404},
		"not text":       {"GET", "/a%ff.git/info/refs?service=git-upload-pack", nil, 404},
		"dumb protocol":  {"GET", "/a.git/info/refs", nil, 403},
		"archive":        {"GET", "/a.git/info/refs?service=git-upload-archive", nil, 403},
		"post for refs":  {"POST", "/a.git/info/refs?service=git-upload-pack", nil, 405},
		"get for fetch":  {"GET", upload, nil, 405},
		"no type":        {"POST", upload, nil, 415},
		"other type": {"POST", upload, http.Header{
			"Content-Type": {"application/x-git-receive-pack-request"},
		}, 415},
		"encoding": {"POST", receive, http.Header{
			"Content-Type":     {"application/x-git-receive-pack-request"},
			"Content-Encoding": {"br"},
		}, 415},
		"not gzip": {"POST", receive, http.Header{
			"Content-Type":     {"application/x-git-receive-pack-request"},
			"Content-Encoding": {"gzip"},
		}, 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, err := http.NewRequestWithContext(
				t.Context(), tc.method, g.url+tc.path, strings.NewReader("plain text"),
			)
			require.NoError(t, err)
			request.Header = tc.header
			got := g.send(t, request)
			require.Equal(t, tc.want, got.StatusCode, got.body)
			require.Equal(t, "text/plain; charset=utf-8", got.Header.Get("Content-Type"))
			require.NotEmpty(t, strings.TrimSpace(got.body))
		})
	}
}

func TestPassword(t *testing.T) {
	t.Parallel()
	g := start(t, &service{push: echo}, githttp.Config{Password: "secret"})
	for password, want := range map[string]int{
		"": http.StatusUnauthorized, "wrong": http.StatusUnauthorized,
		"secret": http.StatusOK, "secret2": http.StatusUnauthorized,
	} {
		request := g.post(t, "git-receive-pack", strings.NewReader("x"))
		if password != "" {
			request.SetBasicAuth("anybody", password)
		}
		got := g.send(t, request)
		require.Equal(t, want, got.StatusCode)
		require.Equal(t, want == http.StatusUnauthorized,
			got.Header.Get("WWW-Authenticate") == `Basic realm="Git", charset="UTF-8"`)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	for code, want := range map[codes.Code]int{
		codes.Canceled: 503, codes.Unknown: 500, codes.InvalidArgument: 400,
		codes.DeadlineExceeded: 504, codes.NotFound: 404, codes.AlreadyExists: 409,
		codes.PermissionDenied: 403, codes.ResourceExhausted: 429,
		codes.FailedPrecondition: 409, codes.Aborted: 409, codes.OutOfRange: 400,
		codes.Unimplemented: 501, codes.Internal: 500, codes.Unavailable: 503,
		codes.DataLoss: 500, codes.Unauthenticated: 502, codes.Code(77): 500,
	} {
		t.Run(code.String(), func(t *testing.T) {
			t.Parallel()
			failed := status.Error(code, "the reason")
			g := start(t, &service{
				refs: func(*gitalypb.InfoRefsRequest, string, io.Writer) error { return failed },
				push: func(pushStream) error { return failed },
				fetch: func(
					context.Context, *gitalypb.PostUploadPackWithSidechannelRequest,
				) error {
					return failed
				},
			}, githttp.Config{})
			for _, got := range []*reply{
				g.get(t, "/group/project.git/info/refs?service=git-upload-pack"),
				g.get(t, "/group/project.git/info/refs?service=git-receive-pack"),
				g.fetch(t, "want"), g.push(t, "pack"),
			} {
				require.Equal(t, want, got.StatusCode)
				require.Equal(t, "the reason\n", got.body)
				require.Equal(t, want == 503, got.Header.Get("Retry-After") != "")
			}
		})
	}
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	g := start(t, &service{push: func(stream pushStream) error {
		stream.SetTrailer(metadata.Pairs("praefect-outcome", "partial"))
		return status.Error(codes.Internal, "second reference failed")
	}}, githttp.Config{})
	got := g.push(t, "pack")
	require.Equal(t, http.StatusInternalServerError, got.StatusCode)
	require.Equal(t, "second reference failed (outcome of the push: partial)\n", got.body)
}

func TestLog(t *testing.T) {
	t.Parallel()
	g := start(t, &service{push: echo}, githttp.Config{})
	require.Equal(t, 200, g.push(t, "1234").StatusCode)
	require.Equal(t, 404, g.get(t, "/nothing").StatusCode)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		require.Len(c, g.logs.All(), 2)
	}, patience, time.Millisecond)
	served := g.logs.All()[0]
	require.Equal(t, "request served", served.Message)
	fields := served.ContextMap()
	require.Equal(t, "git-receive-pack", fields["service"])
	require.Equal(t, "/group/project.git/git-receive-pack", fields["path"])
	require.EqualValues(t, 200, fields["status"])
	require.EqualValues(t, 4, fields["response_bytes"])
	require.EqualValues(t, 404, g.logs.All()[1].ContextMap()["status"])
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for want, config := range map[string]githttp.Config{
		"storage is empty":         {},
		"concurrency is negative":  {Storage: "default", Concurrency: -1},
		"idle timeout is negative": {Storage: "default", IdleTimeout: -time.Second},
	} {
		_, err := githttp.New(nil, nil, zap.NewNop(), config)
		require.ErrorIs(t, err, githttp.ErrConfig)
		require.ErrorContains(t, err, want)
	}
}
