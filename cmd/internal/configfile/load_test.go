package configfile_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"praefect/cmd/internal/configfile"
	"praefect/coordinator"
	"praefect/coordinator/postgres"
	"praefect/coordinator/repair"
	"praefect/proxy/auth"
	"praefect/proxy/relay"
	"praefect/transaction/registry"
)

func write(t *testing.T, content string) string {
	t.Helper()

	path := filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))

	return path
}

func keys(notes []configfile.Note) []string {
	var out []string
	for _, note := range notes {
		out = append(out, note.Key)
	}

	return out
}

func TestLoadFull(t *testing.T) {
	t.Parallel()

	loaded, err := configfile.Load("testdata/full.toml")
	require.NoError(t, err)
	require.NoError(t, loaded.Validate())
	require.Empty(t, loaded.Unknown)
	require.Equal(t, []string{
		"memory_queue_enabled",
		"i_understand_my_election_strategy_is_unsupported_and_will_be_removed_without_warning",
		"failover", "reconciliation.scheduling_interval", "virtual_storage.node.primary",
	}, keys(loaded.Inert))

	ignore := cmpopts.IgnoreUnexported(configfile.Auth{}, configfile.File{})
	require.Empty(t, cmp.Diff(full(), loaded.File, ignore,
		cmpopts.IgnoreFields(configfile.File{}, "Transactions")))
	require.Equal(t, []coordinator.Storage{"gitaly-1"},
		loaded.Cluster().VirtualStorages["default"].Near)
}

// full is what testdata/full.toml says.
func full() configfile.File {
	return configfile.File{
		ListenAddr:           "127.0.0.1:2305",
		TLSListenAddr:        "127.0.0.1:3305",
		SocketPath:           "/run/praefect.socket",
		PrometheusListenAddr: "127.0.0.1:9652",
		GracefulStopTimeout:  configfile.Duration(30 * time.Second),
		MaxConnectionAge:     configfile.Duration(30 * time.Minute),
		Zone:                 "a",
		Logging:              configfile.Logging{Format: "json", Level: "warning"},
		Sentry:               configfile.Sentry{DSN: "abcd123", Environment: "production"},
		Tracing: configfile.Tracing{
			Endpoint: "http://collector.internal:4318", SampleRatio: 0.25,
		},
		Prometheus: configfile.Prometheus{
			ScrapeTimeout:      configfile.Duration(5 * time.Second),
			GRPCLatencyBuckets: []float64{0.1, 0.2},
		},
		Auth: configfile.Auth{Token: "abc", Transitioning: true},
		TLS: configfile.TLS{
			CertificatePath: "/etc/cert.pem", KeyPath: "/etc/key.pem", MinVersion: "TLS 1.3",
			ClientCAPath: "/etc/ca.pem", ClientOptional: true,
		},
		NodeTLS: configfile.NodeTLS{
			CAPath: "/etc/nodes.pem", CertificatePath: "/etc/me.pem", KeyPath: "/etc/me.key",
		},
		Database: configfile.Database{
			Endpoint: configfile.Endpoint{
				Host: "db.internal", Port: int64(5433), User: "praefect",
				Password: `it's \ here`, DBName: "praefect_production", SSLMode: "require",
				SSLCert: "/cert", SSLKey: "/key", SSLRootCert: "/ca",
			},
			SessionPooled:  configfile.Endpoint{Host: "db.internal", Port: int64(5434)},
			HostNoProxy:    "old.internal",
			PortNoProxy:    5435,
			MaxConnections: 7, StatementTimeout: configfile.Duration(4 * time.Second),
		},
		BackgroundVerification: configfile.BackgroundVerification{
			VerificationInterval: configfile.Duration(24 * time.Hour),
		},
		Reconciliation: configfile.Reconciliation{HistogramBuckets: []float64{0.2}},
		Replication:    configfile.Replication{BatchSize: 1, ParallelStorageProcessingWorkers: 3},
		RepositoriesCleanup: configfile.RepositoriesCleanup{
			CheckInterval: configfile.Duration(2 * time.Minute),
			RunInterval:   configfile.Duration(time.Hour), RepositoriesInBatch: 3,
		},
		Yamux: configfile.Yamux{
			MaximumStreamWindowSizeBytes: 1 << 20, AcceptBacklog: 512,
		},
		VirtualStorages: fullStorages(),
	}
}

func fullStorages() []configfile.VirtualStorage {
	return []configfile.VirtualStorage{
		{
			Name: "default", DefaultReplicationFactor: 2, MinimumCopies: 2,
			Nodes: []configfile.Node{
				{
					Storage: "gitaly-1", Address: "tcp://gitaly-1.internal:8075", Token: "t1",
					Zone: "a",
				},
				{Storage: "gitaly-2", Address: "unix:/run/gitaly-2.socket"},
			},
		},
		{
			Name: "other",
			Nodes: []configfile.Node{
				{Storage: "gitaly-1", Address: "dns:gitaly-1.internal:8075"},
			},
		},
	}
}

func TestLoadMinimal(t *testing.T) {
	t.Parallel()

	loaded, err := configfile.Load(write(t, `
listen_addr = "tcp://127.0.0.1:0"
graceful_stop_timeout = 0
colour = "blue"

[[virtual_storage]]
name = "default"
[[virtual_storage.node]]
storage = "a"
address = "tcp://127.0.0.1:1"
weight = 3
`))
	require.NoError(t, err)
	require.NoError(t, loaded.Validate())
	require.Equal(t, []configfile.Note{
		{Key: "colour", Line: 4}, {Key: "virtual_storage.node.weight", Line: 11},
	}, loaded.Unknown)
	require.Equal(t, time.Minute, loaded.Grace())
	require.Equal(t, coordinator.Cluster{
		VirtualStorages: map[coordinator.VirtualStorage]coordinator.VirtualStorageConfig{
			"default": {Storages: []coordinator.Storage{"a"}},
		},
	}, loaded.Cluster())
	require.Equal(t, 256, loaded.Multiplexing().AcceptBacklog)
	require.Empty(t, loaded.Auth.Secret())
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct{ content, want string }{
		"syntax":   {"listen_addr = ", "line 1 column"},
		"type":     {"[yamux]\naccept_backlog = 'x'", "line 2 column 18: yamux.accept_backlog: "},
		"duration": {"graceful_stop_timeout = '3 days'", `unknown unit " days" in duration`},
		"duration without unit": {
			"graceful_stop_timeout = 30",
			`graceful_stop_timeout: parse duration: time: missing unit in duration "30": ` +
				`it is written as "1m30s"`,
		},
		"duration that is a fraction": {
			"[database]\nstatement_timeout = 1.5",
			`database.statement_timeout: parse duration: time: missing unit in duration "1.5"`,
		},
		"duration that is none": {
			"[transactions]\nlease = true",
			`transactions.lease: parse duration: time: invalid duration "true"`,
		},
		"duration without effect": {
			"[failover]\nmonitor_interval = 3",
			`failover.monitor_interval: parse duration: time: missing unit in duration "3"`,
		},
		"no token file": {
			"[auth]\ntoken_file = '/nonexistent/token'",
			"reading token file: open /nonexistent/token",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, err := configfile.Load(write(t, tc.content))
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "configfile.")
		})
	}

	_, err := configfile.Load("")
	require.EqualError(t, err, "open : no such file or directory")
}

func TestTokenFile(t *testing.T) {
	t.Parallel()

	secret := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(secret, []byte(" hidden\n"), 0o600))
	path := write(t, "listen_addr = 'x:1'\n[auth]\ntoken_file = '"+secret+"'\n")

	loaded, err := configfile.Load(path)
	require.NoError(t, err)
	require.Equal(t, "hidden", loaded.Auth.Secret())
	require.NotContains(t, loaded.Validate().Error(), "auth.")

	require.NoError(t, os.Chmod(secret, 0o644))
	require.ErrorContains(t, loaded.Validate(),
		"auth.token_file: file permission 0644 is too permissive, should be 0600 or 0400")

	require.NoError(t, os.WriteFile(secret, nil, 0o600))
	loaded, err = configfile.Load(path)
	require.NoError(t, err)
	require.ErrorContains(t, loaded.Validate(), "auth.token_file: the file is empty")

	loaded.Auth.Token = "other"
	require.ErrorContains(t, loaded.Validate(), "token and token_file are mutually exclusive")
}

func TestConversion(t *testing.T) {
	t.Parallel()

	loaded, err := configfile.Load("testdata/full.toml")
	require.NoError(t, err)
	endpoint := postgres.Config{
		Host: "db.internal", Port: "5433", User: "praefect", Password: `it's \ here`,
		DBName: "praefect_production", SSLMode: "require",
		SSLCert: "/cert", SSLKey: "/key", SSLRootCert: "/ca",
	}
	session := endpoint
	session.Port = "5434"
	endpoint.Session = &session
	endpoint.MaxConnections, endpoint.StatementTimeout = 7, 4*time.Second
	require.Equal(t, endpoint, loaded.Database.Config())
	require.Equal(t, auth.Config{Token: "abc", Transitioning: true}, loaded.Auth.Config())

	require.Equal(t, registry.Config{}.WithDefaults(), loaded.Transactions.Registry())
	require.Equal(t, coordinator.Config{}.WithDefaults(), loaded.Transactions.Coordinator())
	require.Equal(t, relay.DefaultConfig(), loaded.Transactions.Relay())

	require.Equal(t, repair.Config{
		PerTarget: 3, Batch: 1, LatencyBuckets: []float64{0.1, 0.2}, ClaimBuckets: []float64{0.2},
	}, loaded.Repair())

	loaded, err = configfile.Load(write(t, `
[transactions]
turn_wait = "1s"
vote_timeout = "2s"
grace_max = "3s"
drain_timeout = "4s"
lease = "6s"
lease_margin = "1s"
settle = "3s"
node_deadline = "10m"
outage_reads = "serve"
`))
	require.NoError(t, err)
	voting := loaded.Transactions.Registry()
	require.Equal(t, time.Second, voting.TurnWait)
	require.Equal(t, 2*time.Second, voting.VoteTimeout)
	require.Equal(t, 3*time.Second, voting.GraceMax)
	require.Equal(t, time.Second, loaded.Transactions.Coordinator().TurnWait)
	require.Equal(t, 9*time.Second, loaded.Transactions.Coordinator().Drain)
	require.Equal(t, 4*time.Second, loaded.Transactions.Relay().Drain)
	require.Equal(t, 7*time.Second, loaded.Transactions.Coordinator().LeaseEnd)
	require.Equal(t, 3*time.Second, loaded.Transactions.Coordinator().Settle)
	require.Equal(t, 10*time.Minute, loaded.Transactions.Coordinator().NodeDeadline)
	require.Equal(t, coordinator.OutageServe, loaded.Transactions.Coordinator().OutageReads)
	lease := loaded.Transactions.Membership("p")
	require.Equal(t, "p", lease.Name)
	require.Equal(t, 6*time.Second, lease.Lease)
	require.Equal(t, time.Second, lease.Margin)
}
