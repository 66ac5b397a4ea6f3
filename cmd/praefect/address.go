package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	experimental "google.golang.org/grpc/experimental/credentials"

	"praefect/cmd/internal/configfile"
	"praefect/proxy/auth"
	"praefect/proxy/backend"
	"praefect/proxy/gitalypb"
)

var errNoAddress = errors.New("no Praefect address configured")

// localAddress is where the Praefect of this configuration listens.
func localAddress(config *configfile.Loaded) (string, error) {
	switch {
	case config.SocketPath != "":
		return config.Socket(), nil
	case config.ListenAddr != "":
		return withScheme("tcp", config.ListenAddr), nil
	case config.TLSListenAddr != "":
		return withScheme("tls", config.TLSListenAddr), nil
	default:
		return "", errNoAddress
	}
}

func withScheme(scheme, address string) string {
	if strings.Contains(address, "://") {
		return address
	}

	return scheme + "://" + address
}

// dialPlain makes a connection without the channel back that votes need. Nothing is sent before the
// first call. Neither Praefect nor nodes negotiate a protocol below TLS.
func dialPlain(raw, token string) (*grpc.ClientConn, error) {
	address, err := backend.ParseAddress(raw)
	if err != nil {
		return nil, err
	}

	transport := insecure.NewCredentials()
	if address.TLS {
		transport = experimental.NewTLSWithALPNDisabled(&tls.Config{MinVersion: tls.VersionTLS12})
	}

	conn, err := grpc.NewClient(address.Target,
		grpc.WithTransportCredentials(transport),
		grpc.WithPerRPCCredentials(auth.Credentials(token, nil)))
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}

	return conn, nil
}

// dialPraefect returns a connection to the Praefect of this configuration. The caller closes it.
func dialPraefect(config *configfile.Loaded) (*grpc.ClientConn, error) {
	address, err := localAddress(config)
	if err != nil {
		return nil, err
	}

	return dialPlain(address, config.Auth.Secret())
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
