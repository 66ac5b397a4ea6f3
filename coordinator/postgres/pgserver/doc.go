// Package pgserver runs a private PostgreSQL server from the installed binaries: for the demo and
// for tests, never for production data.
//
// The server listens on a Unix socket in its own directory only, which nobody but its owner can
// enter, and therefore asks for no password. Started as root it runs as an unprivileged user,
// since PostgreSQL refuses root. A supervising shell in a process group of its own holds one end
// of a pipe; when the process that started the server ends, by whatever cause, the pipe closes and
// the shell stops the server and removes its directory. So nothing is left behind.
package pgserver
