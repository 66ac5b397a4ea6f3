package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/urfave/cli/v3"
	"google.golang.org/grpc/health/grpc_health_v1"

	"praefect/cmd/internal/configfile"
	"praefect/coordinator"
	"praefect/coordinator/postgres"
	"praefect/migrations"
)

const (
	// checkTimeout bounds each check.
	checkTimeout = 5 * time.Second
	// healthWait bounds the question for the health of all nodes together. A server gives each a
	// second; what is left of the time of a check is for the database.
	healthWait = 2 * time.Second

	severityFatal   = "fatal"
	severityWarning = "warning"
)

var (
	errChecksFailed = errors.New("checks failed")
	errUnavailable  = errors.New("repositories unavailable")
)

func checkCommand() *cli.Command {
	return &cli.Command{
		Name:  "check",
		Usage: "check database, nodes and repositories",
		Description: "Runs one check after the other. The exit status is 1 if one failed that is " +
			"fatal.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "q", Usage: "print one line a check"}, jsonFlag(),
		},
		Action: subcommand(check),
	}
}

// diagnosis is one check. It prints details to the writer.
type diagnosis struct {
	name, description, severity string
	run                         func(context.Context, *configfile.Loaded, io.Writer) error
}

func diagnoses() []diagnosis {
	return []diagnosis{
		{
			"praefect migrations", "confirms whether or not all praefect migrations have run",
			severityFatal, checkMigrations,
		},
		{
			"gitaly node connectivity & disk access",
			"confirms if praefect can reach all of its gitaly nodes, and whether or not the " +
				"gitaly nodes can read/write from and to its storages.",
			severityFatal, checkNodes,
		},
		{
			"database read/write",
			"checks if praefect can write/read to and from the database",
			severityFatal, checkDatabase,
		},
		{
			"unavailable repositories",
			"lists repositories that are missing a valid primary, hence rendering them " +
				"unavailable",
			severityWarning, checkRepositories,
		},
	}
}

// checked is what programs are told about one check.
type checked struct {
	Name     string `json:"name"`
	Severity string `json:"severity"`
	Passed   bool   `json:"passed"`
	Error    string `json:"error,omitempty"`
}

func check(ctx context.Context, cmd *cli.Command, config *configfile.Loaded) error {
	report := &checkReport{
		printer: printer{out: cmd.Root().Writer},
		quiet:   cmd.Bool("q"), silent: cmd.Bool(flagJSON), results: []checked{},
	}
	for _, one := range diagnoses() {
		report.run(ctx, one, config)
	}
	if report.silent {
		report.err = sayJSON(report.out, report.results)
	}

	return report.end()
}

// checkReport is one run of the command.
type checkReport struct {
	printer
	// quiet prints no details, silent nothing at all.
	quiet, silent bool
	results       []checked
}

func (r *checkReport) run(ctx context.Context, one diagnosis, config *configfile.Loaded) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()

	details := r.out
	switch {
	case r.silent:
		details = io.Discard
	case r.quiet:
		details = io.Discard
		r.say("Checking %s...", one.name)
	default:
		r.say("Checking %s - %s [%s]\n", one.name, one.description, one.severity)
	}
	result := checked{Name: one.name, Severity: one.severity, Passed: true}
	err := one.run(ctx, config, details)
	if err != nil {
		result.Passed, result.Error = false, err.Error()
	}
	r.results = append(r.results, result)
	switch {
	case r.silent:
	case err != nil:
		r.say("Failed (%s) error: %s\n", one.severity, err)
	default:
		r.say("Passed\n")
	}
}

// end prints the summary.
func (r *checkReport) end() error {
	failed, fatal := 0, false
	for _, result := range r.results {
		if !result.Passed {
			failed++
			fatal = fatal || result.Severity == severityFatal
		}
	}
	if !r.silent {
		switch {
		case failed == 0:
			r.say("\nAll checks passed.\n")
		case fatal:
			r.say("\n%d check(s) failed, at least one was fatal.\n", failed)
		default:
			r.say("\n%d check(s) failed, but none are fatal.\n", failed)
		}
	}
	if fatal {
		return errors.Join(r.err, errChecksFailed)
	}

	return r.err
}

func checkMigrations(ctx context.Context, config *configfile.Loaded, _ io.Writer) error {
	return withMigrator(ctx, config, func(migrator *migrations.Migrator) error {
		all, err := migrator.Status(ctx)
		if err != nil {
			return err
		}
		pending := 0
		for _, migration := range all {
			switch {
			case migration.Unknown:
				return noPlan(fmt.Errorf("%s: %w", migration.Name, migrations.ErrUnknownMigration))
			case migration.AppliedAt.IsZero():
				pending++
			}
		}
		if pending > 0 {
			return fmt.Errorf("%d migrations have not been run", pending)
		}

		return nil
	})
}

func checkNodes(ctx context.Context, config *configfile.Loaded, out io.Writer) error {
	probes, err := probesOf(config, out)
	if err != nil {
		return err
	}

	return probeAll(ctx, probes)
}

func checkDatabase(ctx context.Context, config *configfile.Loaded, out io.Writer) error {
	store, err := openStore(ctx, config)
	if err != nil {
		return fmt.Errorf("error opening database connection: %w", err)
	}
	defer store.Close()
	if err := store.ProbeRead(ctx); err != nil {
		return fmt.Errorf("error reading from table: %w", err)
	}
	if err := say(out, "successfully read from database\n"); err != nil {
		return err
	}
	if err := store.ProbeWrite(ctx); err != nil {
		return fmt.Errorf("error writing to table: %w", err)
	}

	return say(out, "successfully wrote to database\n")
}

func checkRepositories(ctx context.Context, config *configfile.Loaded, out io.Writer) error {
	return withNodes(ctx, config, func(nodes *nodes, store *postgres.Store) error {
		healthy := nodes.healthy(ctx)
		found, err := store.TallyUnavailable(ctx, config.Cluster().Places(func(
			virtual coordinator.VirtualStorage, storage coordinator.Storage,
		) bool {
			return healthy[[2]string{string(virtual), string(storage)}]
		}))
		if err != nil {
			return err
		}

		return sayUnavailable(out, config, found)
	})
}

// sayUnavailable returns an error if there are repositories that no healthy node can serve.
func sayUnavailable(
	out io.Writer, config *configfile.Loaded, found []coordinator.Tally,
) error {
	counts := map[string]int64{}
	for _, tally := range found {
		counts[string(tally.VirtualStorage)] = tally.Number
	}
	p, lost := &printer{out: out}, false
	for _, virtual := range config.VirtualStorages {
		count, noun := counts[virtual.Name], "repositories that are"
		if count == 1 {
			noun = "repository that is"
		}
		if count > 0 {
			lost = true
			p.say("virtual-storage %q has %d %s unavailable.\n", virtual.Name, count, noun)
		}
	}
	if lost {
		return errors.Join(p.err, errUnavailable)
	}
	p.say("All repositories are available.\n")

	return p.err
}

// healthy asks all nodes at the same time. One that does not answer in time is not healthy.
func (n *nodes) healthy(ctx context.Context) map[[2]string]bool {
	ctx, cancel := context.WithTimeout(ctx, healthWait)
	defer cancel()
	var (
		mu    sync.Mutex // guards found
		found = map[[2]string]bool{}
		asked sync.WaitGroup
	)
	for key, conn := range n.conns {
		asked.Go(func() {
			answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx,
				&grpc_health_v1.HealthCheckRequest{})
			mu.Lock()
			defer mu.Unlock()
			found[key] = err == nil &&
				answer.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING
		})
	}
	asked.Wait()

	return found
}
