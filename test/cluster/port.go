package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports are drawn from below the range that Linux uses for outgoing connections (32768 and up): a
// port from that range can be taken by any connection while its owner is restarted.
const (
	lowestPort  = 10_000
	highestPort = 32_000
	portTries   = 100
)

// FreeAddress returns "127.0.0.1:port" with a port on which nobody listens. It does not reserve
// the port: the wide random range makes it improbable that two ask for the same.
func FreeAddress(ctx context.Context) (string, error) {
	var listen net.ListenConfig

	var last error
	for range portTries {
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		listener, err := listen.Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			last = err

			continue
		}

		if err := listener.Close(); err != nil {
			return "", fmt.Errorf("close listener: %w", err)
		}

		return listener.Addr().String(), nil
	}

	return "", fmt.Errorf("find free port: %w", last)
}
