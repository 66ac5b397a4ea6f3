package configfile_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/cmd/internal/configfile"
	"praefect/coordinator"
	"praefect/coordinator/postgres"
	"praefect/proxy/auth"
)

// TestFilesOfTheGuides loads what the package writes from the settings that operators copy out of
// the two guides: the older one with flat keys, the newer one with one hash. Nothing in them is
// wrong or unknown, and both mean the same.
//
// Requirements: T023, T036, T037, T049, T050, T067, T074
func TestFilesOfTheGuides(t *testing.T) {
	t.Parallel()
	flat, err := configfile.Load("testdata/guide-flat.toml")
	require.NoError(t, err)
	hash, err := configfile.Load("testdata/guide-hash.toml")
	require.NoError(t, err)
	for file, loaded := range map[string]*configfile.Loaded{"flat": flat, "hash": hash} {
		require.NoError(t, loaded.Validate(), file)
		require.Empty(t, loaded.Unknown, file)
		for _, finding := range loaded.Findings() {
			require.Contains(t, finding.Message, `doesn't exist: "/etc/gitlab/ssl/`, file)
		}
		require.Equal(t, auth.Config{Token: "PRAEFECT_EXTERNAL_TOKEN"}, loaded.Auth.Config(), file)
		require.Equal(t, "0.0.0.0:2305", loaded.ListenAddr, file)
		require.Equal(t, "0.0.0.0:9652", loaded.PrometheusListenAddr, file)
		for _, node := range loaded.VirtualStorages[0].Nodes {
			require.EqualValues(t, "PRAEFECT_INTERNAL_TOKEN", node.Token, file)
			require.Contains(t, node.Address, "tcp://GITALY_HOST", file)
		}
	}
	three := []coordinator.Storage{"gitaly-1", "gitaly-2", "gitaly-3"}
	require.Equal(t, three, flat.Cluster().VirtualStorages["praefect"].Storages)
	require.Equal(t, three, hash.Cluster().VirtualStorages["default"].Storages)
	require.Equal(t, []string{"virtual_storage.node.primary"}, keys(flat.Inert))

	endpoint := postgres.Config{
		Host: "POSTGRESQL_SERVER_ADDRESS", Port: "5432", User: "praefect",
		Password: "PRAEFECT_SQL_PASSWORD", DBName: "praefect_production",
		SSLMode: "disable", SSLCert: "/path/to/client-cert", SSLKey: "/path/to/client-key",
		SSLRootCert: "/path/to/rootcert",
	}
	session := endpoint
	endpoint.Session = &session
	require.Equal(t, endpoint.WithDefaults(), flat.Database.Config().WithDefaults())
	endpoint.Host, endpoint.Port = "PGBOUNCER_HOST", "6432"
	session.Host, session.Port = "POSTGRESQL_HOST", "5433"
	session.User, session.Password = "listener", "OTHER_PASSWORD"
	session.DBName, session.SSLMode = "praefect_production_direct", "verify-full"
	session.SSLCert, session.SSLKey, session.SSLRootCert = "/cert", "/key", "/root"
	require.Equal(t, endpoint.WithDefaults(), hash.Database.Config().WithDefaults())
}

// TestVerificationInterval reads what the guide says about background verification.
//
// Requirements: T156, T157, T159, T170
func TestVerificationInterval(t *testing.T) {
	t.Parallel()
	const rest = `
listen_addr = "127.0.0.1:0"
[[virtual_storage]]
name = "default"
[[virtual_storage.node]]
storage = "gitaly-1"
address = "tcp://127.0.0.1:1"
[background_verification]
`
	for value, want := range map[string]time.Duration{
		"": 7 * 24 * time.Hour, `"72h"`: 72 * time.Hour, `"1h30m"`: 90 * time.Minute,
		`"0"`: 0, "0": 0, `"-1s"`: -time.Second,
	} {
		text := rest
		if value != "" {
			text += "verification_interval = " + value
		}
		loaded, err := configfile.Load(write(t, text))
		require.NoError(t, err, value)
		require.NoError(t, loaded.Validate(), value)
		require.Equal(t, want, time.Duration(loaded.BackgroundVerification.VerificationInterval))
		require.True(t, loaded.BackgroundVerification.DeleteInvalidRecords)
	}
	_, err := configfile.Load(write(t, rest+`verification_interval = "3 days"`))
	require.ErrorContains(t, err, "background_verification.verification_interval")

	loaded, err := configfile.Load(write(t, rest+"delete_invalid_records = false"))
	require.NoError(t, err)
	require.False(t, loaded.BackgroundVerification.DeleteInvalidRecords)
}
