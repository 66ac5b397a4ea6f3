package acceptance_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"praefect/proxy/certificate/authority"
	"praefect/test/cluster"
)

// secured starts a cluster whose proxy listens with and without TLS.
func secured(t *testing.T) (c *cluster.Cluster, address string, own *authority.Authority) {
	t.Helper()
	own, err := authority.New("acceptance")
	require.NoError(t, err)
	files, err := own.Write(t.TempDir(), "localhost", "127.0.0.1")
	require.NoError(t, err)
	address, err = cluster.FreeAddress(t.Context())
	require.NoError(t, err)

	return start(t, cluster.Config{
		Head: fmt.Sprintf("tls_listen_addr = %q\n", address),
		Extra: fmt.Sprintf("[tls]\ncertificate_path = %q\nkey_path = %q\n",
			files.Certificate, files.Key),
	}), address, own
}

// TestT101SecuredListener writes in the clear and reads over TLS, as clients do while they are
// moved from one to the other.
//
// Requirements: T101, T102, T103, T107
func TestT101SecuredListener(t *testing.T) {
	t.Parallel()
	c, address, own := secured(t)
	plain := dialled(t, c, c.Proxy().Address)
	repository := create(t, plain, "moved.git")
	require.NoError(t, write(t.Context(), plain, repository, "main"))

	conn, err := cluster.Dial("tcp://"+address, c.Token(), grpc.WithTransportCredentials(
		credentials.NewClientTLSFromCert(own.Pool(), "localhost")))
	require.NoError(t, err)
	defer conn.Close() //nolint:errcheck // The test is over.
	require.NoError(t, exists(t.Context(), conn, repository))
	require.NoError(t, write(t.Context(), conn, repository, "other"))
	require.NoError(t, exists(t.Context(), dialled(t, c, c.Proxy().Socket), repository))
	counted := scrape(t, c.Proxy().Metrics)
	for _, kind := range []string{"tcp", "tls", "unix"} {
		require.Regexp(t,
			`(?m)^gitaly_praefect_connections_total\{type="`+kind+`"\} [1-9]`, counted)
	}
	require.Contains(t, counted, `gitaly_praefect_connections_total{type="tls"} 1`+"\n")
}

// TestT105WrongCertificate names a file that is not there.
func TestT105WrongCertificate(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{})
	content, err := os.ReadFile(c.Proxy().ConfigFile)
	require.NoError(t, err)
	file := c.Proxy().ConfigFile + ".tls"
	text := "tls_listen_addr = \"127.0.0.1:0\"\n" + string(content) +
		"\n[tls]\ncertificate_path = \"/none\"\nkey_path = \"/none\"\n"
	text = strings.ReplaceAll(text, "socket_path", "# socket_path")
	text = strings.ReplaceAll(text, "prometheus_listen_addr", "# prometheus_listen_addr")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))

	process := spawn(t, suite.programs.Praefect, "-config", file)
	require.NoError(t, process.Wait(t.Context()))
	require.Equal(t, 1, process.ExitCode())
	require.Contains(t, process.LogTail(), "load certificate key pair: open /none")
}

// TestCommandsOverTLS has a proxy that demands certificates of clients, and commands whose file
// knows no other way to it: they show the one that nodes are shown.
//
// Requirements: T101
func TestCommandsOverTLS(t *testing.T) {
	t.Parallel()
	own, err := authority.New("acceptance")
	require.NoError(t, err)
	files, err := own.Write(t.TempDir(), "localhost")
	require.NoError(t, err)
	address, err := cluster.FreeAddress(t.Context())
	require.NoError(t, err)
	security := fmt.Sprintf("[tls]\ncertificate_path = %q\nkey_path = %q\nclient_ca_path = %q\n"+
		"[node_tls]\ncertificate_path = %q\nkey_path = %q\n",
		files.Certificate, files.Key, files.Authority, files.Certificate, files.Key)
	c := start(t, cluster.Config{
		Head: fmt.Sprintf("tls_listen_addr = %q\n", address), Extra: security,
	})
	create(t, dialled(t, c, c.Proxy().Address), "secret.git")

	edit(t, c.Proxy(), func(text string) string {
		_, port, err := net.SplitHostPort(address)
		require.NoError(t, err)
		text = set(set(text, "socket_path", ""), "listen_addr", "")

		return set(text, "tls_listen_addr", "0.0.0.0:"+port)
	})
	require.Equal(t, "Virtual storage: default\n  All repositories are available!\n",
		command(t, c, "dataloss"))
	require.NotEmpty(t, metadataOf(t, c, "secret.git").Primary)
	command(t, c, "verify", "-virtual-storage", "default")
	repository := []string{"-virtual-storage", "default", "-relative-path", "secret.git"}
	command(t, c, append([]string{"set-replication-factor", "-replication-factor", "2"},
		repository...)...)
	require.Contains(t, command(t, c, append([]string{"remove-repository", "-apply"},
		repository...)...), "Repository removal completed.\n")
}
