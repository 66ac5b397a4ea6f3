package boot

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
		"database read/write":                    s.checkDatabase,
		"gitaly node connectivity & disk access": s.checkNodes,
		"unavailable repositories":               s.checkRepositories,
	}
}

// checkDatabase reads and writes, which leaves nothing behind.
func (s *server) checkDatabase(ctx context.Context) error {
	if err := s.store.ProbeRead(ctx); err != nil {
		return fmt.Errorf("error reading from table: %w", err)
	}
	if err := s.store.ProbeWrite(ctx); err != nil {
		return fmt.Errorf("error writing to table: %w", err)
	}

	return nil
}

// checkRepositories says how many repositories nobody can read or write. It costs what a scrape of
// them does, which looks only at what is due for repair or on a node that is not healthy, and is
// bounded by the time of a statement.
func (s *server) checkRepositories(ctx context.Context) error {
	found, err := s.store.TallyUnavailable(ctx, s.Config.Cluster().Places(s.membership.Healthy))
	if err != nil {
		return fmt.Errorf("count unavailable repositories: %w", err)
	}
	var lost []string
	for _, tally := range found {
		if tally.Number > 0 {
			lost = append(lost, fmt.Sprintf("%d in virtual storage %q",
				tally.Number, tally.VirtualStorage))
		}
	}
	if len(lost) > 0 {
		slices.Sort(lost)

		return fmt.Errorf("repositories unavailable: %s", strings.Join(lost, ", "))
	}

	return nil
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
