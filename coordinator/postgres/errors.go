package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"praefect/coordinator"
)

var (
	// ErrServerTooOld says that the server is older than version 11.
	ErrServerTooOld = errors.New("postgres server version too old")
	// ErrInvalidConfig says that the connection parameters cannot be understood.
	ErrInvalidConfig = errors.New("invalid database configuration")
)

// Conditions of the server that matter here, by SQLSTATE.
const (
	stateUniqueViolation = "23505"
	stateReadOnly        = "25006"
	stateIdle            = "25P03"
	stateAdminShutdown   = "57P01"
	stateCrashShutdown   = "57P02"
	stateCannotConnect   = "57P03"
	stateIdleSession     = "57P05"
	stateSerialization   = "40001"
	stateDeadlock        = "40P01"
	stateCanceled        = "57014"
	stateLockTimeout     = "55P03"
	stateNoTable         = "42P01"
	stateNoStatement     = "26000"
	stateSameStatement   = "42P05"
	stateStalePlan       = "0A000"
	classConnection      = "08"
	classResources       = "53"
)

// pathIndex is the index whose violation means that a path is taken.
const pathIndex = "repositories_path"

// sqlState returns the condition that the server reported, if it did.
func sqlState(err error) string {
	if reported := (*pgconn.PgError)(nil); errors.As(err, &reported) {
		return reported.Code
	}
	return ""
}

// stale says that the connections of the pool lead to a server that is not the right one any more.
func stale(err error) bool {
	switch sqlState(err) {
	case stateReadOnly, stateAdminShutdown, stateCrashShutdown, stateCannotConnect,
		stateIdleSession:
		return true
	default:
		return false
	}
}

// repeatable says that a statement changed nothing and may succeed if it is sent again.
func repeatable(err error) bool {
	switch sqlState(err) {
	case stateSerialization, stateDeadlock, stateReadOnly:
		return true
	case stateStalePlan:
		return true // It is prepared again.
	default:
		// What was not known as prepared is not prepared the next time.
		return unprepared(err) || pgconn.SafeToRetry(err)
	}
}

// unprepared says that the server did not know a statement that was prepared, or knew another one
// of that name.
func unprepared(err error) bool {
	state := sqlState(err)
	return state == stateNoStatement || state == stateSameStatement
}

// Unmigrated says that a statement failed because a table of this release is not there. Tables of
// the existing release do not count.
func Unmigrated(err error) bool {
	reported := (*pgconn.PgError)(nil)
	return errors.As(err, &reported) && reported.Code == stateNoTable &&
		strings.Contains(reported.Message, `"praefect.`)
}

// translate gives an error the meaning of the contract.
func translate(err error) error {
	switch {
	case err == nil:
		return nil
	case pathTaken(err):
		return coordinator.ErrRepositoryExists
	case unavailable(err):
		return fmt.Errorf("%w: %w", coordinator.ErrMetadataUnavailable, err)
	default:
		return err
	}
}

func pathTaken(err error) bool {
	reported := (*pgconn.PgError)(nil)
	return errors.As(err, &reported) && reported.Code == stateUniqueViolation &&
		reported.ConstraintName == pathIndex
}

// unavailable says that the server did not answer, or could not for reasons that pass.
func unavailable(err error) bool {
	if state := sqlState(err); state != "" {
		return stale(err) || passing(state)
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		brokenConnection(err)
}

// passing says that a condition has nothing to do with the statement. Time-outs of locks,
// statements and idle connections are among them, as an administrator may set them for the role.
func passing(state string) bool {
	switch state {
	case stateSerialization, stateDeadlock, stateCanceled, stateIdle, stateLockTimeout:
		return true
	default:
		return strings.HasPrefix(state, classConnection) ||
			strings.HasPrefix(state, classResources)
	}
}

// brokenConnection says that the connection failed and not its time.
func brokenConnection(err error) bool {
	if err == nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return false
	}
	connecting, network := (*pgconn.ConnectError)(nil), net.Error(nil)
	return errors.As(err, &connecting) || errors.As(err, &network) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		errors.Is(err, net.ErrClosed) || pgconn.SafeToRetry(err)
}
