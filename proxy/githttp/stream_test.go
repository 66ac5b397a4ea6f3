package githttp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/proxy/gitalypb"
	"praefect/proxy/githttp"
	"praefect/proxy/sidechannel"
)

// services are the two that stream in both directions, as an echo.
func services() map[string]*service {
	return map[string]*service{
		"git-upload-pack":  {fetch: echoFetch},
		"git-receive-pack": {push: echo},
	}
}

// Answers arrive while the request is still being sent.
func TestFullDuplex(t *testing.T) {
	t.Parallel()
	for name, s := range services() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, s, githttp.Config{})
			body, send := io.Pipe()
			piece := strings.Repeat("z", 128<<10)
			go func() { _, _ = io.WriteString(send, piece) }()
			response, err := client(t).Do(g.post(t, name, body))
			require.NoError(t, err)
			got := make([]byte, len(piece))
			for range 3 {
				_, err := io.ReadFull(response.Body, got)
				require.NoError(t, err)
				require.Equal(t, piece, string(got))
				go func() { _, _ = io.WriteString(send, piece) }()
			}
			_, err = io.ReadFull(response.Body, got)
			require.NoError(t, err)
			require.NoError(t, send.Close())
			rest, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.Empty(t, rest)
			require.NoError(t, response.Body.Close())
		})
	}
}

// A client that breaks off in the middle ends the call, and its request never looks whole.
func TestClientBreaksOff(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	ends := map[string]*service{
		"git-receive-pack": {push: func(stream pushStream) error {
			for {
				if _, err := stream.Recv(); err != nil {
					ended <- err
					return err
				}
			}
		}},
		"git-upload-pack": {fetch: func(
			ctx context.Context, _ *gitalypb.PostUploadPackWithSidechannelRequest,
		) error {
			channel, err := sidechannel.Open(ctx)
			if err != nil {
				ended <- err
				return err
			}
			if _, err = io.Copy(io.Discard, channel); err == nil {
				err = io.EOF
			}
			ended <- err
			return errors.Join(err, channel.Close())
		}},
	}
	for name, s := range ends {
		g := start(t, s, githttp.Config{})
		conn, err := (&net.Dialer{}).DialContext(
			t.Context(), "tcp", strings.TrimPrefix(g.url, "http://"),
		)
		require.NoError(t, err)
		_, err = io.WriteString(conn, "POST /group/project.git/"+name+" HTTP/1.1\r\n"+
			"Host: x\r\nContent-Type: application/x-"+name+"-request\r\n"+
			"Content-Length: 1000000\r\n\r\nthe first bytes")
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		select {
		case err := <-ended:
			require.NotErrorIs(t, err, io.EOF, name)
		case <-time.After(patience):
			require.Fail(t, "the call goes on", name)
		}
	}
}

// A call that fails while the client still sends is answered at once.
func TestFailureDuringRequest(t *testing.T) {
	t.Parallel()
	busy := status.Error(codes.Unavailable, "repository busy")
	for name, s := range map[string]*service{
		"git-receive-pack": {push: func(stream pushStream) error {
			if _, err := stream.Recv(); err != nil {
				return err
			}
			return busy
		}},
		"git-upload-pack": {fetch: func(
			ctx context.Context, _ *gitalypb.PostUploadPackWithSidechannelRequest,
		) error {
			channel, err := sidechannel.Open(ctx)
			if err != nil {
				return err
			}
			if err := channel.Close(); err != nil {
				return err
			}
			return busy
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, s, githttp.Config{})
			body, send := io.Pipe()
			defer func() { require.NoError(t, send.Close()) }()
			go func() { _, _ = io.WriteString(send, "never ending") }()
			got := g.send(t, g.post(t, name, body))
			require.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
			require.Equal(t, "repository busy\n", got.body)
		})
	}
}

// What the node answers is complete although it did not read the whole request.
func TestRequestNotRead(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*service{
		"git-receive-pack": {push: func(stream pushStream) error {
			return stream.Send(&gitalypb.PostReceivePackResponse{Data: []byte("done")})
		}},
		"git-upload-pack": {fetch: func(
			ctx context.Context, _ *gitalypb.PostUploadPackWithSidechannelRequest,
		) error {
			channel, err := sidechannel.Open(ctx)
			if err != nil {
				return err
			}
			_, err = io.WriteString(channel, "done")
			return errors.Join(err, channel.Close())
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, s, githttp.Config{})
			endless, send := io.Pipe()
			go func() {
				zeros := make([]byte, 1<<16)
				for {
					if _, err := send.Write(zeros); err != nil {
						return
					}
				}
			}()
			got := g.send(t, g.post(t, name, endless))
			require.NoError(t, send.Close())
			require.Equal(t, http.StatusOK, got.StatusCode)
			require.Equal(t, "done", got.body)
		})
	}
}

// A failure after the first byte must not look like the end of the answer.
func TestFailureAfterFirstByte(t *testing.T) {
	t.Parallel()
	failed := status.Error(codes.Aborted, "final vote lost")
	s := &service{
		refs: func(_ *gitalypb.InfoRefsRequest, _ string, out io.Writer) error {
			_, err := io.WriteString(out, "begin")
			return errors.Join(err, failed)
		},
		push: func(stream pushStream) error {
			err := echo(stream)
			return errors.Join(err, failed)
		},
		fetch: func(
			ctx context.Context, r *gitalypb.PostUploadPackWithSidechannelRequest,
		) error {
			err := echoFetch(ctx, r)
			return errors.Join(err, failed)
		},
	}
	g := start(t, s, githttp.Config{})
	for range 3 {
		for _, got := range []*reply{
			g.get(t, "/group/project.git/info/refs?service=git-upload-pack"),
			g.fetch(t, "begin"), g.push(t, "begin"),
		} {
			require.Equal(t, http.StatusOK, got.StatusCode)
			require.Equal(t, "begin", got.body)
			require.Error(t, got.err)
		}
	}
	for _, entry := range g.logs.All() {
		require.Equal(t, true, entry.ContextMap()["cut"])
	}
}

// A node that succeeds without answering has not served the fetch.
func TestSidechannelNotOpened(t *testing.T) {
	t.Parallel()
	g := start(t, &service{
		fetch: func(context.Context, *gitalypb.PostUploadPackWithSidechannelRequest) error {
			return nil
		},
	}, githttp.Config{})
	got := g.fetch(t, "want")
	require.Equal(t, http.StatusInternalServerError, got.StatusCode)
	require.Contains(t, got.body, "sidechannel was not opened")
}

func TestConcurrency(t *testing.T) {
	t.Parallel()
	release, entered := make(chan struct{}), make(chan struct{}, 2)
	g := start(t, &service{push: func(stream pushStream) error {
		entered <- struct{}{}
		<-release
		return echo(stream)
	}}, githttp.Config{Concurrency: 2})
	replies := make(chan *reply, 2)
	for range 2 {
		request := g.post(t, "git-receive-pack", strings.NewReader("x"))
		go func() {
			response, err := client(t).Do(request)
			if err == nil {
				err = response.Body.Close()
			}
			replies <- &reply{Response: response, err: err}
		}()
		<-entered
	}
	got := g.push(t, "x")
	require.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
	require.Contains(t, got.body, "too many requests")
	close(release)
	for range 2 {
		first := <-replies
		require.NoError(t, first.err)
		require.Equal(t, http.StatusOK, first.StatusCode)
	}
	require.Equal(t, http.StatusOK, g.push(t, "x").StatusCode)
}

// A client that is silent in the middle of its request is given up.
func TestSilentClient(t *testing.T) {
	t.Parallel()
	for name, s := range services() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, s, githttp.Config{IdleTimeout: 50 * time.Millisecond})
			body, send := io.Pipe()
			defer func() { require.NoError(t, send.Close()) }()
			got := g.send(t, g.post(t, name, body))
			require.Equal(t, http.StatusBadRequest, got.StatusCode)
			require.Contains(t, got.body, "timeout")
		})
	}
}

// A client that has sent all may be silent for as long as the service takes, for instance in a
// hook.
func TestSlowService(t *testing.T) {
	t.Parallel()
	const idle = 50 * time.Millisecond
	g := start(t, &service{push: func(stream pushStream) error {
		for {
			if _, err := stream.Recv(); err != nil {
				break
			}
		}
		select {
		case <-time.After(4 * idle):
			return stream.Send(&gitalypb.PostReceivePackResponse{Data: []byte("at last")})
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}}, githttp.Config{IdleTimeout: idle})
	got := g.push(t, "x")
	require.NoError(t, got.err)
	require.Equal(t, "at last", got.body)
}
