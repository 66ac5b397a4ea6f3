//go:build sabotage

package failpoint_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/transaction/failpoint"
)

func TestSabotagesWhatIsNamed(t *testing.T) {
	t.Parallel()

	require.Contains(t, failpoint.Tags(), "sabotage")
	require.NoError(t, failpoint.Check())
	require.False(t, failpoint.Listed())
	for _, variant := range failpoint.Variants() {
		require.Equal(t, variant == sabotagedVariant, failpoint.Sabotaged(variant), variant)
	}
}
