package native

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFilesystemID(t *testing.T) {
	t.Parallel()
	require.Equal(t, "d9f04423-6b13-5949-9ffa-c06279e0796e", filesystemID("default"))
}
