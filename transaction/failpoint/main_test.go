package failpoint_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"praefect/transaction/failpoint"
)

// The environment is read once, so it is the same for all tests.
const sabotagedVariant = failpoint.TurnSkipped

// TestMain sets the environment that the tests of tagged builds need.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "failpoint-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for name, value := range map[string]string{
		"FAILPOINT_DIRECTORY": dir,
		"PRAEFECT_FAILPOINTS": fmt.Sprintf("%s:2=%s,%s=%s", failpoint.Recorded,
			filepath.Join(dir, "listening"), failpoint.Routed, filepath.Join(dir, "silent")),
		"PRAEFECT_SABOTAGE": string(sabotagedVariant),
	} {
		if err := os.Setenv(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
