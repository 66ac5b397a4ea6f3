package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"praefect/coordinator/postgres/pgserver"
	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

// withOwnServer gives the cluster a PostgreSQL server that no other test uses.
func withOwnServer(_ *testing.T, _ *rig, config *cluster.Config) {
	config.Database = cluster.Database{}
}

// TestHealthFollowsDatabase watches gRPC health while PostgreSQL goes away or stops taking writes,
// and comes back.
//
// Requirements: T044
func TestHealthFollowsDatabase(t *testing.T) {
	t.Parallel()

	for name, outage := range map[string]struct {
		begin, end func(ctx context.Context, t *testing.T, server *pgserver.Server)
	}{
		"stopped": {
			begin: func(_ context.Context, t *testing.T, server *pgserver.Server) {
				t.Helper()
				require.NoError(t, server.Halt(pgserver.Fast))
			},
			end: func(ctx context.Context, t *testing.T, server *pgserver.Server) {
				t.Helper()
				require.NoError(t, server.Resume(ctx))
			},
		},
		"read-only": {
			begin: func(ctx context.Context, t *testing.T, server *pgserver.Server) {
				t.Helper()
				execute(ctx, t, server, "ALTER SYSTEM SET default_transaction_read_only = on")
			},
			end: func(ctx context.Context, t *testing.T, server *pgserver.Server) {
				t.Helper()
				execute(ctx, t, server, "ALTER SYSTEM RESET default_transaction_read_only")
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r := startRig(t, withOwnServer)
			ctx, cancel := context.WithTimeout(t.Context(), 2*waitLong)
			defer cancel()
			watched, err := healthpb.NewHealthClient(r.conn).Watch(
				ctx, &healthpb.HealthCheckRequest{})
			require.NoError(t, err)
			requireNext(t, watched, healthpb.HealthCheckResponse_SERVING)

			outage.begin(ctx, t, r.Server())
			begun := time.Now()
			requireNext(t, watched, healthpb.HealthCheckResponse_NOT_SERVING)
			require.Less(t, time.Since(begun), promised)
			ready, err := gitalypb.NewServerServiceClient(r.conn).ReadinessCheck(
				ctx, &gitalypb.ReadinessCheckRequest{})
			require.NoError(t, err)
			require.Contains(t, ready.GetFailureResponse().String(), "praefect lease")

			outage.end(ctx, t, r.Server())
			begun = time.Now()
			requireNext(t, watched, healthpb.HealthCheckResponse_SERVING)
			require.Less(t, time.Since(begun), promised)
			r.createRepository(t)
		})
	}
}

// requireNext demands that the next change of health is the given one.
func requireNext(
	t *testing.T, watched grpc.ServerStreamingClient[healthpb.HealthCheckResponse],
	want healthpb.HealthCheckResponse_ServingStatus,
) {
	t.Helper()

	answer, err := watched.Recv()
	require.NoError(t, err)
	require.Equal(t, want, answer.GetStatus())
}

// execute changes a setting of a server, for all of its sessions.
func execute(ctx context.Context, t *testing.T, server *pgserver.Server, statement string) {
	t.Helper()

	conn, err := pgx.Connect(ctx, server.DSN("postgres"))
	require.NoError(t, err)
	defer conn.Close(ctx) //nolint:errcheck // Nothing is under way.
	for _, statement := range []string{statement, "SELECT pg_reload_conf()"} {
		_, err := conn.Exec(ctx, statement)
		require.NoError(t, err)
	}
}
