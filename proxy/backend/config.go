package backend

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	expcredentials "google.golang.org/grpc/experimental/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"

	"praefect/proxy/auth"
	"praefect/proxy/backchannel"
)

const (
	// A failed connection is tried again about every second: a restarted
	// node is wanted back as soon as it listens.
	backoffBase       = time.Second
	backoffMultiplier = 1.6
	backoffJitter     = 0.2
	backoffMax        = time.Second

	// keepaliveTime is how long a connection may be silent before it is
	// pinged, keepaliveTimeout how long the answer may take. Nodes permit a
	// ping each ten seconds.
	keepaliveTime    = 20 * time.Second
	keepaliveTimeout = 20 * time.Second

	// messageMax is what one received message may take: that of gRPC, which
	// nodes and clients keep to as well.
	messageMax = 4 << 20

	// streamWindow and connWindow are what a node may send on one call, and
	// on all calls of one connection, before any of it is taken. Fixed windows
	// cost no pings, of which the library otherwise sends one with nearly
	// every small answer to find out how large they should be, up to
	// connWindow.
	streamWindow = 1 << 20
	connWindow   = 16 << 20

	// spread makes the client keep a connection to every address of a name,
	// and connect anew at once when one ends instead of with the next call.
	// There is no retry in it: retries on other nodes are decided above, and
	// a sidechannel offered once cannot be opened twice.
	spread = `{"loadBalancingConfig":[{"round_robin":{}}]}`
)

// Config holds the bounds of connections to nodes.
type Config struct {
	// Multiplexing holds those of the multiplexed connections.
	Multiplexing backchannel.Config
	// ConnectTimeout is the least time that one attempt to connect gets:
	// name look-up, TCP, TLS and the first exchange of HTTP/2. With no more
	// than the back-off of one second, a node that is busy or far away is
	// cut off in its TLS handshake again and again.
	ConnectTimeout time.Duration
	// TLS, if not nil, secures connections to nodes behind tls and dns+tls.
	TLS credentials.TransportCredentials
	// RootCAs without TLS verifies nodes behind tls and dns+tls; nil means those of the
	// system, with SSL_CERT_FILE and SSL_CERT_DIR.
	RootCAs *x509.CertPool
}

// DefaultConfig returns [backchannel.DefaultConfig], 5 s to connect, and the
// system's authorities.
func DefaultConfig() Config {
	return Config{
		Multiplexing:   backchannel.DefaultConfig(),
		ConnectTimeout: 5 * time.Second,
	}
}

// Validate reports every value that cannot work.
func (c Config) Validate() error {
	if err := c.Multiplexing.Validate(); err != nil {
		return fmt.Errorf("multiplexing: %w", err)
	}
	if c.ConnectTimeout <= 0 {
		return fmt.Errorf("connect timeout must be positive but it was %s", c.ConnectTimeout)
	}
	return nil
}

// security returns what lies below the multiplexing.
func (c Config) security(address Address) credentials.TransportCredentials {
	if !address.TLS {
		return insecure.NewCredentials()
	}
	if c.TLS != nil {
		return c.TLS.Clone()
	}
	// A node need not speak ALPN: what is in the TLS connection is not
	// HTTP/2 but multiplexed streams.
	return expcredentials.NewTLSWithALPNDisabled(&tls.Config{
		RootCAs:    c.RootCAs,
		MinVersion: tls.VersionTLS12,
	})
}

// options returns what every connection is dialled with, except its transport.
func (c Config) options(node Node, address Address) []grpc.DialOption {
	options := []grpc.DialOption{
		grpc.WithPerRPCCredentials(auth.Credentials(node.Token, nil)),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultServiceConfig(spread),
		grpc.WithDisableRetry(),
		grpc.WithInitialWindowSize(streamWindow),
		grpc.WithInitialConnWindowSize(connWindow),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time:                keepaliveTime,
			Timeout:             keepaliveTimeout,
			PermitWithoutStream: true,
		}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay:  backoffBase,
				Multiplier: backoffMultiplier,
				Jitter:     backoffJitter,
				MaxDelay:   backoffMax,
			},
			MinConnectTimeout: c.ConnectTimeout,
		}),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(messageMax),
			grpc.MaxCallSendMsgSize(math.MaxInt32),
		),
	}
	if address.Unix {
		options = append(options, grpc.WithNoProxy())
	}
	if names := resolver.Get("dns"); strings.HasPrefix(address.Target, "dns:") {
		options = append(options, grpc.WithResolvers(refreshing{names, refreshEvery}))
	}
	return options
}
