package boot

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"praefect/cmd/internal/configfile"
	"praefect/coordinator/membership"
	"praefect/coordinator/memory"
)

// TestReady is not ready before the first lease, unless reads are served without any.
func TestReady(t *testing.T) {
	t.Parallel()

	for policy, want := range map[string]error{"": errNoLease, "strict": errNoLease, "serve": nil} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()

			file := &configfile.File{}
			file.Transactions.OutageReads = policy
			s := &server{Options: Options{Config: file}}
			worker, err := membership.New(membership.Dependencies{
				Store: memory.New(), Registerer: prometheus.NewRegistry(),
			}, zap.NewNop(), membership.Config{Name: "test"})
			require.NoError(t, err)
			s.membership = worker
			require.ErrorIs(t, s.ready(), want)
			require.ErrorIs(t, s.checkLease(t.Context()), errNoLease)
		})
	}
}
