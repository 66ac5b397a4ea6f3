package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"google.golang.org/grpc/credentials"
	expcredentials "google.golang.org/grpc/experimental/credentials"
)

var (
	// ErrKeyPair says that certificate and key cannot be used.
	ErrKeyPair = errors.New("load certificate key pair")
	// ErrAuthorities says that a file of authorities has none.
	ErrAuthorities = errors.New("load authorities")
)

// pollDefault is how soon a renewed certificate is noticed.
const pollDefault = 10 * time.Second

// Config says where everything is. All files are PEM.
type Config struct {
	// CertificatePath is the own certificate with its chain; without it none is shown. Its key is
	// Key, if that is not empty, or in KeyPath.
	CertificatePath, KeyPath string
	Key                      []byte
	// AuthorityPath has those who sign the certificates of peers. A server without it asks for
	// none, a client without it trusts the system's.
	AuthorityPath string
	// Optional lets a server accept clients that show no certificate.
	Optional bool
	// MinVersion is the oldest version of TLS that is spoken. Default TLS 1.2.
	MinVersion uint16
	// Poll is how often the files are looked at. Default 10 s.
	Poll time.Duration
}

// Store holds what was read last.
type Store struct {
	config  Config
	log     *zap.Logger
	current atomic.Pointer[material]
}

// material is what follows from one content of the files.
type material struct {
	files          [][]byte
	expiry         time.Time
	server, client credentials.TransportCredentials
}

// Load reads the files. Errors match [ErrKeyPair] or [ErrAuthorities]. When the own certificate
// expires is told by a metric that is registered with registerer under the given role.
func Load(
	role string, registerer prometheus.Registerer, log *zap.Logger, config Config,
) (*Store, error) {
	if config.MinVersion == 0 {
		config.MinVersion = tls.VersionTLS12
	}
	if config.Poll == 0 {
		config.Poll = pollDefault
	}
	s := &Store{config: config, log: log.With(zap.String("role", role))}
	files, err := config.read()
	if err != nil {
		return nil, err
	}
	first, err := config.parse(files)
	if err != nil {
		return nil, err
	}
	s.current.Store(first)
	if config.CertificatePath == "" {
		return s, nil
	}
	if err := registerer.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "gitaly_praefect_certificate_expiry_timestamp_seconds",
		Help:        "When the certificate in use expires, in seconds since 1970",
		ConstLabels: prometheus.Labels{"role": role},
	}, func() float64 { return float64(s.current.Load().expiry.Unix()) })); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return s, nil
}

// Server returns the credentials of a listener. Clients need not speak ALPN.
func (s *Store) Server() credentials.TransportCredentials { return following{s} }

// Client returns the credentials of connections to nodes, which need not speak ALPN either.
func (s *Store) Client() credentials.TransportCredentials { return following{s} }

// Run follows the files until ctx ends. It returns nil.
func (s *Store) Run(ctx context.Context) error {
	ticker := time.NewTicker(s.config.Poll)
	defer ticker.Stop()
	refused := s.current.Load().files
	for {
		select {
		case <-ticker.C:
			refused = s.look(refused)
		case <-ctx.Done():
			return nil
		}
	}
}

// look takes over what has changed. It returns the content that was looked at last, so that one
// that cannot be used is told of once.
func (s *Store) look(last [][]byte) [][]byte {
	files, err := s.config.read()
	if err == nil && slices.EqualFunc(files, last, slices.Equal) {
		return last
	}
	var next *material
	if err == nil {
		next, err = s.config.parse(files)
	}
	if err != nil {
		if files != nil || last != nil {
			s.log.Warn("changed certificates cannot be used, the old ones stay", zap.Error(err))
		}
		return files
	}
	s.current.Store(next)
	s.log.Info("certificates are read again", zap.Time("expiry", next.expiry.Local()))
	return files
}

// read returns the content of all files.
func (c Config) read() ([][]byte, error) {
	var files [][]byte
	for _, one := range []struct {
		path string
		kind error
	}{
		{c.CertificatePath, ErrKeyPair},
		{c.KeyPath, ErrKeyPair},
		{c.AuthorityPath, ErrAuthorities},
	} {
		var content []byte
		if one.path != "" {
			var err error
			if content, err = os.ReadFile(one.path); err != nil {
				return nil, fmt.Errorf("%w: %w", one.kind, err)
			}
		}
		files = append(files, content)
	}
	return files, nil
}

// Pair reads the own certificate and its key. Errors match [ErrKeyPair] or [ErrAuthorities].
func (c Config) Pair() (tls.Certificate, error) {
	files, err := c.read()
	if err != nil {
		return tls.Certificate{}, err
	}
	return pair(files[0], c.key(files))
}

// key returns the own key: what is configured as text counts before the file.
func (c Config) key(files [][]byte) []byte {
	if len(c.Key) > 0 {
		return c.Key
	}
	return files[1]
}

func pair(certificate, key []byte) (tls.Certificate, error) {
	both, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%w: %w", ErrKeyPair, err)
	}
	return both, nil
}

// parse makes credentials of the files' content.
func (c Config) parse(files [][]byte) (*material, error) {
	server := &tls.Config{MinVersion: c.MinVersion}
	client := &tls.Config{MinVersion: c.MinVersion}
	m := &material{files: files}

	certificate, key, authorities := files[0], c.key(files), files[2]
	if len(certificate) > 0 || len(key) > 0 {
		own, err := pair(certificate, key)
		if err != nil {
			return nil, err
		}
		m.expiry = own.Leaf.NotAfter
		server.Certificates = []tls.Certificate{own}
		client.Certificates = server.Certificates
	}
	if c.AuthorityPath != "" {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(authorities) {
			return nil, fmt.Errorf("%w: no certificate in %s", ErrAuthorities, c.AuthorityPath)
		}
		client.RootCAs, server.ClientCAs = pool, pool
		server.ClientAuth = tls.RequireAndVerifyClientCert
		if c.Optional {
			server.ClientAuth = tls.VerifyClientCertIfGiven
		}
	}
	m.server = expcredentials.NewTLSWithALPNDisabled(server)
	m.client = expcredentials.NewTLSWithALPNDisabled(client)
	return m, nil
}
