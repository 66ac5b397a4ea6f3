package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

const (
	schemaName   = "praefect"
	versionTable = schemaName + ".migrations"
	lockTable    = schemaName + ".migration_lock"

	// lockPause and lockTries wait up to five minutes for another run; a lease that is not renewed,
	// because its process died, ends after half a minute.
	lockPause = 500 * time.Millisecond
	lockTries = 600
	// schemaTries: two processes that make the schema at once disturb each other at most once.
	schemaTries = 3
)

//go:embed sql/*.sql
var files embed.FS

// Migration is one step of the schema.
type Migration struct {
	// Name is the file's name without its extension.
	Name    string
	Version int64
	// AppliedAt is zero while the migration is not applied.
	AppliedAt time.Time
	// Unknown says that the database has it and this release does not.
	Unknown bool
}

// Step reports on one migration while migrations run.
type Step struct {
	Name string
	// SQL are the statements that are about to be executed; empty afterwards, and for a step back.
	SQL string
	// Done says that the step has ended; before, it is about to begin.
	Done bool
	// Skipped says that another process had applied the migration meanwhile.
	Skipped  bool
	Duration time.Duration
}

// Migrator applies migrations through a database handle that it does not own. Not safe for
// concurrent use; separate Migrators, in any number of processes, may run at once.
type Migrator struct {
	db       *sql.DB
	provider *goose.Provider
}

// New returns a Migrator. It does not touch the database.
func New(db *sql.DB) (*Migrator, error) {
	locker, err := lock.NewPostgresTableLocker(
		lock.WithTableName(lockTable), lock.WithTableLockTimeout(lockPause, lockTries),
	)
	if err != nil {
		return nil, fmt.Errorf("make migration lock: %w", err)
	}
	sources, err := fs.Sub(files, "sql")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, sources,
		goose.WithTableName(versionTable), goose.WithLocker(locker),
		goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return &Migrator{db: db, provider: provider}, nil
}

func createSchema(ctx context.Context, db *sql.DB) error {
	var err error
	for range schemaTries {
		var exists bool
		err = db.QueryRowContext(ctx,
			"SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1)",
			schemaName).Scan(&exists)
		if exists {
			return nil
		}
		if err == nil {
			_, err = db.ExecContext(ctx, "CREATE SCHEMA "+schemaName)
		}
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("execute: %w", err)
}

// begun tells whether anything was ever migrated. Looking must not create the record of it.
func (m *Migrator) begun(ctx context.Context) (bool, error) {
	var begun bool
	err := m.db.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL",
		versionTable).Scan(&begun)
	if err != nil {
		return false, fmt.Errorf("look for record: %w", err)
	}
	return begun, nil
}

// Status lists all migrations by version, those of a newer release included. It changes nothing.
func (m *Migrator) Status(ctx context.Context) ([]Migration, error) {
	begun, err := m.begun(ctx)
	if err != nil {
		return nil, fmt.Errorf("read applied migrations: %w", err)
	}
	if !begun {
		var all []Migration
		for _, source := range m.provider.ListSources() {
			all = append(all, Migration{Name: name(source), Version: source.Version})
		}
		return all, nil
	}
	statuses, err := m.provider.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("read applied migrations: %w", err)
	}
	migrations := make([]Migration, 0, len(statuses))
	for _, status := range statuses {
		migrations = append(migrations, Migration{
			Name: name(status.Source), Version: status.Source.Version, AppliedAt: status.AppliedAt,
		})
	}
	unknown, err := m.unknown(ctx, migrations)
	if err != nil {
		return nil, fmt.Errorf("read applied migrations: %w", err)
	}
	return append(migrations, unknown...), nil
}

// unknown lists what is applied beyond the known migrations.
func (m *Migrator) unknown(ctx context.Context, known []Migration) ([]Migration, error) {
	rows, err := m.db.QueryContext(ctx,
		"SELECT version_id, max(tstamp) FROM "+versionTable+
			" WHERE is_applied AND version_id > 0 GROUP BY version_id ORDER BY version_id")
	if err != nil {
		return nil, fmt.Errorf("read versions: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	var unknown []Migration
	for rows.Next() {
		migration := Migration{Unknown: true}
		if err := rows.Scan(&migration.Version, &migration.AppliedAt); err != nil {
			return nil, fmt.Errorf("read version: %w", err)
		}
		if !slices.ContainsFunc(known, func(k Migration) bool {
			return k.Version == migration.Version
		}) {
			migration.Name = fmt.Sprintf("%05d", migration.Version)
			unknown = append(unknown, migration)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read versions: %w", err)
	}
	return unknown, nil
}

// Pending lists the known migrations that are not applied, in order.
func (m *Migrator) Pending(ctx context.Context) ([]Migration, error) {
	all, err := m.Status(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(migration Migration) bool {
		return migration.Unknown || !migration.AppliedAt.IsZero()
	}), nil
}

// Up applies all pending migrations and reports each before and after. Running it twice, or in
// several processes at once, applies each once. It makes the schema if that is missing, which needs
// the right to create one in the database.
func (m *Migrator) Up(ctx context.Context, progress func(Step)) error {
	if err := createSchema(ctx, m.db); err != nil {
		return fmt.Errorf("create schema %s: %w", schemaName, err)
	}
	pending, err := m.Pending(ctx)
	if err != nil {
		return err
	}
	for _, migration := range pending {
		content, err := files.ReadFile("sql/" + migration.Name + ".sql")
		if err != nil {
			return fmt.Errorf("read migration: %w", err)
		}
		statements, _, _ := strings.Cut(string(content), "-- +goose Down")
		progress(Step{Name: migration.Name, SQL: statements})
		begin := time.Now()
		_, err = m.provider.ApplyVersion(ctx, migration.Version, true)
		skipped := errors.Is(err, goose.ErrAlreadyApplied)
		if err != nil && !skipped {
			return fmt.Errorf("apply migration %s: %w", migration.Name, err)
		}
		progress(Step{
			Name: migration.Name, Done: true, Skipped: skipped, Duration: time.Since(begin),
		})
	}
	return nil
}

// DownPlan lists the migrations that rolling back so many steps would undo, the last one first.
// It returns [ErrNothingToRollBack] or [ErrUnknownMigration] if that cannot be done.
func (m *Migrator) DownPlan(ctx context.Context, steps int) ([]Migration, error) {
	applied, err := m.Status(ctx)
	if err != nil {
		return nil, err
	}
	applied = slices.DeleteFunc(applied, func(migration Migration) bool {
		return migration.AppliedAt.IsZero()
	})
	if len(applied) == 0 {
		return nil, ErrNothingToRollBack
	}
	slices.Reverse(applied)
	plan := applied[:min(steps, len(applied))]
	for _, migration := range plan {
		if migration.Unknown {
			return nil, fmt.Errorf("%s: %w", migration.Name, ErrUnknownMigration)
		}
	}
	return plan, nil
}

// Down rolls back so many migrations, the last one first, and with them the data they hold.
func (m *Migrator) Down(ctx context.Context, steps int, progress func(Step)) error {
	plan, err := m.DownPlan(ctx, steps)
	if err != nil {
		return err
	}
	for _, migration := range plan {
		progress(Step{Name: migration.Name})
		begin := time.Now()
		if _, err := m.provider.ApplyVersion(ctx, migration.Version, false); err != nil {
			return fmt.Errorf("roll back migration %s: %w", migration.Name, err)
		}
		progress(Step{Name: migration.Name, Done: true, Duration: time.Since(begin)})
	}
	return nil
}

func name(source *goose.Source) string {
	return strings.TrimSuffix(path.Base(source.Path), path.Ext(source.Path))
}
