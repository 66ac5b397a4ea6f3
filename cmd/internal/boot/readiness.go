package boot

import (
	"context"
	"fmt"
	"strings"

	"praefect/coordinator"
)

// readiness are the checks of the readiness call, under the names that operators know.
func (s *server) readiness() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"praefect migrations": func(ctx context.Context) error {
			return checkMigrations(ctx, s.Config.Database.Config())
		},
		"database read/write":                    s.store.Ping,
		"gitaly node connectivity & disk access": s.checkNodes,
	}
}

// checkNodes names the nodes that do not answer.
func (s *server) checkNodes(context.Context) error {
	var sick []string
	for _, node := range s.pool.Nodes() {
		healthy := s.health.Healthy(
			coordinator.VirtualStorage(node.VirtualStorage), coordinator.Storage(node.Storage))
		if !healthy {
			sick = append(sick, node.String())
		}
	}
	if len(sick) > 0 {
		return fmt.Errorf("the following nodes are not healthy: %s", strings.Join(sick, ", "))
	}

	return nil
}
