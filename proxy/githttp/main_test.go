package githttp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"praefect/proxy/backchannel"
	"praefect/proxy/gitalypb"
	"praefect/proxy/githttp"
	"praefect/proxy/sidechannel"
)

// patience bounds what must happen soon; no test waits for it to pass.
const patience = 20 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type (
	refsStream = grpc.ServerStreamingServer[gitalypb.InfoRefsResponse]
	pushStream = grpc.BidiStreamingServer[
		gitalypb.PostReceivePackRequest, gitalypb.PostReceivePackResponse]
)

// service answers calls with functions of the test.
type service struct {
	gitalypb.UnimplementedSmartHTTPServiceServer
	refs  func(request *gitalypb.InfoRefsRequest, service string, out io.Writer) error
	fetch func(ctx context.Context, request *gitalypb.PostUploadPackWithSidechannelRequest) error
	push  func(stream pushStream) error
}

// refsWriter sends what is written as messages.
type refsWriter struct{ stream refsStream }

func (w refsWriter) Write(p []byte) (int, error) {
	return len(p), w.stream.Send(&gitalypb.InfoRefsResponse{Data: bytes.Clone(p)})
}

func (s *service) InfoRefsUploadPack(r *gitalypb.InfoRefsRequest, stream refsStream) error {
	return s.refs(r, "upload-pack", refsWriter{stream})
}

func (s *service) InfoRefsReceivePack(r *gitalypb.InfoRefsRequest, stream refsStream) error {
	return s.refs(r, "receive-pack", refsWriter{stream})
}

func (s *service) PostUploadPackWithSidechannel(
	ctx context.Context, r *gitalypb.PostUploadPackWithSidechannelRequest,
) (*gitalypb.PostUploadPackWithSidechannelResponse, error) {
	return &gitalypb.PostUploadPackWithSidechannelResponse{}, s.fetch(ctx, r)
}

func (s *service) PostReceivePack(stream pushStream) error { return s.push(stream) }

// gateway is a handler between a web server and a service.
type gateway struct {
	url  string
	logs *observer.ObservedLogs
}

func start(t *testing.T, s *service, config githttp.Config) *gateway {
	t.Helper()
	address := serve(t, s)
	registry := sidechannel.NewRegistry(zap.NewNop())
	mux := backchannel.NewClient(insecure.NewCredentials(),
		backchannel.Services{Sidechannel: registry.Accept}, zap.NewNop(),
		backchannel.DefaultConfig())
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(mux), grpc.WithNoProxy(), grpc.WithDisableRetry())
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, conn.Close())
		require.NoError(t, mux.Close())
	})
	if config.Storage == "" {
		config.Storage = "default"
	}
	core, logs := observer.New(zap.DebugLevel)
	handler, err := githttp.New(conn, registry, zap.New(core), config)
	require.NoError(t, err)
	web := httptest.NewServer(handler)
	t.Cleanup(web.Close) // waits for the requests in progress
	return &gateway{url: web.URL, logs: logs}
}

// serve starts the service, for multiplexed connections, and returns its address.
func serve(t *testing.T, s *service) string {
	t.Helper()
	peers := backchannel.NewPeers(zap.NewNop())
	mux := backchannel.NewServer(
		insecure.NewCredentials(), peers, zap.NewNop(), backchannel.DefaultConfig(),
	)
	server := grpc.NewServer(append(mux.Options(), grpc.WaitForHandlers(true))...)
	gitalypb.RegisterSmartHTTPServiceServer(server, s)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(mux.Listener(listener)) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-served)
		require.NoError(t, peers.Close())
	})
	return listener.Addr().String()
}

// reply is what a client got.
type reply struct {
	*http.Response
	body string
	err  error // of reading the body
}

// send makes one request.
func (g *gateway) send(t *testing.T, request *http.Request) *reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	response, err := client(t).Do(request.WithContext(ctx))
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	body, err := io.ReadAll(response.Body)
	return &reply{response, string(body), err}
}

// client returns a client whose connections end with the test.
func client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (g *gateway) get(t *testing.T, path string) *reply {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.url+path, nil)
	require.NoError(t, err)
	return g.send(t, request)
}

// post asks a service of the repository group/project.git.
func (g *gateway) post(t *testing.T, name string, body io.Reader) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(
		t.Context(), http.MethodPost, g.url+"/group/project.git/"+name, body,
	)
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/x-"+name+"-request")
	return request
}

func (g *gateway) fetch(t *testing.T, body string) *reply {
	t.Helper()
	return g.send(t, g.post(t, "git-upload-pack", strings.NewReader(body)))
}

func (g *gateway) push(t *testing.T, body string) *reply {
	t.Helper()
	return g.send(t, g.post(t, "git-receive-pack", strings.NewReader(body)))
}

// echo answers a push with what was pushed.
func echo(stream pushStream) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		err = stream.Send(&gitalypb.PostReceivePackResponse{Data: request.GetData()})
		if err != nil {
			return err
		}
	}
}

// echoFetch answers a fetch with what was asked.
func echoFetch(ctx context.Context, _ *gitalypb.PostUploadPackWithSidechannelRequest) error {
	channel, err := sidechannel.Open(ctx)
	if err != nil {
		return err
	}
	_, err = io.Copy(channel, channel)
	if closed := channel.Close(); err == nil {
		err = closed
	}
	return err
}
