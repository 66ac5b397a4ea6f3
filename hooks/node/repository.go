package node

import (
	"fmt"

	"google.golang.org/grpc/codes"

	"praefect/hooks/node/disk"
	"praefect/proxy/gitalypb"
)

// repository is where a repository lies, or shall lie.
type repository struct {
	// relative is the path that the caller gave, path where that is on the disk.
	relative string
	path     string
}

// locate checks what a caller says about a repository. It need not exist.
func (n *Node) locate(message *gitalypb.Repository) (repository, error) {
	storage, relative := message.GetStorageName(), message.GetRelativePath()
	switch {
	case storage == "" && relative == "":
		return repository{}, failf(codes.InvalidArgument, "repository not set")
	case storage == "":
		return repository{}, failf(codes.InvalidArgument, "storage name not set")
	case relative == "":
		return repository{}, failf(codes.InvalidArgument, "repository path not set")
	}
	if err := n.checkStorage(storage); err != nil {
		return repository{}, err
	}

	path, err := n.disk.Path(relative)
	if err != nil {
		return repository{}, fmt.Errorf("locate repository: %w", err)
	}

	return repository{relative: relative, path: path}, nil
}

// find locates a repository that must exist.
func (n *Node) find(message *gitalypb.Repository) (repository, error) {
	repo, err := n.locate(message)
	if err != nil {
		return repository{}, err
	}
	if !disk.IsRepository(repo.path) {
		return repository{}, failf(codes.NotFound, "repository not found")
	}

	return repo, nil
}

// checkStorage checks that a caller means this storage.
func (n *Node) checkStorage(name string) error {
	switch name {
	case n.cfg.Storage:
		return nil
	case "":
		return failf(codes.InvalidArgument, "storage name not set")
	default:
		return failf(codes.InvalidArgument, "storage name not found: %q", name)
	}
}
