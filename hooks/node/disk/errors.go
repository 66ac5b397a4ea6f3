package disk

import "errors"

var (
	// ErrInvalidPath says that a path is empty, not clean, leads out of the storage, or to what
	// the storage keeps for itself.
	ErrInvalidPath = errors.New("invalid relative path")

	// ErrLocked says that somebody else is changing the repository or file.
	ErrLocked = errors.New("locked")

	// ErrExists says that there is something at a path already.
	ErrExists = errors.New("exists already")

	// ErrInUse says that another process uses the storage.
	ErrInUse = errors.New("storage is in use by another process")
)
