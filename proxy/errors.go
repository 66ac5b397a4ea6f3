package proxy

import "errors"

var (
	// ErrUnknownMethod says that no method of that name is known, or none that can be carried.
	ErrUnknownMethod = errors.New("unknown method")
	// ErrPartition says that a method concerns a partition of one node, which a cluster has not.
	ErrPartition = errors.New("partitions belong to single nodes, ask one of them")
	// ErrNoMessage says that the client ended its stream before the first message.
	ErrNoMessage = errors.New("EOF")
	// ErrRepositoryNotSet says that the request names no repository at all.
	ErrRepositoryNotSet = errors.New("repository not set")
	// ErrStorageNotSet says that the repository of the request has no storage name.
	ErrStorageNotSet = errors.New("storage name not set")
	// ErrPathNotSet says that the repository of the request has no relative path.
	ErrPathNotSet = errors.New("repository path not set")
	// ErrStorageNotFound says that the repository's storage is no virtual storage.
	ErrStorageNotFound = errors.New("storage name not found")
	// ErrTargetStorageNotSet says that a request about a whole storage does not name it.
	ErrTargetStorageNotSet = errors.New("storage scoped: target storage field not found")
	// ErrAdditionalElsewhere says that a request names two repositories of different virtual
	// storages, which share no node.
	ErrAdditionalElsewhere = errors.New("resolving additional repository on different storage " +
		"than target repository is not supported")
	// ErrManyHints says that a client sent more than one hint where to place a repository.
	ErrManyHints = errors.New("multiple partitioning hints")
	// ErrPrimaryLost says that the primary's part of a write did not come to its end. What
	// became of the write is in the trailer.
	ErrPrimaryLost = errors.New("primary was lost during the write")
	// ErrNoConnection says that the configuration of the nodes lacks one that calls are routed
	// to.
	ErrNoConnection = errors.New("no connection to node")
	// ErrInvalidConfig says that a bound has a value that cannot work.
	ErrInvalidConfig = errors.New("invalid proxy configuration")
	// ErrNotReady says that the server cannot serve calls now.
	ErrNotReady = errors.New("not ready")
)
