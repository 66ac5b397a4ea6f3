package configfile_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/cmd/internal/configfile"
)

// TestValidateAll asserts that one run reports every finding with the key to change.
func TestValidateAll(t *testing.T) {
	t.Parallel()

	loaded, err := configfile.Load(write(t, `
config_command = "/bin/true"
graceful_stop_timeout = "-1s"
[logging]
format = "xml"
level = "loud"
[prometheus]
grpc_latency_buckets = [3.0, 2.0]
[yamux]
accept_backlog = 0
maximum_stream_window_size_bytes = 1
[transactions]
lease = "10ms"
lease_margin = "-1s"
settle = "-1s"
outage_reads = "often"
[[virtual_storage]]
name = "d"
minimum_copies = 3
[[virtual_storage.node]]
storage = "a"
address = "127.0.0.1:1"
[[virtual_storage.node]]
storage = "b"
[[virtual_storage]]
name = "d"
`))
	require.NoError(t, err)

	lines := strings.Split(loaded.Validate().Error(), "\n")
	require.Equal(t, []string{
		`17 findings:`,
		`  config_command: running a command for more configuration is not supported`,
		`  listen_addr: no listen address or socket path configured`,
		`  graceful_stop_timeout: -1s is negative`,
		`  logging: invalid logger format "xml"`,
		`  logging: not a valid log level: "loud"`,
		`  prometheus.grpc_latency_buckets: not in ascending order: [3 2]`,
		`  yamux: accept backlog must be at least 1 but it was 0`,
		`  yamux: maximum stream window size must be at least 262144 but it was 1`,
		`  transactions: invalid coordinator configuration: settle is negative`,
		`  transactions.lease: 10ms is shorter than 1s`,
		`  transactions.lease_margin: -1s is negative`,
		`  transactions.outage_reads: "often" is neither "strict" nor "serve"`,
		`  virtual_storage[0]: virtual storage "d": invalid cluster: ` +
			`minimum_copies 3 is not between 0 and 2`,
		`  virtual_storage[0].node[0].address: invalid connection string: "127.0.0.1:1"`,
		`  virtual_storage[0].node[1].address: all nodes must have an address`,
		`  virtual_storage[1].name: virtual storage "d" is configured twice`,
		`  virtual_storage[1]: virtual storage "d": invalid cluster: it has no storages`,
	}, lines)
}

func TestValidateOne(t *testing.T) {
	t.Parallel()

	loaded, err := configfile.Load(write(t, "socket_path = '/x'"))
	require.NoError(t, err)
	require.EqualError(t, loaded.Validate(), "virtual_storage: no virtual storages configured")
}

func TestValidateAddress(t *testing.T) {
	t.Parallel()

	for address, ok := range map[string]bool{
		"tcp://h:1": true, "tls://h:1": true, "unix:/p": true, "unix:///p": true,
		"dns:h:1": true, "dns+tls:h:1": true, "dns:///h:1": true,
		"tcp://": false, "http://h:1": false, "h:1": false, "": false,
	} {
		file := configfile.File{
			ListenAddr: "x",
			Logging:    configfile.Logging{Format: "text", Level: "info"},
			Yamux: configfile.Yamux{
				AcceptBacklog: 1, MaximumStreamWindowSizeBytes: 256 << 10,
			},
			VirtualStorages: []configfile.VirtualStorage{
				{Name: "v", Nodes: []configfile.Node{{Storage: "s", Address: address}}},
			},
		}
		require.Equal(t, ok, file.Validate() == nil, address)
	}
}
