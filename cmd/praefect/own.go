package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	experimental "google.golang.org/grpc/experimental/credentials"

	"praefect/cmd/internal/configfile"
)

var errNoAddress = errors.New("no Praefect address configured")

// localAddress is where the Praefect of this configuration listens. Behind TLS everywhere is
// localhost: no certificate names it, and the commands run on the same machine.
func localAddress(config *configfile.Loaded) (string, error) {
	switch {
	case config.SocketPath != "":
		return config.Socket(), nil
	case config.ListenAddr != "":
		return withHost(withScheme("tcp", config.ListenAddr)), nil
	case config.TLSListenAddr != "":
		return "tls://" + reachable(strings.TrimPrefix(config.TLSListenAddr, "tls://")), nil
	default:
		return "", errNoAddress
	}
}

// reachable replaces the host of an address that stands for all networks.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address // It was refused as a configuration.
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		return net.JoinHostPort("localhost", port)
	}

	return address
}

// withHost completes an address that has only a port: one can listen on it, and call nobody.
func withHost(address string) string {
	return strings.Replace(address, "://:", "://localhost:", 1)
}

func withScheme(scheme, address string) string {
	if strings.Contains(address, "://") {
		return address
	}

	return scheme + "://" + address
}

// dialPraefect returns a connection to the Praefect of this configuration. The caller closes it.
func dialPraefect(config *configfile.Loaded) (*grpc.ClientConn, error) {
	address, err := localAddress(config)
	if err != nil {
		return nil, err
	}
	var security credentials.TransportCredentials
	if strings.HasPrefix(address, "tls://") {
		if security, err = ownSecurity(config); err != nil {
			return nil, err
		}
	}

	return dialPlain(address, config.Auth.Secret(), security)
}

// ownSecurity returns how the Praefect of this configuration is met behind TLS. Whoever signs
// certificates of nodes is trusted beside the system's authorities, and so is the certificate that
// it is configured to show. It must name the host nevertheless.
func ownSecurity(config *configfile.Loaded) (credentials.TransportCredentials, error) {
	trusted, err := x509.SystemCertPool()
	if err != nil {
		trusted = x509.NewCertPool() // The files may suffice.
	}
	for _, path := range []string{config.NodeTLS.CAPath, config.TLS.CertificatePath} {
		// What this user may not read, the server may; another of them may suffice here.
		if content, err := os.ReadFile(path); err == nil {
			trusted.AppendCertsFromPEM(content)
		}
	}
	security := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: trusted}
	if config.TLS.ClientCAPath != "" && !config.TLS.ClientOptional {
		if security.Certificates, err = shown(config); err != nil {
			return nil, err
		}
	}

	return experimental.NewTLSWithALPNDisabled(security), nil
}

// shown returns what a Praefect that asks its clients for a certificate is shown: what its nodes
// are shown, or, if there is no such thing, what it shows itself.
func shown(config *configfile.Loaded) ([]tls.Certificate, error) {
	table, security := "tls", config.TLS.Security()
	if config.NodeTLS.CertificatePath != "" {
		table, security = "node_tls", config.NodeTLS.Security()
	}
	security.AuthorityPath = ""
	pair, err := security.Pair()
	if err != nil {
		return nil, fmt.Errorf("the server asks for a certificate, which is that of [%s]: %w",
			table, err)
	}

	return []tls.Certificate{pair}, nil
}
