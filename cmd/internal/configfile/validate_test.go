package configfile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/cmd/internal/configfile"
)

// everythingWrong has a bad value for each rule.
const everythingWrong = `
listen_addr = "everywhere"
tls_listen_addr = "tls://0.0.0.0:70000"
prometheus_listen_addr = "everywhere"
graceful_stop_timeout = "-1s"
max_connection_age = "-2s"
[logging]
format = "xml"
level = "loud"
[sentry]
sentry_dsn = "s3cret"
[tracing]
endpoint = "http://me:s3cret@collector:4318"
sample_ratio = 1.5
[prometheus]
scrape_timeout = "-1s"
grpc_latency_buckets = [3.0, 2.0]
[auth]
token_file = "testdata/full.toml"
token = "a"
[tls]
certificate_path = "/nope"
key_path = "/tmp"
key = "PEM"
min_version = "SSL 3"
client_certificate_optional = true
[node_tls]
key_path = "/nope"
[database]
port = "5432,0"
sslmode = "perhaps"
sslcert = "/cert"
port_no_proxy = 70000
max_connections = -1
statement_timeout = "-1s"
[database.session_pooled]
port = true
[background_verification]
verification_interval = "-1s"
[replication]
batch_size = 0
parallel_storage_processing_workers = 0
[repositories_cleanup]
check_interval = "1s"
run_interval = "2s"
repositories_in_batch = 0
[failover]
election_strategy = "vote"
read_error_threshold_count = 1
[reconciliation]
scheduling_interval = "-1s"
histogram_buckets = [3, 2]
[yamux]
accept_backlog = 0
maximum_stream_window_size_bytes = 1
[transactions]
lease = "10ms"
lease_margin = "-1s"
settle = "-1s"
grace_min = "2s"
grace_max = "1s"
outage_reads = "often"
[[virtual_storage]]
name = "d"
minimum_copies = 4
default_replication_factor = 4
[[virtual_storage.node]]
storage = "a"
address = "127.0.0.1:1"
[[virtual_storage.node]]
storage = "a"
[[virtual_storage.node]]
address = "tcp://h:1"
[[virtual_storage]]
name = "d"
[[virtual_storage]]
`

// TestValidateAll asserts that one run reports every finding with the key to change, the value, and
// what is accepted.
//
// Requirements: T075
func TestValidateAll(t *testing.T) {
	t.Parallel()

	loaded, err := configfile.Load(write(t, everythingWrong))
	require.NoError(t, err)

	var lines []string
	for _, finding := range loaded.Findings() {
		line := finding.String()
		if finding.Tolerated {
			line += " (tolerated)"
		}
		lines = append(lines, line)
	}
	golden(t, "testdata/everything-wrong.txt", strings.Join(lines, "\n")+"\n")

	refused := strings.Split(loaded.Validate().Error(), "\n")
	require.Equal(t, "46 findings:", refused[0])
	require.NotContains(t, loaded.Validate().Error(), "parallel_storage_processing_workers")
	require.NotEmpty(t, loaded.Warnings())
}

func TestValidateOne(t *testing.T) {
	t.Parallel()

	loaded, err := configfile.Load(write(t, "socket_path = '/x'"))
	require.NoError(t, err)
	require.EqualError(t, loaded.Validate(), "virtual_storage: not set")

	loaded, err = configfile.Load(write(t, ""))
	require.NoError(t, err)
	require.ErrorContains(t, loaded.Validate(),
		`none of "socket_path", "listen_addr" or "tls_listen_addr" is set`)
	require.Empty(t, loaded.Findings()[0].Path())
}

// TestValidateCopies warns of writes that need fewer copies than the file seems to say.
func TestValidateCopies(t *testing.T) {
	t.Parallel()

	for factor, want := range map[int]string{
		0: "",
		1: "virtual_storage[0].minimum_copies: 2 is more than the default_replication_factor: a " +
			"new repository is on 1 storages, and as many copies are enough for it",
		2: "",
	} {
		loaded, err := configfile.Load(write(t, fmt.Sprintf(`
socket_path = "/x"
[[virtual_storage]]
name = "v"
minimum_copies = 2
default_replication_factor = %d
[[virtual_storage.node]]
storage = "a"
address = "tcp://h:1"
[[virtual_storage.node]]
storage = "b"
address = "tcp://h:2"
`, factor)))
		require.NoError(t, err)
		require.NoError(t, loaded.Validate())
		var said []string
		for _, finding := range loaded.Warnings() {
			said = append(said, finding.String())
		}
		require.Equal(t, want, strings.Join(said, "\n"))
	}
}

func TestFindingPath(t *testing.T) {
	t.Parallel()

	finding := configfile.Finding{Key: "virtual_storage[0].node[12].address", Message: "blank"}
	require.Equal(t, []string{"virtual_storage", "[0]", "node", "[12]", "address"}, finding.Path())
}

func TestValidateAddress(t *testing.T) {
	t.Parallel()

	for address, ok := range map[string]bool{
		"tcp://h:1": true, "tls://h:1": true, "unix:/p": true, "unix:///p": true,
		"dns:h:1": true, "dns+tls:h:1": true, "dns:///h:1": true, "dns://a:53/h:1": true,
		"tcp://": false, "http://h:1": false, "h:1": false, "": false,
	} {
		loaded, err := configfile.Load(write(t, `
listen_addr = "127.0.0.1:0"
[[virtual_storage]]
name = "v"
[[virtual_storage.node]]
storage = "s"
address = "`+address+`"
`))
		require.NoError(t, err)
		require.Equal(t, ok, loaded.Validate() == nil, address)
	}
}
