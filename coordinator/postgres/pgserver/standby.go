package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// Standby starts a second server that follows this one by streaming replication and answers reads.
// It has a directory of its own, and is stopped like any other.
func (s *Server) Standby(ctx context.Context) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	owner, err := credential()
	if err != nil {
		return nil, err
	}
	directory, err := makeDirectory(filepath.Dir(s.directory), owner)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	standby := &Server{directory: directory}
	if err := standby.follow(ctx, bin, owner, s); err != nil {
		return nil, errors.Join(err, standby.Stop(), os.RemoveAll(directory))
	}
	return standby, nil
}

func (s *Server) follow(
	ctx context.Context, bin string, owner *syscall.Credential, leader *Server,
) error {
	data := filepath.Join(s.directory, "data")
	backup := exec.CommandContext(ctx, filepath.Join(bin, "pg_basebackup"), "--pgdata="+data,
		"--host="+leader.directory, fmt.Sprintf("--port=%d", Port), "--username="+User,
		"--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf", "--no-sync")
	backup.Dir = s.directory
	backup.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
	if output, err := backup.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: pg_basebackup: %w: %s", ErrStart, err, output)
	}
	return s.run(ctx, bin, owner, Config{})
}

// Promote makes a standby a server that takes writes, and returns when it does.
func (s *Server) Promote(ctx context.Context) error { return s.execute(ctx, "SELECT pg_promote()") }

// CaughtUp returns when a standby has applied everything that its leader has written so far.
func (s *Server) CaughtUp(ctx context.Context, leader *Server) error {
	connection, err := pgx.Connect(ctx, leader.DSN("postgres"))
	if err != nil {
		return fmt.Errorf("connect to leader: %w", err)
	}
	var written string
	err = connection.QueryRow(ctx, "SELECT pg_current_wal_lsn()::text").Scan(&written)
	if err = errors.Join(err, disconnect(ctx, connection)); err != nil {
		return fmt.Errorf("ask leader: %w", err)
	}

	connection, err = pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return fmt.Errorf("connect to standby: %w", err)
	}
	defer connection.Close(ctx) //nolint:errcheck // it has only asked
	for applied := false; !applied; {
		err := connection.QueryRow(ctx,
			"SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn FROM pg_sleep(0.02)", written,
		).Scan(&applied)
		if err != nil {
			return fmt.Errorf("ask standby: %w", err)
		}
	}
	return nil
}
