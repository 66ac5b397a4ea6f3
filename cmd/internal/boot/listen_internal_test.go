package boot

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()

	for address, want := range map[string][2]string{
		"127.0.0.1:2305":       {"tcp", "127.0.0.1:2305"},
		"tcp://127.0.0.1:2305": {"tcp", "127.0.0.1:2305"},
		":2305":                {"tcp", ":2305"},
		"unix:/run/p.socket":   {"unix", "/run/p.socket"},
		"unix:///run/p.socket": {"unix", "/run/p.socket"},
		"unix://p.socket":      {"unix", "p.socket"},
		"/run/p.socket":        {"unix", "/run/p.socket"},
	} {
		network, target := parseAddress(address)
		require.Equal(t, want, [2]string{network, target}, address)
	}
}

func TestListenReplacesLeftOver(t *testing.T) {
	t.Parallel()

	path := filepath.Join(t.TempDir(), "p")
	left, err := listen(t.Context(), path)
	require.NoError(t, err)
	left.(*net.UnixListener).SetUnlinkOnClose(false) // As if the process had been killed.
	require.NoError(t, left.Close())
	require.FileExists(t, path)

	again, err := listen(t.Context(), path)
	require.NoError(t, err)
	require.NoError(t, again.Close())
	require.NoFileExists(t, path)
}

func TestListenDoesNotSteal(t *testing.T) {
	t.Parallel()

	path := filepath.Join(t.TempDir(), "p")
	live, err := listen(t.Context(), path)
	require.NoError(t, err)
	defer live.Close() //nolint:errcheck // The test is over.

	_, err = listen(t.Context(), "unix://"+path)
	require.ErrorIs(t, err, errSocketInUse)
	require.FileExists(t, path)

	file := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
	_, err = listen(t.Context(), file)
	require.ErrorContains(t, err, "is not a socket")
	require.FileExists(t, file)

	tcp, err := listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	defer tcp.Close() //nolint:errcheck // The test is over.
	_, err = listen(t.Context(), "tcp://"+tcp.Addr().String())
	require.ErrorContains(t, err, "address already in use")
}
