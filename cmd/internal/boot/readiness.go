package boot

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"praefect/coordinator"
)

// errNoLease says that this proxy may neither write nor use what it has cached. A lease is renewed
// with a write, so that it needs a database that can be reached and written to.
var errNoLease = errors.New(
	"the lease has run out: the database cannot be reached, or not be written to")

// ready says why no calls can be served. It follows the lease and so, within its length, the
// database. With outage_reads = "serve" a proxy without database is still of use: whoever spreads
// calls by health would otherwise take away all proxies at the same time, and the reads with them.
func (s *server) ready() error {
	if s.Config.Transactions.Coordinator().OutageReads == coordinator.OutageServe {
		return nil
	}

	return s.checkLease(context.Background())
}

func (s *server) checkLease(context.Context) error {
	if _, holds := s.membership.Incarnation(); !holds {
		return errNoLease
	}

	return nil
}

// readiness are the checks of the readiness call, under the names that operators know.
func (s *server) readiness() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"praefect migrations": func(ctx context.Context) error {
			return checkMigrations(ctx, s.Config.Database.Config())
		},
		"praefect lease":                         s.checkLease,
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
