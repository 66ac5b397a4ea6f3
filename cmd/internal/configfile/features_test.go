package configfile_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/cmd/internal/configfile"
)

func TestFeatureFlags(t *testing.T) {
	t.Parallel()
	const rest = `
listen_addr = "127.0.0.1:0"
[[virtual_storage]]
name = "default"
[[virtual_storage.node]]
storage = "a"
address = "tcp://127.0.0.1:1"
[feature_flags]
`
	loaded, err := configfile.Load(write(t, rest+"gpg_signing = false\nnew_thing = true"))
	require.NoError(t, err)
	require.NoError(t, loaded.Validate())
	require.Empty(t, loaded.Unknown)
	require.Equal(t, map[string]bool{"gpg_signing": false, "new_thing": true},
		loaded.FeatureFlags)

	loaded, err = configfile.Load(write(t, rest+`"gpg-signing" = false`))
	require.NoError(t, err)
	require.EqualError(t, loaded.Validate(), `feature_flags: invalid proxy configuration: `+
		`"gpg-signing" is no name of a feature flag: lower-case letters, digits and _`)

	_, err = configfile.Load(write(t, rest+`gpg_signing = "yes"`))
	require.ErrorContains(t, err, "feature_flags")
}
