package main

import (
	"net"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"praefect/cmd/internal/configfile"
	"praefect/proxy/certificate"
	"praefect/proxy/certificate/authority"
)

// secured serves as a proxy does that listens with TLS alone, everywhere, and returns the port.
func secured(t *testing.T, identity configfile.TLS) string {
	t.Helper()
	store, err := certificate.Load(
		"server", prometheus.NewRegistry(), zap.NewNop(), identity.Security())
	require.NoError(t, err)
	server := grpc.NewServer(grpc.Creds(store.Server()))
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "0.0.0.0:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() { server.Stop(); require.NoError(t, <-served) })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)

	return port
}

// signed makes an authority and a certificate of it for localhost.
func signed(t *testing.T) authority.Files {
	t.Helper()
	files, err := authority.NewFiles(t.TempDir(), "localhost")
	require.NoError(t, err)

	return files
}

// TestOwnSecurity calls a proxy that listens with TLS alone, with and without certificates of
// clients.
func TestOwnSecurity(t *testing.T) {
	t.Parallel()
	files, others := signed(t), signed(t)
	identity := configfile.TLS{
		CertificatePath: files.Certificate, KeyPath: files.Key, MinVersion: "TLS 1.3",
	}
	strict, foreign := identity, identity
	strict.ClientCAPath, foreign.ClientCAPath = files.Authority, others.Authority
	plain, mutual, clients := secured(t, identity), secured(t, strict), secured(t, foreign)
	nodes := configfile.NodeTLS{CertificatePath: others.Certificate, KeyPath: others.Key}
	broken := configfile.NodeTLS{CertificatePath: "/none", KeyPath: "/none"}

	for name, tc := range map[string]struct {
		port, host string
		tls        configfile.TLS
		nodes      configfile.NodeTLS
		fails      string
	}{
		"no client certificates":      {port: plain, tls: identity, nodes: broken},
		"all networks":                {port: plain, host: "0.0.0.0", tls: identity},
		"all networks, with a scheme": {port: plain, host: "tls://[::]", tls: identity},
		"authority of the nodes": {
			port: plain, nodes: configfile.NodeTLS{CAPath: files.Authority},
		},
		"authority unknown": {port: plain, fails: "signed by unknown authority"},
		"host not in the certificate": {
			port: plain, host: "127.0.0.1", tls: identity, fails: "127.0.0.1",
		},
		"certificate of the server": {port: mutual, tls: strict},
		"certificate for nodes":     {port: clients, tls: foreign, nodes: nodes},
		// Why the server hangs up is heard, unless writing fails first.
		"certificate of somebody else": {port: clients, tls: foreign, fails: "code = Unavailable"},
		"certificate that is not there": {
			port: clients, tls: foreign, nodes: broken,
			fails: "[node_tls]: load certificate key pair",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := &configfile.Loaded{}
			config.TLSListenAddr = tc.host + ":" + tc.port
			config.TLS, config.NodeTLS = tc.tls, tc.nodes
			err := ask(t, config)
			if tc.fails == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tc.fails)
			}
		})
	}
}

// ask asks for the health of the proxy of a configuration.
func ask(t *testing.T, config *configfile.Loaded) error {
	t.Helper()
	conn, err := dialPraefect(config)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // It was only asked.
	_, err = grpc_health_v1.NewHealthClient(conn).Check(
		t.Context(), &grpc_health_v1.HealthCheckRequest{})

	return err
}

// TestLocalAddress prefers what needs no certificate.
func TestLocalAddress(t *testing.T) {
	t.Parallel()
	config := &configfile.Loaded{}
	_, err := localAddress(config)
	require.ErrorIs(t, err, errNoAddress)
	for _, step := range []struct {
		set  func()
		want string
	}{
		{func() { config.TLSListenAddr = "praefect:3305" }, "tls://praefect:3305"},
		{func() { config.TLSListenAddr = ":3305" }, "tls://localhost:3305"},
		{func() { config.ListenAddr = ":2305" }, "tcp://localhost:2305"},
		{func() { config.ListenAddr = "tcp://:2305" }, "tcp://localhost:2305"},
		{func() { config.ListenAddr = "tcp://[::]:2305" }, "tcp://[::]:2305"},
		{func() { config.ListenAddr = "0.0.0.0:2305" }, "tcp://0.0.0.0:2305"},
		{func() { config.SocketPath = "/run/praefect.socket" }, "unix:/run/praefect.socket"},
	} {
		step.set()
		address, err := localAddress(config)
		require.NoError(t, err)
		require.Equal(t, step.want, address)
	}
}
