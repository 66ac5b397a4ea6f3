package digest

import "errors"

var (
	// ErrUnknownNode says that the configuration has no such node.
	ErrUnknownNode = errors.New("node is not configured")
	// ErrUnknownKind says that there is no digest of that kind, for instance of objects.
	ErrUnknownKind = errors.New("nothing can be compared for this kind")
	// ErrUnordered says that a node did not list references in the order of their names, so that
	// its list cannot be compared.
	ErrUnordered = errors.New("references are not listed in order")
	// ErrTooLarge says that a node sent more than is compared.
	ErrTooLarge = errors.New("too large to be compared")

	// errInconsistent says that a node had no repository for one call and one for the next.
	errInconsistent = errors.New("repository came or went while it was looked at")
)
