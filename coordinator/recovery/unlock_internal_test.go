package recovery

import (
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

// TestLooksBecomeRare while there is nothing to do but to wait for others.
func TestLooksBecomeRare(t *testing.T) {
	t.Parallel()
	u := &unlocking{
		Worker: &Worker{config: Config{}.withDefaults()}, seen: map[coordinator.Storage]lock{},
	}
	often := u.config.Settle / 2
	pause := often
	for range 10 {
		pause = u.pause(pause)
	}
	require.Equal(t, lookRarely*u.config.Settle, pause)
	u.seen["a"] = lock{text: "locks: refs/heads/main.lock"}
	require.Equal(t, often, u.pause(pause))
}
