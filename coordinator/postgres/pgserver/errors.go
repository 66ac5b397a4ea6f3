package pgserver

import "errors"

var (
	// ErrNotInstalled says that there are no server binaries, and which package has them.
	ErrNotInstalled = errors.New(
		"PostgreSQL server binaries not found: install the Debian package postgresql",
	)
	// ErrNoUser says that root found no unprivileged user to run the server as.
	ErrNoUser = errors.New("no unprivileged user (postgres or nobody) to run PostgreSQL as")
	// ErrPathTooLong says that the directory is too deep for the path of a Unix socket.
	ErrPathTooLong = errors.New("directory is too deep for a Unix socket")
	// ErrStart says that the server did not come up; the error that wraps it quotes its log.
	ErrStart = errors.New("PostgreSQL did not start")
)
