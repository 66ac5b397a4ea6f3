package main

import (
	"crypto/tls"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	experimental "google.golang.org/grpc/experimental/credentials"

	"praefect/cmd/internal/configfile"
	"praefect/proxy/auth"
	"praefect/proxy/backend"
	"praefect/proxy/certificate"
	"praefect/proxy/gitalypb"
)

// dialPlain makes a connection without the channel back that votes need. Nothing is sent before the
// first call. Neither Praefect nor nodes negotiate a protocol below TLS.
// Security is how peers behind TLS are met; nil means by the system's authorities.
func dialPlain(
	raw, token string, security credentials.TransportCredentials,
) (*grpc.ClientConn, error) {
	return dialSigned(raw, auth.Credentials(token, nil), security)
}

// dialSigned does the same with calls that are signed in another way.
func dialSigned(
	raw string, signer credentials.PerRPCCredentials, security credentials.TransportCredentials,
) (*grpc.ClientConn, error) {
	address, err := backend.ParseAddress(raw)
	if err != nil {
		return nil, err
	}

	transport := insecure.NewCredentials()
	switch {
	case address.TLS && security != nil:
		transport = security
	case address.TLS:
		transport = experimental.NewTLSWithALPNDisabled(&tls.Config{MinVersion: tls.VersionTLS12})
	}

	conn, err := grpc.NewClient(address.Target,
		grpc.WithTransportCredentials(transport),
		grpc.WithPerRPCCredentials(signer))
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}

	return conn, nil
}

// nodeSecurity returns how nodes behind TLS are met, as [node_tls] says.
func nodeSecurity(config *configfile.Loaded) (credentials.TransportCredentials, error) {
	store, err := certificate.Load("client", prometheus.NewRegistry(), zap.NewNop(),
		config.NodeTLS.Security())
	if err != nil {
		return nil, fmt.Errorf("node_tls: %w", err)
	}

	return store.Client(), nil
}

// askPraefect calls a function with a client of the Praefect of this configuration.
func askPraefect(
	config *configfile.Loaded, ask func(gitalypb.PraefectInfoServiceClient) error,
) error {
	conn, err := dialPraefect(config)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // It was only asked questions.

	return ask(gitalypb.NewPraefectInfoServiceClient(conn))
}
