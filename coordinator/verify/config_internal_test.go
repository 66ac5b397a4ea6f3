package verify

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestDefaults pins what operators are told about the pace of verification.
//
// Requirements: T168
func TestDefaults(t *testing.T) {
	t.Parallel()
	config := Config{}.withDefaults()
	require.Equal(t, 10*time.Second, config.Release)
	require.Equal(t, 25, config.Batch)
	require.Equal(t, time.Second, config.Poll, "what was marked is looked at within two seconds")
}
