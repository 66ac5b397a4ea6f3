package cluster

import "errors"

// ErrEnded is returned when a program ended while somebody waited for it to serve.
var ErrEnded = errors.New("program ended")

// ErrNotRunning is returned for a signal to a program that is not running.
var ErrNotRunning = errors.New("program is not running")

// ErrUnknownStorage is returned for the name of a storage that the cluster does not have.
var ErrUnknownStorage = errors.New("unknown storage")
