package replicate

import "errors"

var (
	// ErrUnknownNode says that the configuration has no such node.
	ErrUnknownNode = errors.New("node is not configured")
	// ErrSourceMissing says that the source has no repository at that path, although the metadata
	// say so.
	ErrSourceMissing = errors.New("source has no such repository")
)
