package cluster

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// readyPoll is how often a starting program is asked, readyAnswer how long it has to answer.
const (
	readyPoll   = 20 * time.Millisecond
	readyAnswer = time.Second
)

// WaitServing waits until the gRPC health service at address (tcp://host:port or unix:path)
// answers SERVING. It fails with ErrEnded and the end of the log when the program ends before.
func WaitServing(ctx context.Context, process *Process, address string) error {
	conn, err := grpc.NewClient(
		Target(address), grpc.WithTransportCredentials(insecure.NewCredentials()),
	)
	if err != nil {
		return fmt.Errorf("create client: %w", err)
	}
	defer conn.Close() //nolint:errcheck // A probe has nothing to lose.

	client := grpc_health_v1.NewHealthClient(conn)

	return poll(ctx, process, func(ctx context.Context) bool {
		conn.ResetConnectBackoff()
		answer, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{})

		return err == nil &&
			answer.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING
	})
}

// poll asks until the answer is yes, the program has ended, or ctx ends.
func poll(ctx context.Context, process *Process, ask func(context.Context) bool) error {
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()

	for {
		askCtx, cancel := context.WithTimeout(ctx, readyAnswer)
		ready := ask(askCtx)
		cancel()

		if ready {
			return nil
		}

		select {
		case <-ticker.C:
		case <-process.Done():
			return fmt.Errorf("%w with code %d: %s",
				ErrEnded, process.ExitCode(), process.LogTail())
		case <-ctx.Done():
			return fmt.Errorf("wait until serving: %w: %s",
				context.Cause(ctx), process.LogTail())
		}
	}
}
