package certificate_test

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"
	"google.golang.org/grpc/credentials"

	"praefect/proxy/certificate"
	"praefect/proxy/certificate/authority"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const poll = 10 * time.Millisecond

func made(t *testing.T, name string) *authority.Authority {
	t.Helper()
	a, err := authority.New(name)
	require.NoError(t, err)
	return a
}

func written(t *testing.T, a *authority.Authority, hosts ...string) authority.Files {
	t.Helper()
	files, err := a.Write(t.TempDir(), hosts...)
	require.NoError(t, err)
	return files
}

func load(t *testing.T, config certificate.Config) *certificate.Store {
	t.Helper()
	config.Poll = poll
	store, err := certificate.Load("test", prometheus.NewRegistry(), zaptest.NewLogger(t), config)
	require.NoError(t, err)
	return store
}

// accepting answers handshakes with the store's credentials until the test ends.
func accepting(t *testing.T, store *certificate.Store) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if secured, _, err := store.Server().ServerHandshake(conn); err == nil {
				_, _ = secured.Write([]byte("x")) // the client looks for it
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { require.NoError(t, listener.Close()); <-done })
	return listener.Addr().String()
}

// shake connects with the credentials and says whether the server let it in.
func shake(t *testing.T, address, name string, security credentials.TransportCredentials) error {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	defer conn.Close() //nolint:errcheck // The test is over.
	secured, _, err := security.ClientHandshake(t.Context(), name, conn)
	if err != nil {
		return err
	}
	_, err = secured.Read(make([]byte, 1))
	return err
}

// TestMutual has a server that asks for certificates, and clients with and without a good one.
func TestMutual(t *testing.T) {
	t.Parallel()
	own, stranger := made(t, "own"), made(t, "stranger")
	files, alien := written(t, own, "localhost"), written(t, stranger, "localhost")
	server := certificate.Config{
		CertificatePath: files.Certificate, KeyPath: files.Key, AuthorityPath: files.Authority,
	}
	strict := accepting(t, load(t, server))
	server.Optional = true
	lenient := accepting(t, load(t, server))

	for name, tc := range map[string]struct {
		client          certificate.Config
		strict, lenient bool
	}{
		"good": {certificate.Config{
			CertificatePath: files.Certificate, KeyPath: files.Key, AuthorityPath: files.Authority,
		}, true, true},
		"none": {certificate.Config{AuthorityPath: files.Authority}, false, true},
		// It is not even shown where only others are asked for.
		"of somebody else": {certificate.Config{
			CertificatePath: alien.Certificate, KeyPath: alien.Key, AuthorityPath: files.Authority,
		}, false, true},
		"distrusts the server": {certificate.Config{AuthorityPath: alien.Authority}, false, false},
	} {
		client := load(t, tc.client).Client()
		require.Equal(t, tc.strict, shake(t, strict, "localhost:1", client) == nil, name)
		require.Equal(t, tc.lenient, shake(t, lenient, "localhost:1", client) == nil, name)
	}
}

// TestT104NameOfTheCertificateMustMatch connects under names that are and are not in it.
func TestT104NameOfTheCertificateMustMatch(t *testing.T) {
	t.Parallel()
	own := made(t, "own")
	files, byAddress := written(t, own, "localhost"), written(t, own, "127.0.0.1")
	named := accepting(t, load(t, certificate.Config{
		CertificatePath: files.Certificate, KeyPath: files.Key,
	}))
	addressed := accepting(t, load(t, certificate.Config{
		CertificatePath: byAddress.Certificate, KeyPath: byAddress.Key,
	}))
	client := load(t, certificate.Config{AuthorityPath: files.Authority}).Client()
	require.NoError(t, shake(t, named, "localhost:1", client))
	require.ErrorContains(t, shake(t, named, "127.0.0.1:1", client), "127.0.0.1")
	require.NoError(t, shake(t, addressed, "127.0.0.1:1", client))
}

// TestT109AndT110Versions has clients of old and of new TLS, with and without ALPN.
//
// Requirements: T110
func TestT109AndT110Versions(t *testing.T) {
	t.Parallel()
	own := made(t, "own")
	files := written(t, own, "localhost")
	for _, tc := range []struct {
		least, client uint16
		protocols     []string
		ok            bool
	}{
		{0, tls.VersionTLS11, nil, false},
		{0, tls.VersionTLS12, nil, true},
		{0, tls.VersionTLS13, []string{"h2"}, true},
		{tls.VersionTLS13, tls.VersionTLS12, nil, false},
		{tls.VersionTLS13, tls.VersionTLS13, nil, true},
	} {
		address := accepting(t, load(t, certificate.Config{
			CertificatePath: files.Certificate, KeyPath: files.Key, MinVersion: tc.least,
		}))
		dialer := tls.Dialer{Config: &tls.Config{
			RootCAs: own.Pool(), ServerName: "localhost", NextProtos: tc.protocols,
			MinVersion: tls.VersionTLS11, MaxVersion: tc.client,
		}}
		conn, err := dialer.DialContext(t.Context(), "tcp", address)
		require.Equal(t, tc.ok, err == nil, tc)
		if err == nil {
			require.NoError(t, conn.Close())
		}
	}
}

// TestFollows renews a certificate under the eyes of clients: with rubbish in between.
func TestFollows(t *testing.T) {
	t.Parallel()
	own := made(t, "own")
	files := written(t, own, "old.internal")
	store := load(t, certificate.Config{CertificatePath: files.Certificate, KeyPath: files.Key})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- store.Run(ctx) }()
	defer func() { cancel(); require.NoError(t, <-done) }()

	address := accepting(t, store)
	client := load(t, certificate.Config{AuthorityPath: files.Authority}).Client()
	require.NoError(t, shake(t, address, "old.internal:1", client))

	renewed, key, err := own.Issue("new.internal")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(files.Certificate, renewed, 0o600))
	require.Never(t, func() bool {
		return shake(t, address, "old.internal:1", client) != nil
	}, 10*poll, poll, "certificate and key do not belong together")

	require.NoError(t, os.WriteFile(files.Key, key, 0o600))
	require.Eventually(t, func() bool {
		return shake(t, address, "new.internal:1", client) == nil
	}, 10*time.Second, poll)
}

func TestCannotBeUsed(t *testing.T) {
	t.Parallel()
	files := written(t, made(t, "own"), "localhost")
	for name, tc := range map[string]struct {
		config certificate.Config
		want   error
	}{
		"no file": {
			certificate.Config{CertificatePath: "/none", KeyPath: files.Key},
			certificate.ErrKeyPair,
		},
		"no key": {certificate.Config{CertificatePath: files.Certificate}, certificate.ErrKeyPair},
		"no PEM": {certificate.Config{AuthorityPath: files.Key}, certificate.ErrAuthorities},
		"swapped": {certificate.Config{
			CertificatePath: files.Key, KeyPath: files.Certificate,
		}, certificate.ErrKeyPair},
		"bad text": {certificate.Config{
			CertificatePath: files.Certificate, Key: []byte("k3y"),
		}, certificate.ErrKeyPair},
	} {
		_, err := certificate.Load(
			"test", prometheus.NewRegistry(), zaptest.NewLogger(t), tc.config)
		require.ErrorIs(t, err, tc.want, name)
		require.NotContains(t, err.Error(), "k3y")
	}
}
