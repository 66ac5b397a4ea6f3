package boot_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"praefect/cmd/internal/configfile"
	"praefect/proxy/gitalypb"
	"praefect/test/pgtest"
)

// hang begins a call that does not end by itself: the proxy waits for its first message. It returns
// what ends it.
func (r *running) hang(t *testing.T) func() {
	t.Helper()

	require.NoError(t, r.dial(t).Close())
	conn, err := grpc.NewClient("unix:"+r.file.SocketPath,
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)

	_, err = gitalypb.NewSmartHTTPServiceClient(conn).PostReceivePack(t.Context())
	require.NoError(t, err)
	// Calls of one connection are accepted in their order.
	_, err = grpc_health_v1.NewHealthClient(conn).Check(
		t.Context(), &grpc_health_v1.HealthCheckRequest{})
	require.NoError(t, err)

	return func() { require.NoError(t, conn.Close()) }
}

// TestGraceExpires cuts a call off that outlasts the grace.
func TestGraceExpires(t *testing.T) {
	t.Parallel()

	file := configure(t, pgtest.Migrated(t))
	file.GracefulStopTimeout = configfile.Duration(100 * time.Millisecond)
	r := start(t, file)
	release := r.hang(t)
	defer release()

	r.stop()
	require.ErrorContains(t, r.wait(t, stopWait), "grace period expired")
}

// TestForce does not wait for the grace when somebody is in a hurry.
func TestForce(t *testing.T) {
	t.Parallel()

	r := start(t, configure(t, pgtest.Migrated(t)))
	release := r.hang(t)

	r.stop()
	select {
	case err := <-r.done:
		require.Fail(t, "the server does not wait for its call", "%v", err)
	case <-time.After(200 * time.Millisecond):
	}
	close(r.force)
	require.ErrorContains(t, r.wait(t, stopWait), "force shutdown")
	release() // What was left in the background comes to its end.
}
