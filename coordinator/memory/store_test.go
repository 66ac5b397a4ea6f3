package memory_test

import (
	"testing"

	"go.uber.org/goleak"

	"praefect/coordinator"
	"praefect/coordinator/memory"
	"praefect/coordinator/metadatatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestContract(t *testing.T) {
	t.Parallel()
	metadatatest.Run(t, func(*testing.T) coordinator.Store { return memory.New() })
}
