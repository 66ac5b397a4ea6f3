package backend

import "errors"

var (
	// ErrUnreachable says that the node refuses connections, that none can
	// be made to it, or that the one to it broke. It is sick at once.
	ErrUnreachable = errors.New("node is unreachable")

	// ErrTimeout says that the node did not answer in time. Once is a miss;
	// it takes more to call it sick.
	ErrTimeout = errors.New("node did not answer in time")

	// ErrNotServing says that the node answered, but not that it serves.
	ErrNotServing = errors.New("node is not serving")

	// ErrInconclusive says that the probe itself was cut off or turned away:
	// a reset stream, a cancelled call, exhausted resources, a connection
	// that the node closed in good order. It tells nothing about the node.
	ErrInconclusive = errors.New("probe of node is inconclusive")

	// ErrUnknownNode says that no such node was dialled.
	ErrUnknownNode = errors.New("unknown node")

	// ErrDuplicateNode says that two nodes of a virtual storage have the
	// same storage name.
	ErrDuplicateNode = errors.New("duplicate node")
)
