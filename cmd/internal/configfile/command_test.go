package configfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/cmd/internal/configfile"
)

// program writes an executable shell script.
func program(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "more")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700))

	return path
}

func withProgram(t *testing.T, script string) (*configfile.Loaded, error) {
	t.Helper()

	return configfile.Load(write(t, `
config_command = "`+program(t, script)+`"
listen_addr = "127.0.0.1:0"
colour = "blue"
[[virtual_storage]]
name = "default"
[[virtual_storage.node]]
storage = "gitaly-1"
address = "tcp://h1:1"
[[virtual_storage.node]]
storage = "gitaly-2"
address = "tcp://h2:1"
token = "old"
`))
}

// TestConfigCommand lays secrets over a file that has everything else.
func TestConfigCommand(t *testing.T) {
	t.Parallel()

	loaded, err := withProgram(t, `cat <<END
{"virtual_storage": [{"node": [{"token": "first"}, {"token": null}]}],
 "Auth": {"Token": "external"}, "tls": {"cert_path": "/cert"}, "zone": "$0-$#",
 "graceful_stop_timeout": "3s", "yamux": {"accept_backlog": 300}, "size": 1,
 "prometheus": {"grpc_latency_buckets": [0.5, 1]}}
END`)
	require.NoError(t, err)
	require.NoError(t, loaded.Validate())

	nodes := loaded.Nodes()
	require.Len(t, nodes, 2)
	require.Equal(t, "tcp://h1:1", nodes[0].Address)
	require.Equal(t, "first", nodes[0].Token)
	require.Equal(t, "old", nodes[1].Token)
	require.Equal(t, "external", loaded.Auth.Secret())
	require.Equal(t, "/cert", loaded.TLS.CertificatePath)
	require.True(t, strings.HasSuffix(loaded.Zone, "/more-0"), "run without arguments")
	require.Equal(t, "3s", loaded.GracefulStopTimeout.String())
	require.Equal(t, 300, loaded.Yamux.AcceptBacklog)
	require.InDeltaSlice(t, []float64{0.5, 1}, loaded.Prometheus.GRPCLatencyBuckets, 0)
	require.Equal(t, []configfile.Note{{Key: "colour", Line: 4}, {Key: "size"}}, loaded.Unknown)
}

func TestConfigCommandFails(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct{ script, want string }{
		"status": {
			"echo no vault >&2; exit 3",
			`running config command: exit status 3, stderr: "no vault\n"`,
		},
		"no JSON": {"echo token = x", "unmarshalling generated config: invalid character"},
		"type": {
			`echo '{"yamux": {"accept_backlog": "many"}}'`,
			"unmarshalling generated config: yamux.accept_backlog: cannot decode TOML string",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := withProgram(t, tc.script)
			require.ErrorContains(t, err, tc.want)
		})
	}

	_, err := configfile.Load(write(t, "config_command = '/nonexistent/x'"))
	require.EqualError(t, err,
		"running config command: fork/exec /nonexistent/x: no such file or directory")
}
