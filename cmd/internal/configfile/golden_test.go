package configfile_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// golden compares with a file; PRAEFECT_REWRITE=1 writes it instead.
func golden(t *testing.T, path, got string) {
	t.Helper()

	if os.Getenv("PRAEFECT_REWRITE") != "" {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}
