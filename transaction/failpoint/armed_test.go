//go:build failpoints

package failpoint_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/transaction/failpoint"
)

func TestHitWaitsUntilItMayGoOn(t *testing.T) {
	t.Parallel()

	require.NoError(t, failpoint.Check())
	require.Contains(t, failpoint.Tags(), "failpoints")
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "unix",
		filepath.Join(os.Getenv("FAILPOINT_DIRECTORY"), "listening"))
	require.NoError(t, err)
	defer listener.Close() //nolint:errcheck // The test is over.

	failpoint.Hit(failpoint.Routed)   // nobody listens
	failpoint.Hit(failpoint.Answered) // not named
	failpoint.Hit(failpoint.Recorded) // the first arrival does not count
	done := make(chan struct{})
	go func() {
		defer close(done)
		failpoint.Hit(failpoint.Recorded)
	}()
	conn, err := listener.Accept()
	require.NoError(t, err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("recorded %d\n", os.Getpid()), line)
	select {
	case <-done:
		require.Fail(t, "it did not wait")
	default:
	}
	_, err = conn.Write([]byte{'\n'})
	require.NoError(t, err)
	<-done
	require.NoError(t, conn.Close())
	failpoint.Hit(failpoint.Recorded) // nor does the third
}
