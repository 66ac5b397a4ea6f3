package pgserver

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// Port is part of the socket's name; nothing listens on the network.
	Port = 5432
	// User is the superuser that initdb creates.
	User = "praefect"

	// socketPathMax is what the kernel's address structure holds.
	socketPathMax = 107
	// startPause is short, as a start takes about a tenth of a second.
	startPause = 20 * time.Millisecond
	// startTimeout: initdb and recovery on a busy machine take a few seconds.
	startTimeout = 60 * time.Second
	// logTail is how much of the log an error quotes.
	logTail = 2048
)

//go:embed supervise.sh
var supervise string

// Config says where and how the server runs.
type Config struct {
	// Parent is where the server's directory is made. Default: the directory for temporary files,
	// and /tmp for root, since the user that the server runs as has to get there.
	Parent string
	// Durable makes the server wait for the disk. Without it a crash of the machine, not of a
	// process, may lose data, and everything is faster.
	Durable bool
	// MaxConnections defaults to 100.
	MaxConnections int
	// Settings are further ones, as "name=value".
	Settings []string
}

// Server is a running server. Safe for concurrent use, except for Stop.
type Server struct {
	directory string
	cmd       *exec.Cmd
	// lifeline keeps the server alive as long as it is open.
	lifeline *os.File
}

// Start makes a database cluster and starts its server; it returns when the server takes
// connections. Errors match [ErrNotInstalled], [ErrNoUser], [ErrPathTooLong] or [ErrStart];
// nothing is left running then.
func Start(ctx context.Context, config Config) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	owner, err := credential()
	if err != nil {
		return nil, err
	}
	directory, err := makeDirectory(config.Parent, owner)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	server := &Server{directory: directory}
	if err := server.start(ctx, bin, owner, config); err != nil {
		return nil, errors.Join(err, server.Stop(), os.RemoveAll(directory))
	}
	return server, nil
}

// makeDirectory makes the directory that holds data, socket and log.
func makeDirectory(parent string, owner *syscall.Credential) (string, error) {
	if parent == "" {
		parent = os.TempDir()
		if owner != nil {
			parent = "/tmp"
		}
	}
	directory, err := os.MkdirTemp(parent, "praefect-pg-")
	if err != nil {
		return "", fmt.Errorf("make directory: %w", err)
	}
	if socket := socketPath(directory); len(socket) > socketPathMax {
		return "", errors.Join(fmt.Errorf("%w: %s", ErrPathTooLong, socket), os.Remove(directory))
	}
	if owner != nil {
		if err := os.Chown(directory, int(owner.Uid), int(owner.Gid)); err != nil {
			return "", errors.Join(fmt.Errorf("give directory away: %w", err), os.Remove(directory))
		}
	}
	return directory, nil
}

func socketPath(directory string) string {
	return filepath.Join(directory, fmt.Sprintf(".s.PGSQL.%d", Port))
}

func (s *Server) start(
	ctx context.Context, bin string, owner *syscall.Credential, config Config,
) error {
	data := filepath.Join(s.directory, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "--pgdata="+data,
		"--username="+User, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
	initdb.Dir = s.directory
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
	if output, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: initdb: %w: %s", ErrStart, err, output)
	}

	return s.run(ctx, bin, owner, config)
}

// run starts the server on its data and returns when it takes connections.
func (s *Server) run(
	ctx context.Context, bin string, owner *syscall.Credential, config Config,
) error {
	data := filepath.Join(s.directory, "data")
	arguments := append([]string{
		"-c", supervise, "supervise", s.directory,
		filepath.Join(bin, "postgres"), "-D", data,
	}, settings(s.directory, config)...)
	// The server outlives the context: it ends with the lifeline.
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), "/bin/sh", arguments...)
	s.cmd.Dir = s.directory
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner, Setpgid: true}
	if err := s.launch(); err != nil {
		return err
	}
	return s.await(ctx)
}

// launch starts the supervisor with the other end of the lifeline and a log as its output.
func (s *Server) launch() error {
	reader, writer, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make lifeline: %w", err)
	}
	defer reader.Close() //nolint:errcheck // the child has its own
	log, err := os.Create(s.logPath())
	if err != nil {
		return errors.Join(fmt.Errorf("create log: %w", err), writer.Close())
	}
	defer log.Close() //nolint:errcheck // the child has its own
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = reader, log, log
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return errors.Join(fmt.Errorf("%w: %w", ErrStart, err), writer.Close())
	}
	s.lifeline = writer
	return nil
}

func settings(directory string, config Config) []string {
	connections := config.MaxConnections
	if connections == 0 {
		connections = 100
	}
	values := []string{
		"listen_addresses=", fmt.Sprintf("port=%d", Port),
		"unix_socket_directories=" + directory, "unix_socket_permissions=0700",
		fmt.Sprintf("max_connections=%d", connections),
		// Small and quick: tests start many, and the demo holds a few rows.
		"shared_buffers=32MB", "dynamic_shared_memory_type=mmap",
	}
	if !config.Durable {
		// With synchronous_commit=off even the end of the server alone would lose commits.
		values = append(values, "fsync=off", "full_page_writes=off")
	}
	var arguments []string
	for _, value := range append(values, config.Settings...) {
		arguments = append(arguments, "-c", value)
	}
	return arguments
}

// await returns once the server takes connections.
func (s *Server) await(ctx context.Context) error {
	pause := time.NewTicker(startPause)
	defer pause.Stop()
	for {
		connection, err := pgx.Connect(ctx, s.DSN("postgres"))
		if err == nil {
			return disconnect(ctx, connection)
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w: %s", ErrStart, err, s.tail())
		}
	}
}

func (s *Server) logPath() string { return filepath.Join(s.directory, "log") }

func (s *Server) tail() string {
	content, err := os.ReadFile(s.logPath())
	if err != nil {
		return err.Error()
	}
	return string(content[max(0, len(content)-logTail):])
}

func disconnect(ctx context.Context, connection *pgx.Conn) error {
	if err := connection.Close(ctx); err != nil {
		return fmt.Errorf("disconnect: %w", err)
	}
	return nil
}

// Host is the directory of the socket, to be used as the host of a connection.
func (s *Server) Host() string { return s.directory }

// DSN is how to connect to a database of the server.
func (s *Server) DSN(database string) string {
	return fmt.Sprintf("host=%s port=%d user=%s dbname=%s sslmode=disable",
		s.directory, Port, User, quote(database))
}

// quote makes any name a value of a connection string.
func quote(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}

// Create makes a database, empty or as a copy of a template to which nobody is connected.
func (s *Server) Create(ctx context.Context, database, template string) error {
	statement := "CREATE DATABASE " + identifier(database)
	if template != "" {
		statement += " TEMPLATE " + identifier(template)
	}
	return s.execute(ctx, statement)
}

// Drop removes a database and ends its connections.
func (s *Server) Drop(ctx context.Context, database string) error {
	return s.execute(ctx, "DROP DATABASE IF EXISTS "+identifier(database)+" WITH (FORCE)")
}

func (s *Server) execute(ctx context.Context, statement string) error {
	connection, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	_, err = connection.Exec(ctx, statement)
	if err != nil {
		err = fmt.Errorf("execute: %w", err)
	}
	return errors.Join(err, disconnect(ctx, connection))
}

func identifier(name string) string { return pgx.Identifier{name}.Sanitize() }

// Stop ends the server in order, waits for it, and removes its directory. Stopping twice is fine.
func (s *Server) Stop() error {
	if s.lifeline == nil {
		return nil
	}
	err := errors.Join(s.say("stop"), s.lifeline.Close(), s.cmd.Wait(), os.RemoveAll(s.directory))
	s.lifeline = nil
	if err != nil {
		return fmt.Errorf("stop PostgreSQL: %w", err)
	}
	return nil
}
