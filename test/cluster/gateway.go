package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"praefect/proxy/backchannel"
	"praefect/proxy/githttp"
	"praefect/proxy/sidechannel"
)

// headerTimeout is how long a client of the gateway may take to say what it wants.
const headerTimeout = 10 * time.Second

// gateway serves Git over HTTP in this process by calling the proxy as a client like any other. It
// finds the proxy again after a restart.
type gateway struct {
	url    string
	server *http.Server
	conn   *grpc.ClientConn
	mux    *backchannel.Client
	served chan error
}

// startGateway serves the repositories of a virtual storage of the proxy at address.
func startGateway(
	ctx context.Context, address string, config Config, log *zap.Logger,
) (*gateway, error) {
	sidechannels := sidechannel.NewRegistry(log)
	mux := backchannel.NewClient(insecure.NewCredentials(),
		backchannel.Services{Sidechannel: sidechannels.Accept}, log, backchannel.DefaultConfig())
	g := &gateway{mux: mux, served: make(chan error, 1)}

	conn, err := Dial(address, config.Token, grpc.WithTransportCredentials(mux))
	if err != nil {
		return nil, errors.Join(err, mux.Close())
	}
	g.conn = conn

	handler, err := githttp.New(conn, sidechannels, log,
		githttp.Config{Storage: config.VirtualStorage})
	if err != nil {
		return nil, errors.Join(err, g.disconnect())
	}

	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen: %w", err), g.disconnect())
	}

	g.url = "http://" + listener.Addr().String()
	g.server = &http.Server{Handler: handler, ReadHeaderTimeout: headerTimeout}
	go func() { g.served <- g.server.Serve(listener) }()

	return g, nil
}

// close cuts all clients off and waits until nothing is served any more.
func (g *gateway) close() error {
	err := g.server.Close()
	if served := <-g.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}

	return errors.Join(err, g.disconnect())
}

func (g *gateway) disconnect() error { return errors.Join(g.conn.Close(), g.mux.Close()) }
