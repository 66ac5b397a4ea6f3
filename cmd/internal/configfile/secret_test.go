package configfile_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/cmd/internal/configfile"
	"praefect/coordinator/postgres"
)

const allSecrets = `
listen_addr = "127.0.0.1:0"
[auth]
token = "s3cret"
[sentry]
sentry_dsn = "https://s3cret@sentry.internal/1"
[tls]
key = "s3cret"
[database]
password = "s3cret"
sslmode = "require"
[database.session_pooled]
password = "s3cret"
[[virtual_storage]]
name = "default"
[[virtual_storage.node]]
storage = "gitaly-1"
address = "tcp://h1:1"
token = "s3cret"
`

// TestSecretsAreNotShown prints a configuration in every way that comes to mind.
func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()

	loaded, err := configfile.Load(write(t, allSecrets))
	require.NoError(t, err)
	asJSON, err := json.Marshal(loaded)
	require.NoError(t, err)
	for _, shown := range []string{
		fmt.Sprint(loaded), fmt.Sprintf("%+v", loaded), fmt.Sprintf("%#v", loaded),
		fmt.Sprintf("%v", loaded.Nodes()), string(asJSON),
	} {
		require.NotContains(t, shown, "s3cret")
	}
	require.Equal(t, "s3cret", loaded.VirtualStorages[0].Nodes[0].Token.Reveal())
}

// TestSecretsAreNotQuoted makes mistakes beside secrets.
func TestSecretsAreNotQuoted(t *testing.T) {
	t.Parallel()

	for _, content := range []string{
		"[auth]\ntoken = s3cret", "[auth]\ntoken = 's3cret", "[auth]\ntoken = ['s3cret']",
		"[auth]\ntoken = 's3cret' and more", "[database]\npassword = {a = 's3cret'}",
		"[database]\npassword = 's3cret'\nport = [1", "auth = 's3cret'",
	} {
		_, err := configfile.Load(write(t, content))
		require.Error(t, err, content)
		require.NotContains(t, err.Error(), "s3cret")
	}

	for _, password := range []string{"s3cret", `it's s3cret`, `\' s3cret`} {
		config := postgres.Config{
			Host: "localhost", Password: password, SSLMode: "verify-full", SSLRootCert: "/none",
		}
		_, err := config.OpenDB()
		require.ErrorIs(t, err, postgres.ErrInvalidConfig)
		require.NotContains(t, err.Error(), "s3cret")
	}
}

// TestT198UnknownKeysDoNotBreakTheStart has keys of releases before and after this one.
func TestT198UnknownKeysDoNotBreakTheStart(t *testing.T) {
	t.Parallel()

	loaded, err := configfile.Load(write(t, allSecrets+`
primary = true
[random]
key = "value"
[[random.list]]
a = 1
`))
	require.NoError(t, err)
	require.NoError(t, loaded.Validate())
	require.NotEmpty(t, loaded.Unknown)
	require.Equal(t, []string{"virtual_storage.node.primary"}, keys(loaded.Inert))
}
